//! The memory that an export and a bootstrap take, each in a process of its own, engine and all: of a table, and of one with five
//! times as many rows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{Bootstrap, EngineTable, ExportOptions, Exported, Exporter, StateConfig, Table};
use alluvium_e2e::engine::EngineKind;
use alluvium_object_store::{ObjectStoreTransport, StoreOptions, TransportOptions};
use anyhow::{Result, bail};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::checkpoint::subject::{Kind, Subject};
use crate::feed::{key, value};
use crate::report::{Report, rounded};
use crate::{Options, child, read};

/// The most memory that is wanted, in MiB.
const LIMIT: f64 = 200.0;

/// What the process is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    /// Where the table is, or comes to be.
    state: String,
    store: String,
    options: Vec<(String, String)>,
    /// Where to bootstrap through; an export, if it is none.
    scratch: Option<PathBuf>,
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let engine = EngineKind::Fjall;
    for keys in [options.keys, 5 * options.keys] {
        let subject = Subject::open(Kind::S3)?;
        let home = tempfile::tempdir()?;
        let full = engine.url(&home.path().join("full"));
        fill(&full, keys)?;
        let measure = |state: &str, scratch: Option<&str>| {
            let orders = Orders {
                state: state.to_owned(),
                store: subject.url.clone(),
                options: subject.options.clone(),
                scratch: scratch.map(|scratch| home.path().join(scratch)),
            };
            child::artifact(&serde_json::to_string(&orders)?)
        };
        let export = measure(&full, None)?;
        let fresh = engine.url(&home.path().join("fresh"));
        let bootstrap = measure(&fresh, Some("scratch"))?;
        for (name, outcome) in [
            ("artifact_export_memory", export),
            ("artifact_bootstrap_memory", bootstrap),
        ] {
            report.result(
                name,
                engine.as_str(),
                LIMIT / outcome.peak_rss_mb,
                1.0,
                &json!({
                    "rows": outcome.count,
                    "peak_rss_mb": rounded(outcome.peak_rss_mb),
                    "seconds": rounded(outcome.seconds),
                }),
            );
        }
    }
    Ok(())
}

fn fill(state: &str, keys: u64) -> Result<()> {
    let mut rows: Vec<(Bytes, Bytes)> = (0..keys)
        .map(|index| (Bytes::from(key(index)), value(index)))
        .collect();
    rows.sort_unstable();
    let engine = StateConfig::new(state)?.open_engine()?;
    read::load(&EngineTable::open(Arc::clone(&engine), "bench")?, &rows)?;
    Ok(engine.close()?)
}

/// Exports or bootstraps in this process. Tells how long that took, and of how many rows.
pub(crate) async fn here(orders: &str) -> Result<(Duration, u64)> {
    let orders: Orders = serde_json::from_str(orders)?;
    let store: StoreOptions = orders.options.into_iter().collect();
    let transport = ObjectStoreTransport::from_url(&orders.store, &store, TransportOptions::default())?;
    let transport = Arc::new(transport);
    let engine = StateConfig::new(&orders.state)?.open_engine()?;
    let table: Arc<dyn Table> = Arc::new(EngineTable::open(Arc::clone(&engine), "bench")?);
    let began = Instant::now();
    let rows = if let Some(scratch) = orders.scratch {
        let bootstrap = Bootstrap::new(transport, "bench".parse()?, scratch);
        bootstrap.run(&table).await?.rows
    } else {
        let exporter = Exporter::new(table, transport, "bench".parse()?, ExportOptions::default());
        match exporter.export().await? {
            Exported::Published(report) => report.rows,
            other => bail!("{other:?} is no export"),
        }
    };
    let took = began.elapsed();
    engine.close()?;
    Ok((took, rows))
}
