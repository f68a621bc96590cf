//! A bucket that has lost the tail that a table has read, and that table.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::{Engine, EngineTable, Entry, KeyRange, ReconcileReason, StateConfig, Table, TableError};
use anyhow::Result;
use async_nats::jetstream;
use bytes::Bytes;
use tempfile::TempDir;

use super::TARGET;
use crate::child;
use crate::feed::{BUCKET, Bucket, filled_bucket_of, key, value_of, write};

/// One key of so many differs.
const DIFFERING: u64 = 100;

/// The bucket, and the table.
pub(super) struct Scene {
    bucket: Bucket,
    pub(super) length: usize,
    table: TempDir,
}

impl Scene {
    /// A bucket of so many keys, with values of so many bytes, that has lost one key's change in a hundred.
    pub(super) async fn with(keys: u64, length: usize) -> Result<Self> {
        let bucket = filled_bucket_of(keys, length).await?;
        let mut scene = Self {
            bucket,
            length,
            table: tempfile::tempdir()?,
        };
        let before = tempfile::tempdir()?;
        let store = scene.bucket.server.store_dir();
        scene.bucket.server.kill().await;
        copy_tree(&store, before.path())?;
        scene.bucket.server.restart().await;
        scene.write_tail(1).await?;
        child::fill(&scene.url(), TARGET, &scene.filled())?;
        scene.bucket.server.kill().await;
        fs::remove_dir_all(&store)?;
        fs::rename(before.path(), &store).or_else(|_| copy_tree(before.path(), &store))?;
        scene.bucket.server.restart().await;
        Ok(scene)
    }

    pub(super) fn url(&self) -> String {
        self.bucket.server.url()
    }

    /// Writes in the place of the lost tail another one, about the same keys and others that are new.
    pub(super) async fn write_another_tail(&mut self) -> Result<()> {
        self.write_tail(2).await
    }

    async fn write_tail(&self, tail: u64) -> Result<()> {
        let keys = self.bucket.keys;
        let context = jetstream::new(self.bucket.server.client().await);
        let writes = (0..keys / DIFFERING).map(|place| {
            let index = place * DIFFERING;
            let new = tail * keys + index;
            match place % 4 {
                0 | 1 => (key(index), Some(value_of(new, self.length))),
                2 => (key(index), None),
                _ => (key(new), Some(value_of(new, self.length))),
            }
        });
        write(&context, writes).await
    }

    fn filled(&self) -> PathBuf {
        self.table.path().join("state")
    }

    /// A copy of the table, as it is found for this reason.
    pub(super) fn copy_of_table(&self, directory: &Path, reason: ReconcileReason) -> Result<PathBuf> {
        let state = directory.join("state");
        copy_tree(&self.filled(), &state)?;
        if reason == ReconcileReason::Interrupted {
            let state = open(&state)?;
            // What every repair begins with.
            state.table.amend(&[])?;
            state.close()?;
        }
        Ok(state)
    }
}

/// A table in its state directory.
pub(super) struct Open {
    engine: Arc<dyn Engine>,
    table: Arc<dyn Table>,
}

pub(super) fn open(state: &Path) -> Result<Open> {
    let engine = StateConfig::new(&TARGET.url(state))?.open_engine()?;
    let table = Arc::new(EngineTable::open(Arc::clone(&engine), BUCKET)?);
    Ok(Open { engine, table })
}

impl Open {
    pub(super) fn rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Entry), TableError>> + use<>, TableError> {
        self.table.snapshot()?.scan(&KeyRange::all())
    }

    pub(super) fn close(self) -> Result<()> {
        drop(self.table);
        Ok(self.engine.close()?)
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
