//! `alluvium checkpoints verify`: every byte that checkpoints need, read and compared with its digest.
//!
//! A file that several checkpoints need is read once. With `--json`:
//!
//! ```text
//! {"event":"damage","path":…,"reason":…,"needed_by":[…]}                                  for each
//! {"event":"end","whole":…,"checkpoints":[…],"damaged":[…],"files":…,"bytes":…,"seconds":…}  last
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use alluvium::checkpoint::{LATEST, PartitionFile, manifest_path};
use alluvium::{CheckpointError, CheckpointId, Checkpointer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::catalog::{Catalog, Reading, damage_of, is_damage};
use super::store;
use crate::args::VerifyCheckpointsArgs;
use crate::bar::Bar;
use crate::checkpoints::Named;
use crate::error::{Failure, chain as told};
use crate::human::count;
use crate::output::{Output, human_bytes};

/// How many files are read at a time.
const READS: usize = 4;

pub(super) async fn run(args: &VerifyCheckpointsArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let checkpointer = store::open(&args.store).await?;
    let mut survey = Survey::default();
    let mut catalog = Catalog::new(Arc::clone(&checkpointer));
    if args.all {
        // First, so that what it names is listed, unless it is gone.
        let latest = catalog.latest().await?;
        let listed = catalog.list().await?;
        if let Some(why) = damage_of(&latest, &listed) {
            survey.note(LATEST.to_owned(), why, []);
        }
        for id in listed {
            survey.add(&mut catalog, id).await?;
        }
    } else {
        let named = match args.checkpoints.as_slice() {
            [] => &[Named::Latest],
            named => named,
        };
        for named in named {
            let id = catalog.find(*named, &args.store).await?;
            survey.add(&mut catalog, id).await?;
        }
    }
    let started = Instant::now();
    let bar = Bar::bytes("verify", output, verbose, survey.bytes());
    let read = survey.read(checkpointer.as_ref(), &bar).await;
    let bytes = bar.finish();
    survey.tell(output)?;
    read?;
    survey.conclude(bytes, started.elapsed().as_secs_f64(), output)
}

/// What is to be read, and what was found.
#[derive(Default)]
struct Survey {
    checkpoints: BTreeSet<CheckpointId>,
    /// By path, with the checkpoints that need it.
    files: BTreeMap<String, (PartitionFile, BTreeSet<CheckpointId>)>,
    /// By path: what is wrong with it, and the checkpoints that need it.
    damage: BTreeMap<String, (String, BTreeSet<CheckpointId>)>,
}

impl Survey {
    /// Adds a checkpoint and what restores it.
    async fn add(&mut self, catalog: &mut Catalog, id: CheckpointId) -> Result<(), CheckpointError> {
        let manifest = match catalog.manifest(id).await? {
            Reading::Read(manifest) => manifest,
            Reading::Unreadable(why) => {
                self.checkpoints.insert(id);
                self.note(manifest_path(id), why, [id]);
                return Ok(());
            }
            Reading::Gone => return Err(CheckpointError::NotFound { id }),
        };
        self.checkpoints.insert(id);
        let lineage = catalog.lineage(&manifest).await?;
        if let Some(why) = lineage.broken {
            let lost = lineage.chain.needs().unwrap_or(id);
            self.note(manifest_path(lost), why, [id]);
        }
        for link in lineage.chain.checkpoints() {
            for file in lineage.chain.files_of(*link) {
                let entry = self.files.entry(file.path.clone());
                let (_, needed_by) = entry.or_insert_with(|| (file.clone(), BTreeSet::new()));
                needed_by.insert(id);
            }
        }
        Ok(())
    }

    fn note(&mut self, path: String, why: String, needed_by: impl IntoIterator<Item = CheckpointId>) {
        let (_, needing) = self.damage.entry(path).or_insert((why, BTreeSet::new()));
        needing.extend(needed_by);
    }

    fn bytes(&self) -> u64 {
        let sizes = self.files.values().map(|(file, _)| file.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// Reads every file. Damage is noted; what cannot be read for another reason ends it.
    async fn read(&mut self, checkpointer: &dyn Checkpointer, bar: &Bar) -> Result<(), CheckpointError> {
        let files: Vec<PartitionFile> = self.files.values().map(|(file, _)| file.clone()).collect();
        let mut reads = stream::iter(files)
            .map(|file| async move {
                let read = read(checkpointer, &file, bar).await;
                (file.path, read)
            })
            .buffer_unordered(READS);
        while let Some((path, read)) = reads.next().await {
            match read {
                Ok(()) => {}
                Err(error) if is_damage(error.kind()) => {
                    let needed_by = self.files.get(&path).map(|(_, needed_by)| needed_by.clone());
                    self.note(path, told(&error), needed_by.unwrap_or_default());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Names everything that is damaged.
    fn tell(&self, output: Output) -> Result<(), Failure> {
        let mut lines = output.lines();
        for (path, (why, needed_by)) in &self.damage {
            if output.is_json() {
                lines.object(&json!({
                    "event": "damage",
                    "path": path,
                    "reason": why,
                    "needed_by": needed_by,
                }))?;
            } else {
                lines.text(why)?;
            }
        }
        lines.finish()
    }

    fn conclude(&self, bytes: u64, seconds: f64, output: Output) -> Result<(), Failure> {
        let needing = self.damage.values().flat_map(|(_, needed_by)| needed_by);
        let damaged: BTreeSet<CheckpointId> = needing.copied().collect();
        let is_whole = self.damage.is_empty();
        let checkpoints = count(self.checkpoints.len(), "checkpoint", "checkpoints");
        if output.is_json() {
            output.object(&json!({
                "event": "end",
                "whole": is_whole,
                "checkpoints": self.checkpoints,
                "damaged": damaged,
                "files": self.files.len(),
                "bytes": bytes,
                "seconds": (seconds * 1000.0).round() / 1000.0,
            }))?;
        } else if is_whole {
            let mut lines = output.lines();
            lines.text(&format!(
                "whole: {checkpoints}, {}, {} read in {seconds:.1} s",
                count(self.files.len(), "file", "files"),
                human_bytes(bytes),
            ))?;
            lines.finish()?;
        }
        if is_whole {
            return Ok(());
        }
        let damaged: Vec<String> = damaged.iter().map(CheckpointId::to_string).collect();
        let of = match damaged.as_slice() {
            [] => String::new(),
            damaged => format!(
                ": {} of {checkpoints} cannot be restored: {}",
                damaged.len(),
                damaged.join(", ")
            ),
        };
        let objects = count(self.damage.len(), "object is", "objects are");
        Err(Failure::Damaged {
            summary: format!("{objects} missing or damaged{of}"),
        })
    }
}

async fn read(
    checkpointer: &dyn Checkpointer,
    file: &PartitionFile,
    bar: &Bar,
) -> Result<(), CheckpointError> {
    let mut pieces = checkpointer.load_stream(file).await?;
    while let Some(piece) = pieces.try_next().await? {
        bar.advance(piece.len() as u64);
    }
    Ok(())
}
