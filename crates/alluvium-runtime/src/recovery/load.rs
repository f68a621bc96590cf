//! A chain's files on their way into the operators.
//!
//! Each operator is given one file at a time, in order; the operators take theirs side by side. Small files are loaded
//! ahead, so many at a time for all operators together; a large one is streamed when its turn comes.

use std::sync::Arc;

use alluvium_core::checkpoint::{Chain, PartitionFile};
use alluvium_core::{BoxError, CheckpointError, Checkpointer};
use bytes::Bytes;
use futures_util::future::{FutureExt as _, try_join, try_join_all};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::feed::Feed;
use super::parts::Restorable;

/// The most bytes of a file that is loaded ahead: 8 MiB. So this times the concurrency bounds the memory.
pub(super) const AHEAD_BYTES: u64 = 8 << 20;

/// Why the files of a chain did not become the operators' state.
pub(super) enum LoadFailure {
    /// A file could not be loaded.
    Store { path: String, source: CheckpointError },
    /// An operator did not take what it was given, which was what had been saved.
    Operator {
        operator: String,
        doing: String,
        source: BoxError,
    },
}

/// What loads the files of one chain.
pub(super) struct Loader<'a> {
    checkpointer: &'a Arc<dyn Checkpointer>,
    chain: &'a Chain,
    concurrency: usize,
    /// One for each file that is being loaded, or lies loaded before an operator.
    permits: Semaphore,
}

/// A file whose turn comes next.
struct Ready<'a> {
    file: PartitionFile,
    /// None yet of a large one.
    bytes: Option<Bytes>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(checkpointer: &'a Arc<dyn Checkpointer>, chain: &'a Chain, concurrency: usize) -> Self {
        Self {
            checkpointer,
            chain,
            concurrency,
            permits: Semaphore::new(concurrency),
        }
    }

    /// Gives every operator all of its files. After an error some have some of them.
    pub(super) async fn restore(&self, operators: &mut [&mut dyn Restorable]) -> Result<(), LoadFailure> {
        let mut all = Vec::with_capacity(operators.len());
        for operator in operators {
            all.push(self.restore_operator(&mut **operator).boxed());
        }
        try_join_all(all).await.map(drop)
    }

    async fn restore_operator(&self, operator: &mut dyn Restorable) -> Result<(), LoadFailure> {
        let mut files = self.ahead(operator.id(), operator.partitions());
        // Both ends run in this task, so that loading ends when the recovery is dropped.
        let (loaded, mut turn) = mpsc::channel(1);
        let load = async move {
            while let Some(ready) = files.try_next().await? {
                if loaded.send(ready).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let hand_over = async move {
            while let Some(ready) = turn.recv().await {
                self.hand_over(operator, ready).await?;
            }
            Ok(())
        };
        try_join(load, hand_over).await.map(drop)
    }

    /// The files of an operator in the order in which it is given them, some of them loaded ahead.
    fn ahead(&self, operator: &str, partitions: u32) -> BoxStream<'_, Result<Ready<'_>, LoadFailure>> {
        let of_partition = |partition| self.chain.files(operator, partition);
        let files: Vec<_> = (0..partitions).flat_map(of_partition).cloned().collect();
        // Permits are taken in the order of the files. So who waits for one has none but for what is being handed over.
        let permitted = stream::iter(files).then(|file| async { (file, self.permits.acquire().await.ok()) });
        let loaded = permitted.map(|(file, permit)| self.ready(file, permit).boxed());
        loaded.buffered(self.concurrency).boxed()
    }

    async fn ready<'p>(
        &'p self,
        file: PartitionFile,
        permit: Option<SemaphorePermit<'p>>,
    ) -> Result<Ready<'p>, LoadFailure> {
        let bytes = if file.size > AHEAD_BYTES {
            None
        } else {
            let loaded = self.checkpointer.load(&file).await;
            Some(loaded.map_err(|error| failed(&file, error))?)
        };
        Ok(Ready {
            file,
            bytes,
            _permit: permit,
        })
    }

    async fn hand_over(&self, operator: &mut dyn Restorable, ready: Ready<'_>) -> Result<(), LoadFailure> {
        let file = &ready.file;
        let bytes = match ready.bytes {
            // Nothing changed. It was loaded all the same: a file that is gone is damage, whatever its size.
            Some(bytes) if file.is_delta && bytes.is_empty() => return Ok(()),
            Some(bytes) => stream::iter([Ok(bytes)]).boxed(),
            None => {
                let stream = self.checkpointer.load_stream(file).await;
                stream.map_err(|error| failed(file, error))?
            }
        };
        let feed = Feed::new(bytes);
        let taken = if file.is_delta {
            operator.apply_delta_stream(file.partition, feed.pieces()).await
        } else {
            operator.restore_stream(file.partition, feed.pieces()).await
        };
        feed.verdict().await.map_err(|error| failed(file, error))?;
        taken.map_err(|source| {
            let call = if file.is_delta {
                "apply the delta"
            } else {
                "restore the snapshot"
            };
            LoadFailure::Operator {
                operator: operator.id().to_owned(),
                doing: format!("{call} {}, whose bytes are what it saved", file.path),
                source,
            }
        })
    }
}

fn failed(file: &PartitionFile, source: CheckpointError) -> LoadFailure {
    LoadFailure::Store {
        path: file.path.clone(),
        source,
    }
}
