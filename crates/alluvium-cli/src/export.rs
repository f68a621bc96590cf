//! `alluvium export`: the table of a stopped state directory to an object store.

use std::sync::Arc;
use std::time::Instant;

use alluvium::artifact::ExportPlan;
use alluvium::{EngineTable, ExportOptions, Exported, Exporter, Table as _, Transport};
use serde_json::{Value, json};

use crate::args::ExportArgs;
use crate::bar::Bar;
use crate::error::Failure;
use crate::human::count;
use crate::output::{Output, human_bytes};
use crate::runtime;
use crate::{state, store};

pub(crate) fn run(args: &ExportArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let runtime = runtime::start()?;
    let place = &args.state.state;
    // Before a directory of artifacts is made for it.
    let engine = place.config("--state")?.existing(true).open_engine()?;
    let work = || {
        let table = state::open_existing(&engine, place, args.state.table.as_deref())?;
        let table = table.ok_or_else(|| Failure::NoTable {
            state: place.to_string(),
        })?;
        if table.cursor().is_none() {
            return Err(Failure::NoCursor {
                state: place.to_string(),
            });
        }
        runtime.block_on(async {
            let transport = store::new_config(&args.store)?.open_transport().await?;
            export(args, Arc::new(table), transport, output, verbose).await
        })
    };
    let result = work();
    state::ended(result, engine.close())
}

async fn export(
    args: &ExportArgs,
    table: Arc<EngineTable>,
    transport: Arc<dyn Transport>,
    output: Output,
    verbose: u8,
) -> Result<(), Failure> {
    let started = Instant::now();
    let bar = Bar::rows("export", output, verbose, table.stats()?.rows);
    let drawn = bar.clone();
    let options = ExportOptions::default()
        .exporter(args.exporter.clone())
        .on_progress(move |at| drawn.set(at.rows, at.of_rows, human_bytes(at.bytes)));
    let outcome = Exporter::new(table, transport, args.key.clone(), options)
        .export()
        .await;
    bar.finish();
    let outcome = outcome?;
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        return output.object(&for_programs(args, &outcome, seconds));
    }
    let mut lines = output.lines();
    lines.text(&for_people(args, &outcome, seconds))?;
    lines.finish()
}

fn for_programs(args: &ExportArgs, outcome: &Exported, seconds: f64) -> Value {
    let name = match outcome {
        Exported::Published(_) => "published",
        Exported::Unchanged { .. } => "unchanged",
        _ => "superseded",
    };
    let mut line = json!({
        "outcome": name,
        "key": args.key.as_str(),
        "sequence": outcome.newest().cursor.sequence,
        "seconds": (seconds * 1000.0).round() / 1000.0,
    });
    if let (Some(report), Value::Object(line)) = (outcome.report(), &mut line) {
        let why = match &report.plan {
            ExportPlan::Base(reason) => Some(reason.to_string()),
            _ => None,
        };
        for (name, value) in [
            ("id", json!(report.published.id)),
            ("base", json!(why.is_some())),
            ("why_base", json!(why)),
            ("rows", json!(report.rows)),
            ("segments", json!(report.segments)),
            ("bytes", json!(report.bytes)),
            ("uploaded", json!(report.published.uploaded)),
            ("replaced_damaged", json!(report.replaced_damaged)),
        ] {
            line.insert(name.to_owned(), value);
        }
    }
    line
}

fn for_people(args: &ExportArgs, outcome: &Exported, seconds: f64) -> String {
    let (key, store) = (&args.key, &args.store.store);
    let at = outcome.newest().cursor.sequence;
    let Some(report) = outcome.report() else {
        return match outcome {
            Exported::Unchanged { .. } => {
                format!("the newest artifact of {key} in {store} is at {at} already")
            }
            _ => format!("somebody else has exported {key} to {store}, which is at {at} now"),
        };
    };
    let what = match &report.plan {
        ExportPlan::Base(reason) => format!("the whole table, for {reason}"),
        ExportPlan::Delta { after, .. } => format!("what changed after {after}"),
        _ => "the table".to_owned(),
    };
    let damaged = report.replaced_damaged.as_ref();
    let damaged = damaged.map(|why| format!("; replaced what was damaged: {why}"));
    let segments = usize::try_from(report.segments).unwrap_or(usize::MAX);
    format!(
        "exported {key} at {at} to {store}: {what}: {} rows in {}, {} uploaded in {seconds:.1} s{}",
        report.rows,
        count(segments, "segment", "segments"),
        human_bytes(report.published.uploaded),
        damaged.unwrap_or_default()
    )
}
