//! `alluvium checkpoints ls`: every checkpoint on a line.

use std::sync::Arc;

use alluvium::checkpoint::{Latest, Manifest};
use alluvium::{CheckpointError, CheckpointId, Timestamp};
use serde_json::{Value, json};

use super::catalog::{Catalog, Lineage, Reading, damage_of, start};
use super::store;
use crate::args::LsArgs;
use crate::error::Failure;
use crate::human::{age, count, human_time, instant};
use crate::listing;
use crate::output::{Output, human_bytes, rfc3339, say};
use crate::state::Place;

const HEADINGS: [&str; 7] = ["ID", "AGE", "EPOCH", "SIZE", "OPERATORS", "PARTITIONS", "KIND"];

pub(super) async fn run(args: &LsArgs, now: Timestamp, output: Output) -> Result<(), Failure> {
    let mut catalog = Catalog::new(store::open(&args.store).await?);
    // First, so that what it names is listed, unless it is gone.
    let latest = catalog.latest().await?;
    let listed = catalog.list().await?;
    let rows = rows(&mut catalog, &listed, &latest).await?;
    let for_programs = |row: &Row| row.for_programs(now);
    listing::print(&rows, HEADINGS, output, for_programs, |row| row.cells(now))?;
    if latest == Latest::None && !output.is_json() {
        say(&if rows.is_empty() {
            format!("no checkpoints in {}", args.store.store)
        } else {
            format!("there is no _latest; {}", start(&latest, &listed))
        });
    }
    conclude(&rows, damage_of(&latest, &listed), &args.store.store)
}

async fn rows(
    catalog: &mut Catalog,
    listed: &[CheckpointId],
    latest: &Latest,
) -> Result<Vec<Row>, CheckpointError> {
    let mut rows = Vec::new();
    for id in listed {
        let what = match catalog.manifest(*id).await? {
            Reading::Read(manifest) => {
                let lineage = catalog.lineage(&manifest).await?;
                What::Read { manifest, lineage }
            }
            Reading::Unreadable(why) => What::Unreadable(why),
            Reading::Gone => continue,
        };
        rows.push(Row {
            id: *id,
            is_latest: *latest == Latest::Names(*id),
            what,
        });
    }
    Ok(rows)
}

/// An error if a checkpoint is damaged, or `_latest` is.
fn conclude(rows: &[Row], pointer: Option<String>, store: &Place) -> Result<(), Failure> {
    let damaged = rows.iter().filter(|row| row.damage().is_some()).count();
    let all = count(rows.len(), "checkpoint", "checkpoints");
    let damage = (damaged > 0).then(|| format!("{damaged} of {all} cannot be restored"));
    listing::conclude(store, [damage, pointer])
}

/// One checkpoint.
struct Row {
    id: CheckpointId,
    is_latest: bool,
    what: What,
}

enum What {
    Read {
        manifest: Arc<Manifest>,
        lineage: Lineage,
    },
    Unreadable(String),
}

impl Row {
    /// Why it cannot be restored.
    fn damage(&self) -> Option<&str> {
        match &self.what {
            What::Read { lineage, .. } => lineage.broken.as_deref(),
            What::Unreadable(why) => Some(why),
        }
    }

    /// When it was taken; of one that cannot be read, when it was named.
    fn taken(&self) -> Timestamp {
        instant(match &self.what {
            What::Read { manifest, .. } => manifest.timestamp_ms,
            What::Unreadable(_) => i64::try_from(self.id.millis()).unwrap_or(i64::MAX),
        })
    }

    fn for_programs(&self, now: Timestamp) -> Value {
        let mut line = json!({
            "id": self.id,
            "latest": self.is_latest,
            "timestamp": rfc3339(self.taken()),
            "age_seconds": age(self.taken(), now).as_secs(),
            "damage": self.damage(),
        });
        if let (What::Read { manifest, lineage }, Value::Object(line)) = (&self.what, &mut line) {
            let sizes = lineage.chain.sizes();
            for (name, value) in [
                ("epoch", json!(manifest.epoch)),
                ("bytes", json!(manifest.total_size())),
                ("full", json!(manifest.is_full())),
                ("parent", json!(manifest.parent_id)),
                ("chain", json!(lineage.chain.checkpoints())),
                ("chain_base_bytes", json!(sizes.base)),
                ("chain_delta_bytes", json!(sizes.deltas)),
                ("operators", json!(manifest.operators.len())),
                ("partitions", json!(manifest.files().count())),
            ] {
                line.insert(name.to_owned(), value);
            }
        }
        line
    }

    /// The cells of the table, the last of any length.
    fn cells(&self, now: Timestamp) -> [String; 7] {
        let (epoch, size, operators, partitions) = match &self.what {
            What::Read { manifest, .. } => (
                manifest.epoch.to_string(),
                human_bytes(manifest.total_size()),
                manifest.operators.len().to_string(),
                manifest.files().count().to_string(),
            ),
            What::Unreadable(_) => ["-"; 4].map(str::to_owned).into(),
        };
        let mut kind = match &self.what {
            What::Read { lineage, .. } if self.damage().is_none() => describe(lineage),
            _ => format!("damaged: {}", self.damage().unwrap_or_default()),
        };
        if self.is_latest {
            kind.push_str(", _latest");
        }
        let age = human_time(age(self.taken(), now));
        [self.id.to_string(), age, epoch, size, operators, partitions, kind]
    }
}

/// What a checkpoint that can be restored builds on.
pub(super) fn describe(lineage: &Lineage) -> String {
    match lineage.chain.checkpoints() {
        [_, parent, ..] => {
            let sizes = lineage.chain.sizes();
            format!(
                "delta on {parent}, chain of {}: {} of deltas on {}",
                lineage.chain.checkpoints().len(),
                human_bytes(sizes.deltas),
                human_bytes(sizes.base)
            )
        }
        _ => "full".to_owned(),
    }
}
