//! `artifact`: a table exported whole, and after one key in a hundred has changed; a table bootstrapped from nothing; each
//! beside what no way around it is: the bare engine scanned or filled with the same rows, and the bare store that takes or gives the
//! same bytes. And the memory that each takes, of one and of five times as many rows.
//!
//! Ours and the bare ones take turns, so that a machine that slows down slows all of them down. What was stored is removed
//! between the turns, outside the timing.

pub(crate) mod memory;
mod store;

use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{
    ArtifactKey, Bootstrap, Change, EngineTable, ExportOptions, ExportReport, Exported, Exporter,
    StateConfig, Table, Timestamp,
};
use alluvium_e2e::engine::EngineKind;
use alluvium_object_store::ObjectStoreTransport;
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use serde_json::json;

use self::store::BareObject;
use crate::Options;
use crate::bare;
use crate::checkpoint::subject::{Kind, Subject};
use crate::feed::{key, value};
use crate::read;
use crate::report::{Report, median, rounded};

/// A full export takes at most so many times the slower of a bare scan and a bare upload.
const EXPORT_LIMIT: f64 = 1.4;
/// A bootstrap takes at most so many times a bare download and a bare ingestion together.
const BOOTSTRAP_LIMIT: f64 = 1.5;
/// One key of so many changes.
const CHANGED: u64 = 100;
/// The share of a full export's bytes that the change may take, and of its time.
const DELTA_BYTES_LIMIT: f64 = 0.015;
const DELTA_TIME_LIMIT: f64 = 0.1;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let mut rows: Vec<(Bytes, Bytes)> = (0..options.keys)
        .map(|index| (Bytes::from(key(index)), value(index)))
        .collect();
    rows.sort_unstable();
    let mut measured = false;
    for engine in EngineKind::ALL {
        for kind in Kind::ALL {
            let name = format!("{engine}+{}", kind.name());
            if options.only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            measured = true;
            let subject = Subject::open(kind)?;
            let measure = Measure {
                name: &name,
                engine,
                rows: &rows,
                rounds: options.rounds,
                subject: &subject,
            };
            measure.run(report).await?;
        }
    }
    ensure!(measured, "no artifacts are measured on {:?}", options.only);
    drop(rows);
    memory::run(options, report)
}

struct Measure<'a> {
    name: &'a str,
    engine: EngineKind,
    rows: &'a [(Bytes, Bytes)],
    rounds: usize,
    subject: &'a Subject,
}

