//! `alluvium bootstrap`: a new state directory from an artifact.

use std::sync::Arc;
use std::time::Instant;

use alluvium::{Bootstrap, Bootstrapped, Engine, EngineTable, Scope, StateConfig, Table};
use serde_json::json;

use crate::args::BootstrapArgs;
use crate::artifacts::catalog;
use crate::bar::Bar;
use crate::error::{Failure, chain};
use crate::human::count;
use crate::output::{Output, human_bytes, say};
use crate::runtime;
use crate::{state, store};

pub(crate) fn run(args: &BootstrapArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let runtime = runtime::start()?;
    let config = args.state.state.config("--state")?;
    config.engine_name()?;
    let Some(scratch) = state::scratch(&config) else {
        return Err(Failure::Usage(
            "--state: `memory:` is gone when the command ends: name a directory, as in `memory:DIR`"
                .to_owned(),
        ));
    };
    // Before a state directory is made: the artifact has to be there.
    let transport = runtime.block_on(async {
        let transport = store::config(&args.store)?.open_transport().await?;
        if args.fall_back == 0 {
            catalog::find(transport.as_ref(), &args.store.store, &args.key, args.at).await?;
        }
        Ok::<_, Failure>(transport)
    })?;
    let engine = config.open_engine()?;
    let work = || {
        let table = open(&engine, &config, args)?;
        let mut bootstrap = Bootstrap::new(transport, args.key.clone(), scratch).fall_back(args.fall_back);
        if let Some(at) = args.at {
            bootstrap = bootstrap.at(at);
        }
        if !args.filter.is_empty() {
            bootstrap = bootstrap.scope(Scope::from(args.filter.clone()));
        }
        runtime.block_on(fill(args, bootstrap, Arc::new(table), output, verbose))
    };
    let result = work();
    state::ended(result, engine.close())
}

/// The table to fill: a new one, or one that was not filled to its end.
fn open(
    engine: &Arc<dyn Engine>,
    config: &StateConfig,
    args: &BootstrapArgs,
) -> Result<EngineTable, Failure> {
    let name = match &args.state.table {
        Some(name) => name.clone(),
        None => state::table_name(engine.as_ref(), &args.state)?,
    };
    let table = EngineTable::open(Arc::clone(engine), &name)?;
    let at = match table.cursor() {
        Some(cursor) => cursor.sequence.to_string(),
        // A repair that was cut short leaves rows and no cursor.
        None if table.stats()?.rows > 0 => "no position that is known".to_owned(),
        None => return Ok(table),
    };
    Err(Failure::Filled {
        state: config.url.to_string(),
        table: name,
        at,
    })
}

async fn fill(
    args: &BootstrapArgs,
    bootstrap: Bootstrap,
    table: Arc<dyn Table>,
    output: Output,
    verbose: u8,
) -> Result<(), Failure> {
    let started = Instant::now();
    let bar = Bar::bytes("bootstrap", output, verbose, 0);
    let drawn = bar.clone();
    let bootstrap = bootstrap.on_progress(move |at| {
        let rows = format!("{} of at most {} rows", at.rows, at.rows_total);
        drawn.set(at.bytes, at.bytes_total, rows);
    });
    let done = bootstrap.run(&table).await;
    bar.finish();
    let done = done?;
    for skipped in &done.skipped {
        if !output.is_json() {
            let newest = || "the newest artifact".to_owned();
            let what = skipped.id.map_or_else(newest, |id| id.to_string());
            say(&format!("passed over {what}: {}", chain(skipped.error.as_ref())));
        }
    }
    tell(args, &done, started.elapsed().as_secs_f64(), output)
}

fn tell(args: &BootstrapArgs, done: &Bootstrapped, seconds: f64, output: Output) -> Result<(), Failure> {
    let fetched = &done.fetched;
    if output.is_json() {
        let skipped = done.skipped.iter();
        let skipped =
            skipped.map(|skipped| json!({ "id": skipped.id, "error": chain(skipped.error.as_ref()) }));
        return output.object(&json!({
            "key": args.key.as_str(),
            "id": done.id,
            "log": done.cursor.log.name,
            "sequence": done.cursor.sequence,
            "rows": done.rows,
            "segments": fetched.segments,
            "bytes": fetched.bytes,
            "reused": fetched.reused,
            "unneeded": fetched.unneeded,
            "skipped": skipped.collect::<Vec<_>>(),
            "seconds": (seconds * 1000.0).round() / 1000.0,
        }));
    }
    let segments = |number: u64| {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        count(number, "segment", "segments")
    };
    let reused = match fetched.reused {
        0 => String::new(),
        reused => format!("; {} had been fetched before", segments(reused)),
    };
    let mut lines = output.lines();
    lines.text(&format!(
        "{} holds {} rows of {}, at {}: {}, {}, fetched in {seconds:.1} s{reused}",
        args.state.state,
        done.rows,
        done.cursor.log.name,
        done.cursor.sequence,
        segments(fetched.segments),
        human_bytes(fetched.bytes),
    ))?;
    lines.finish()
}
