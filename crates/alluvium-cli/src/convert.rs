//! `alluvium convert`: a state directory into a new one of another engine.
//!
//! Tables, partials and everything else lie in the spaces of an engine, and mean the same in every engine: so what is copied
//! is spaces, pair by pair.

mod destination;

use std::sync::Arc;
use std::time::Instant;

use alluvium::{BoxError, Engine, EngineError, KeyRange, StateConfig};
use serde_json::json;

use self::destination::Destination;
use crate::args::ConvertArgs;
use crate::bar::Bar;
use crate::error::Failure;
use crate::human::count;
use crate::output::{Output, human_bytes};
use crate::state::{self, ended};

/// After so many pairs the bar moves.
const DRAW_EVERY: u64 = 4_096;

/// What was copied.
#[derive(Default)]
struct Copied {
    tables: Vec<String>,
    spaces: usize,
    pairs: u64,
    bytes: u64,
}

pub(crate) fn run(args: &ConvertArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let started = Instant::now();
    let source = args.from.config("--from")?.existing(true).open_engine()?;
    let work = || {
        let destination = Destination::claim(&args.to)?;
        match fill(&source, &destination, args, output, verbose) {
            Ok(copied) => destination.publish().map(|()| copied),
            Err(failure) => {
                destination.discard();
                Err(failure)
            }
        }
    };
    let result = work();
    let copied = ended(result, source.close())?;
    let seconds = started.elapsed().as_secs_f64();
    let engine = args.engine.as_str();
    if output.is_json() {
        return output.object(&json!({
            "from": args.from.to_string(),
            "from_engine": source.name(),
            "to": args.to.display().to_string(),
            "engine": engine,
            "tables": copied.tables,
            "spaces": copied.spaces,
            "pairs": copied.pairs,
            "bytes": copied.bytes,
            "seconds": (seconds * 1000.0).round() / 1000.0,
        }));
    }
    let mut lines = output.lines();
    lines.text(&format!(
        "{} ({engine}) holds what {} ({}) holds: {}, {} pairs, {}, copied in {seconds:.1} s",
        args.to.display(),
        args.from,
        source.name(),
        count(copied.tables.len(), "table", "tables"),
        copied.pairs,
        human_bytes(copied.bytes),
    ))?;
    lines.finish()
}

/// Copies everything. The new state is closed, and durable, when it returns.
fn fill(
    source: &Arc<dyn Engine>,
    destination: &Destination,
    args: &ConvertArgs,
    output: Output,
    verbose: u8,
) -> Result<Copied, Failure> {
    let url = format!("{}:{}", args.engine.as_str(), destination.text()?);
    let config = StateConfig::new(&url).map_err(|error| Failure::Usage(format!("--to: {error}")))?;
    let target = config.open_engine()?;
    let copy = || {
        destination.mark()?;
        let copied = copy(source.as_ref(), target.as_ref(), output, verbose)?;
        target.sync()?;
        Ok(copied)
    };
    let copied = copy();
    ended(copied, target.close())
}

fn copy(source: &dyn Engine, target: &dyn Engine, output: Output, verbose: u8) -> Result<Copied, Failure> {
    let mut names = source.spaces()?;
    names.sort_unstable();
    let mut spaces = Vec::new();
    let mut about = 0_u64;
    for name in names {
        let space = source.space(&name)?;
        about = about.saturating_add(source.approximate_len(space)?);
        spaces.push((name, space));
    }
    let snapshot = source.snapshot()?;
    let bar = Bar::rows("convert", output, verbose, about);
    let mut copied = Copied {
        tables: state::tables(source)?,
        spaces: spaces.len(),
        ..Copied::default()
    };
    for (name, space) in spaces {
        let pairs = snapshot.scan(space, &KeyRange::all())?;
        let mut pairs = pairs.map(|pair| {
            let pair = pair.map_err(BoxError::from)?;
            copied.pairs += 1;
            copied.bytes += (pair.0.len() + pair.1.len()) as u64;
            if copied.pairs.is_multiple_of(DRAW_EVERY) {
                bar.set(copied.pairs, about, human_bytes(copied.bytes));
            }
            Ok(pair)
        });
        target.ingest(&name, &mut pairs).map_err(of_source)?;
    }
    bar.finish();
    Ok(copied)
}

/// What failed while the pairs were read is told by whoever read them.
fn of_source(error: EngineError) -> EngineError {
    match error {
        EngineError::Pairs(source) => match source.downcast::<EngineError>() {
            Ok(error) => *error,
            Err(source) => EngineError::Pairs(source),
        },
        error => error,
    }
}
