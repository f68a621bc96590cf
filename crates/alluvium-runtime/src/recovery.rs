//! Starting again from a checkpoint.

mod attempt;
mod error;
mod feed;
mod load;
mod parts;
mod report;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{CheckpointId, Checkpointer, Epoch};

use self::attempt::Attempt;
pub use self::error::{RecoveryError, SourceMismatch};
pub use self::parts::{MAX_COLLECTED_BYTES, Restorable, Seekable};
pub use self::report::{LatestFound, RecoveryReport, Restored, Skipped};

/// Brings operators and sources back to where a checkpoint was taken, all of them or none.
///
/// It takes the checkpoint that `_latest` names, and the next older one where that turns out to be damaged, and so on, up to a
/// bound. Only damage is a reason to go back: while the store cannot be reached, or an operator fails, or a checkpoint does not
/// fit the program, there is nothing older that would be better, and [`run`](Recovery::run) ends in an error that says what to
/// do. That there has never been a checkpoint is found only where the store says so, never where it does not answer.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
///
/// use alluvium_core::BoxError;
/// # use alluvium_core::checkpoint::Manifest;
/// # use alluvium_core::{Checkpointer as _, Epoch};
/// use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer, StoreOptions, open_store};
/// use alluvium_runtime::{RecoveredFrom, Recovery, Restorable};
/// use bytes::Bytes;
///
/// /// Counts by word, in partitions. A snapshot is all of them in JSON, a delta those that changed.
/// struct Count {
///     partitions: Vec<BTreeMap<String, u64>>,
/// }
///
/// #[async_trait::async_trait]
/// impl Restorable for Count {
///     fn id(&self) -> &str {
///         "count"
///     }
///
///     fn partitions(&self) -> u32 {
///         16
///     }
///
///     async fn reset(&mut self) -> Result<(), BoxError> {
///         self.partitions = vec![BTreeMap::new(); 16];
///         Ok(())
///     }
///
///     async fn restore(&mut self, partition: u32, snapshot: Bytes) -> Result<(), BoxError> {
///         self.partitions[partition as usize] = serde_json::from_slice(&snapshot)?;
///         Ok(())
///     }
///
///     async fn apply_delta(&mut self, partition: u32, delta: Bytes) -> Result<(), BoxError> {
///         let changed: BTreeMap<String, u64> = serde_json::from_slice(&delta)?;
///         self.partitions[partition as usize].extend(changed);
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, prefix) = open_store("memory:", &StoreOptions::default())?;
/// let checkpointer = Arc::new(ObjectStoreCheckpointer::new(store, prefix, CheckpointerOptions::default()));
/// # let id = checkpointer.begin().await?;
/// # let mut files = Vec::new();
/// # for partition in 0..16 {
/// #     let snapshot = r#"{"alluvium":7}"#.into();
/// #     files.push(checkpointer.save_snapshot(id, "count", partition, snapshot).await?);
/// # }
/// # checkpointer.save_manifest(&Manifest::new(id, Epoch::FIRST, 0).operator("count", files)).await?;
/// # checkpointer.update_latest(id).await?;
/// // There has been a checkpoint, of epoch 1.
/// let mut count = Count { partitions: Vec::new() };
/// let recovered = Recovery::new(checkpointer).run(&mut [&mut count], &mut []).await?;
/// match recovered.from {
///     RecoveredFrom::Fresh => println!("everything is read from its beginning"),
///     RecoveredFrom::Checkpoint { id, .. } => println!("the next deltas build on {id}"),
/// }
/// // What was tried, skipped and done, a line each: it belongs into the log.
/// println!("{}", recovered.report);
/// assert_eq!(count.partitions[3]["alluvium"], 7);
/// assert_eq!(recovered.next_epoch.get(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a recovery does nothing before it is run"]
pub struct Recovery {
    checkpointer: Arc<dyn Checkpointer>,
    fall_backs: u32,
    timeout: Duration,
    concurrency: NonZeroUsize,
    allow_unknown: bool,
    allow_missing: bool,
}

/// Where everything stands after a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// What it stands at.
    pub from: RecoveredFrom,
    /// The epoch of the next checkpoint: above that of the one restored and of every newer one that was found, so that
    /// `_latest` takes it.
    pub next_epoch: Epoch,
    /// What was tried, skipped and done.
    pub report: RecoveryReport,
}

