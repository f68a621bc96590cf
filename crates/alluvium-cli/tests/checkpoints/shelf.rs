//! Checkpoints in files, as a program leaves them, and what may befall them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use alluvium::checkpoint::{FileKind, FilePlace, Manifest, SourcePosition, SourceState, manifest_path};
use alluvium::{CheckpointId, Checkpointer, Epoch, LogIdentity, Sequence, StateConfig, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::alluvium;

/// When every checkpoint of the tests was taken, in milliseconds.
pub(crate) const TAKEN: i64 = 1_700_000_000_000;
/// The operators and their partitions.
const OPERATORS: [(&str, u32); 2] = [("count", 2), ("Join/left", 1)];

pub(crate) struct Shelf {
    directory: TempDir,
    runtime: Runtime,
    checkpointer: Arc<dyn Checkpointer>,
}

impl Shelf {
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let runtime = Runtime::new().expect("a runtime");
        let config = StateConfig::new(&format!("file://{}", directory.path().display())).expect("a place");
        let checkpointer = runtime.block_on(config.open_checkpointer()).expect("it opens");
        Self {
            directory,
            runtime,
            checkpointer,
        }
    }

    /// A full checkpoint, two that build on it one after the other, and a full one that `_latest` names.
    pub(crate) fn filled() -> (Self, [CheckpointId; 4]) {
        let shelf = Self::empty();
        let base = shelf.take(1, None);
        let first = shelf.take(2, Some(base));
        let second = shelf.take(3, Some(first));
        let full = shelf.take(4, None);
        shelf.announce(full);
        (shelf, [base, first, second, full])
    }

    /// A complete checkpoint: full, or deltas on a parent.
    pub(crate) fn take(&self, epoch: u64, parent: Option<CheckpointId>) -> CheckpointId {
        let kind = if parent.is_some() {
            FileKind::Delta
        } else {
            FileKind::Snapshot
        };
        self.runtime.block_on(async {
            let id = self.checkpointer.begin().await.expect("a name");
            let mut manifest = Manifest::new(id, Epoch::new(epoch).expect("an epoch"), TAKEN);
            manifest.parent_id = parent;
            for (operator, partitions) in OPERATORS {
                let mut files = Vec::new();
                for partition in 0..partitions {
                    let place = FilePlace {
                        id,
                        operator,
                        partition,
                        kind,
                    };
                    let length = if parent.is_some() { 10 } else { 1_000 };
                    let bytes = vec![b'a' + u8::try_from(partition).expect("few"); length];
                    files.push(
                        self.checkpointer
                            .save(place, bytes.into())
                            .await
                            .expect("it is saved"),
                    );
                }
                manifest = manifest.operator(operator, files);
            }
            let log = LogIdentity::new("ORDERS", Timestamp::from_nanos(TAKEN * 1_000_000));
            let orders = SourcePosition::JetStream {
                log,
                sequence: Sequence::new(42),
            };
            let other = SourceState::new("queue", [("at".to_owned(), "x y".to_owned())].into());
            manifest = manifest
                .source("orders", orders)
                .source("other", other)
                .watermark(TAKEN);
            self.checkpointer
                .save_manifest(&manifest)
                .await
                .expect("it is complete");
            id
        })
    }

    /// A file of a checkpoint that is never completed.
    pub(crate) fn begin(&self) -> CheckpointId {
        self.runtime.block_on(async {
            let id = self.checkpointer.begin().await.expect("a name");
            let saved = self.checkpointer.save_snapshot(id, "count", 0, "half".into());
            saved.await.expect("it is saved");
            id
        })
    }

    pub(crate) fn announce(&self, id: CheckpointId) {
        let updated = self.runtime.block_on(self.checkpointer.update_latest(id));
        updated.expect("it is the latest");
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.directory.path().display())
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub(crate) fn manifest(&self, id: CheckpointId) -> PathBuf {
        self.path(&manifest_path(id))
    }

    /// Every object's path, below the directory.
    pub(crate) fn objects(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        collect(self.directory.path(), &mut found);
        found
            .into_iter()
            .filter_map(|path| Some(path.strip_prefix(self.directory.path()).ok()?.to_owned()))
            // What the store keeps for itself.
            .filter(|path| !path.to_string_lossy().starts_with(".alluvium"))
            .collect()
    }

    /// Runs `alluvium checkpoints` on it.
    pub(crate) fn run(&self, command: &str, more: &[&str]) -> Output {
        let url = self.url();
        alluvium([&["checkpoints", command, "--store", &url], more].concat())
    }

    /// The same with `--json`, and the lines that it has printed. It ends with this code.
    pub(crate) fn json(&self, command: &str, more: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(command, &[more, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

fn collect(directory: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path);
        }
    }
}

/// Flips a bit in the middle of a file.
pub(crate) fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it can be written");
}

/// What was printed by a command that ended with this code.
pub(crate) fn printed(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What was said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}