impl Measure<'_> {
    async fn run(&self, report: &mut Report) -> Result<()> {
        let home = tempfile::tempdir()?;
        let state = StateConfig::new(&self.engine.url(&home.path().join("state")))?.open_engine()?;
        let table: Arc<dyn Table> = Arc::new(EngineTable::open(Arc::clone(&state), "bench")?);
        table.track_changes(true)?;
        read::load(table.as_ref(), self.rows)?;
        let bare = bare::ingest(self.engine, self.rows, &home.path().join("bare"))?;
        let transport = Arc::new(self.subject.transport());

        let (mut exports, mut scans, mut uploads) = (Vec::new(), Vec::new(), Vec::new());
        let mut full = None;
        // The first round is not counted: connections and caches come to be.
        for round in 0..=self.rounds {
            let began = Instant::now();
            ensure!(bare.scan()? > 0, "nothing was scanned");
            let scan = began.elapsed();
            let (export, took) = self.export(&table, &transport, &format!("round-{round}")).await?;
            let object = BareObject::put(self.subject.bare.as_ref(), export.bytes).await?;
            object.remove().await?;
            if round > 0 {
                exports.push(took.as_secs_f64());
                scans.push(scan.as_secs_f64());
                uploads.push(object.took.as_secs_f64());
            }
            full = Some(export);
        }
        let full = full.context("no round")?;
        let (ours, scan, upload) = (median(exports), median(scans), median(uploads));
        report.result(
            "artifact_export",
            self.name,
            scan.max(upload) / ours,
            1.0 / EXPORT_LIMIT,
            &json!({
                "seconds": rounded(ours),
                "bare_scan_seconds": rounded(scan),
                "bare_upload_seconds": rounded(upload),
                "rows": full.rows,
                "bytes": full.bytes,
                "segments": full.segments,
            }),
        );
        self.deltas(&table, &transport, &full, ours, report).await?;
        state.close()?;
        drop(bare);
        self.bootstraps(&transport, home.path(), full.bytes, report).await
    }

    async fn deltas(
        &self,
        table: &Arc<dyn Table>,
        transport: &Arc<ObjectStoreTransport>,
        full: &ExportReport,
        full_seconds: f64,
        report: &mut Report,
    ) -> Result<()> {
        let last = format!("round-{}", self.rounds);
        let keys = self.rows.len() as u64;
        let (mut seconds, mut uploaded) = (Vec::new(), 0);
        for round in 1..=self.rounds as u64 {
            change(table.as_ref(), keys, round)?;
            let (delta, took) = self.export(table, transport, &last).await?;
            ensure!(
                delta.rows == keys.div_ceil(CHANGED),
                "{} rows were exported",
                delta.rows
            );
            seconds.push(took.as_secs_f64());
            uploaded = uploaded.max(delta.published.uploaded);
        }
        let share = as_f64(uploaded) / as_f64(full.published.uploaded);
        report.result(
            "artifact_delta_bytes",
            self.name,
            DELTA_BYTES_LIMIT / share,
            1.0,
            &json!({ "share": (share * 1e5).round() / 1e5, "bytes": uploaded, "full_bytes": full.published.uploaded }),
        );
        let ours = median(seconds);
        report.result(
            "artifact_delta_time",
            self.name,
            full_seconds * DELTA_TIME_LIMIT / ours,
            1.0,
            &json!({ "seconds": rounded(ours), "full_seconds": rounded(full_seconds) }),
        );
        Ok(())
    }

    /// From nothing to readable, each time into a fresh state directory.
    async fn bootstraps(
        &self,
        transport: &Arc<ObjectStoreTransport>,
        home: &FsPath,
        bytes: u64,
        report: &mut Report,
    ) -> Result<()> {
        // One that is a base alone.
        let key: ArtifactKey = "round-0".parse()?;
        let (mut times, mut downloads, mut ingests) = (Vec::new(), Vec::new(), Vec::new());
        let object = BareObject::put(self.subject.bare.as_ref(), bytes).await?;
        for round in 0..=self.rounds {
            let download = object.get().await?;
            let path = home.join(format!("bare-{round}"));
            let began = Instant::now();
            let bare = bare::ingest(self.engine, self.rows, &path)?;
            let ingest = began.elapsed();
            drop(bare);

            let dir = home.join(format!("fresh-{round}"));
            let began = Instant::now();
            let state = StateConfig::new(&self.engine.url(&dir))?.open_engine()?;
            let table: Arc<dyn Table> = Arc::new(EngineTable::open(Arc::clone(&state), "bench")?);
            let scratch = home.join(format!("scratch-{round}"));
            let bootstrap = Bootstrap::new(Arc::clone(transport) as _, key.clone(), &scratch);
            let done = bootstrap.run(&table).await?;
            let took = began.elapsed();
            ensure!(done.rows == self.rows.len() as u64, "{} rows came", done.rows);
            let (first, expected) = &self.rows[0];
            let entry = table.get(first)?.context("the first row is not there")?;
            ensure!(entry.value == *expected, "the first row is another one");
            state.close()?;
            for path in [path, dir, scratch] {
                if path.exists() {
                    std::fs::remove_dir_all(path)?;
                }
            }
            if round > 0 {
                times.push(took.as_secs_f64());
                downloads.push(download.as_secs_f64());
                ingests.push(ingest.as_secs_f64());
            }
        }
        object.remove().await?;
        let (ours, download, ingest) = (median(times), median(downloads), median(ingests));
        report.result(
            "artifact_bootstrap",
            self.name,
            (download + ingest) / ours,
            1.0 / BOOTSTRAP_LIMIT,
            &json!({
                "seconds": rounded(ours),
                "bare_download_seconds": rounded(download),
                "bare_ingest_seconds": rounded(ingest),
                "rows": self.rows.len(),
            }),
        );
        Ok(())
    }

    /// An export under a key, from the call to the swapped pointer.
    async fn export(
        &self,
        table: &Arc<dyn Table>,
        transport: &Arc<ObjectStoreTransport>,
        key: &str,
    ) -> Result<(ExportReport, Duration)> {
        let exporter = Exporter::new(
            Arc::clone(table),
            Arc::clone(transport) as _,
            key.parse()?,
            ExportOptions::default(),
        );
        let began = Instant::now();
        let outcome = exporter.export().await?;
        let took = began.elapsed();
        match outcome {
            Exported::Published(report) => Ok((*report, took)),
            other => bail!("{other:?} is no export"),
        }
    }
}

/// One key in a hundred gets another value.
fn change(table: &dyn Table, keys: u64, round: u64) -> Result<()> {
    let cursor = table.cursor().context("the table has no cursor")?;
    let every = usize::try_from(CHANGED)?;
    let changes: Vec<Change> = (0..keys)
        .step_by(every)
        .zip(1..)
        .map(|(index, number)| {
            let sequence = (cursor.sequence.get() + number).into();
            Change::put(
                key(index),
                value(index + round * keys),
                sequence,
                Timestamp::default(),
            )
        })
        .collect();
    let last = changes.last().context("nothing changes")?.sequence;
    Ok(table.apply(&changes, &cursor.at(last, Timestamp::default()))?)
}

#[allow(clippy::cast_precision_loss, reason = "bytes of a benchmark")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