/// What was recovered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveredFrom {
    /// There has never been a checkpoint: the operators are empty, and no source was sought.
    Fresh,
    /// A checkpoint.
    Checkpoint {
        /// Its name: the parent of the next one, if that has deltas.
        id: CheckpointId,
        /// Its epoch.
        epoch: Epoch,
        /// Up to where event time is complete, in milliseconds since 1970-01-01T00:00:00Z.
        watermark_ms: Option<i64>,
    },
}

impl Recovery {
    /// A recovery from what is stored here.
    pub fn new(checkpointer: Arc<dyn Checkpointer>) -> Self {
        Self {
            checkpointer,
            fall_backs: 3,
            timeout: Duration::from_mins(30),
            concurrency: NonZeroUsize::MIN.saturating_add(7),
            allow_unknown: false,
            allow_missing: false,
        }
    }

    /// How many checkpoints may be tried that are older than the newest, 3 by default: each is a step further back.
    pub fn fall_backs(mut self, most: u32) -> Self {
        self.fall_backs = most;
        self
    }

    /// How long all of it may take, but for the reset at the end; 30 minutes by default. Single requests have limits of
    /// their own, where the checkpointer has them.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many files are loaded at a time, 8 by default. Files of more than 8 MiB are not loaded ahead but streamed, so that
    /// memory is bounded by 8 MiB times this, and what a checkpointer holds of as many streams.
    pub fn concurrency(mut self, files: NonZeroUsize) -> Self {
        self.concurrency = files;
        self
    }

    /// Whether the checkpoint may have operators and sources that the program does not have: their state is dropped.
    /// Off by default.
    pub fn allow_unknown(mut self, on: bool) -> Self {
        self.allow_unknown = on;
        self
    }

    /// Whether the program may have operators and sources that the checkpoint does not have: such an operator starts
    /// empty, such a source is not sought. Off by default.
    pub fn allow_missing(mut self, on: bool) -> Self {
        self.allow_missing = on;
        self
    }

    /// Recovers.
    ///
    /// All or nothing: the operators are reset before a checkpoint is tried, sources are sought when every operator is
    /// whole, and after an error every operator has been reset. If the call is dropped, the operators hold what is no
    /// state; to run it again, or to reset them, mends that.
    ///
    /// It changes nothing in the store, and may be run again.
    ///
    /// # Errors
    ///
    /// See [`RecoveryError`]; its [`kind`](RecoveryError::kind) says what to do.
    pub async fn run(
        &self,
        operators: &mut [&mut dyn Restorable],
        sources: &mut [&mut dyn Seekable],
    ) -> Result<Recovered, RecoveryError> {
        if let Err(error) = check_names(operators, sources) {
            return Err(give_up(operators, error).await);
        }
        let mut report = RecoveryReport::default();
        let attempt = Attempt::new(self, &mut report).run(operators, sources);
        match tokio::time::timeout(self.timeout, attempt).await {
            Ok(Ok((from, next_epoch))) => Ok(Recovered {
                from,
                next_epoch,
                report,
            }),
            Ok(Err(error)) => Err(give_up(operators, error).await),
            Err(_) => {
                let error = RecoveryError::TimedOut {
                    limit: self.timeout,
                    report: Box::new(report),
                };
                Err(give_up(operators, error).await)
            }
        }
    }
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery")
            .field("fall_backs", &self.fall_backs)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .field("allow_unknown", &self.allow_unknown)
            .field("allow_missing", &self.allow_missing)
            .finish_non_exhaustive()
    }
}

/// Two of one name would both be given the same state.
fn check_names(
    operators: &[&mut dyn Restorable],
    sources: &[&mut dyn Seekable],
) -> Result<(), RecoveryError> {
    let operators = operators.iter().map(|operator| ("operators", operator.id()));
    let sources = sources.iter().map(|source| ("sources", source.id()));
    let mut seen = BTreeSet::new();
    for (what, name) in operators.chain(sources) {
        if !seen.insert((what, name)) {
            return Err(RecoveryError::Invalid(format!(
                "two {what} are called {name:?}: give each a name of its own"
            )));
        }
    }
    Ok(())
}

/// Resets all that can be, and tells of the first that cannot.
async fn give_up(operators: &mut [&mut dyn Restorable], error: RecoveryError) -> RecoveryError {
    let mut left = None;
    for operator in operators {
        if let Err(source) = operator.reset().await {
            left.get_or_insert((operator.id().to_owned(), source));
        }
    }
    match left {
        None => error,
        Some((operator, source)) => RecoveryError::NotReset {
            operator,
            after: Box::new(error),
            source,
        },
    }
}
