//! A reconcile without a listing: the table was exact at a cursor, of a history of its log that has ended since.
//!
//! A log that lost its tail or was restored from a backup, and may have been written on since, has two histories which are the same up
//! to one sequence. Of each key it holds one message, and it tells which messages it holds. So
//!
//! 1. the table's rows are asked about, by bisection, until the last one is found that the log confirms. Up to there both
//!    histories are the same;
//! 2. rows up to there whose message the log holds are right. What else it holds up to there is fetched;
//! 3. what it holds after that is read;
//! 4. rows that none of that was about are gone, unless the log holds something newer of their keys: that is read first.
//!
//! Where more than a small part differs, and whenever something is not as it has to be for this, the log is listed.

use alluvium_core::{
    Bounds, Change, Cursor, Holdings, LogIdentity, LogStream, Mode, ReconcileReason, Sequence, Timestamp,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::account::{Account, Differences, Sequences, Untied};
use super::driver::{Driver, Interruption};
use super::piece::{PIECE_BYTES, PieceEnd};
use super::queue::{Work, weight};
use super::reconcile::gone;
use super::repair::FETCHES;
use crate::ReplicaError;

/// Deleted messages that a log is asked for at most: a server tells them in one answer, in some 10 bytes each.
const MOST_DELETED: u64 = 1_000_000;
/// As long as there are so many for each message, they are told in fewer bytes than a listing takes.
const DELETED_EACH: u64 = 16;
/// So many are always few.
const FEW_DELETED: u64 = 256;
/// Rows of which the message is gone when the log is to confirm it.
const MOST_GONE: usize = 256;
/// Keys that are listed at a time.
const AT_A_TIME: usize = 64;
/// How often what is left of the rows may turn out to be of keys that were just written again.
const ROUNDS: usize = 16;
/// Rows that go in one step.
const SWEEP_STEP: usize = 4_096;

/// Where a table is exact at.
pub(super) struct Mended {
    pub(super) sequence: Sequence,
    /// When the log stored the message there, if it was given one.
    pub(super) timestamp: Option<Timestamp>,
}

/// The log after what both histories share.
struct Tail {
    stream: Option<LogStream>,
    at: Mended,
}

impl Driver {
    /// Makes the table what the log holds now. None if it takes a listing to do that.
    pub(super) async fn mend(
        &self,
        log: &LogIdentity,
        reason: ReconcileReason,
    ) -> Result<Option<Mended>, Interruption> {
        // Of a repair that was cut short the rows may be of two histories, and of a part of a log nobody can tell which of
        // its messages are of that part. An archive holds more than its log. A log that replaced another one may have been restored
        // from a backup of that, and begin as it did.
        let of_one_history = matches!(
            reason,
            ReconcileReason::TailLost | ReconcileReason::HistoryChanged | ReconcileReason::LogReplaced
        );
        if !of_one_history || self.mode != Mode::Mirror || !self.scope.is_all() {
            return Ok(None);
        }
        let bounds = self.log.bounds().await?;
        let Some(holdings) = self.holdings(log, &bounds).await? else {
            return Ok(None);
        };
        let last = holdings.bounds().last;
        // What was to be deleted before is deleted.
        self.queue.settle().await?;
        let table = self.table.clone();
        let Some(mut account) = blocking(move || Account::of(table.as_ref(), holdings)).await? else {
            return Ok(None);
        };
        let Some(shared) = self.shared(&mut account).await? else {
            return Ok(None);
        };
        let Some(Differences { lacking, mut untied }) = account.differences(shared) else {
            return Ok(None);
        };
        tracing::info!(
            table = self.table.name(), %shared, lacking = lacking.len(), untied = untied.len(),
            "the table is the log's up to there"
        );
        self.queue.push(Work::BeginReconcile).await?;
        self.fetch_lacking(lacking, &mut untied).await?;
        let mut tail = Tail {
            stream: None,
            at: Mended {
                sequence: shared,
                timestamp: None,
            },
        };
        self.read_tail(log, &mut tail, last, &mut untied).await?;
        self.sweep(log, &mut tail, untied).await?;
        Ok(Some(tail.at))
    }

    /// Gives the table a cursor. Returns where.
    pub(super) async fn mended(&self, log: &LogIdentity, mended: &Mended) -> Result<Sequence, Interruption> {
        let bounds = self.log.bounds().await?;
        if bounds.log != *log {
            return Err(self.replaced().into());
        }
        let cursor = mended.cursor(log);
        let there = self.held_at(&bounds, &cursor).await?;
        // It lost its tail again meanwhile: what was read is of another history then.
        let is_another = mended
            .timestamp
            .zip(there)
            .is_some_and(|(read, there)| read != there);
        if bounds.last < mended.sequence || is_another {
            return Err(self.changed_too_much().into());
        }
        if bounds.retention.evicts_latest() {
            self.queue.push(Work::RememberEviction).await?;
        }
        let timestamp = there.unwrap_or(cursor.timestamp);
        self.queue
            .push(Work::Mended(cursor.at(mended.sequence, timestamp)))
            .await?;
        // What came right after it is gone, and may have deleted what it holds.
        if bounds.first > mended.sequence.next() {
            return Err(self.evicted_unread().into());
        }
        Ok(mended.sequence)
    }

    /// Which messages the log holds, if that is told in less than a listing, and each is the last of its key.
    pub(super) async fn holdings(
        &self,
        log: &LogIdentity,
        bounds: &Bounds,
    ) -> Result<Option<Holdings>, Interruption> {
        let few = bounds
            .messages
            .saturating_mul(DELETED_EACH)
            .saturating_add(FEW_DELETED);
        let most = few.min(MOST_DELETED);
        if bounds.retention.history != Some(1) || bounds.deleted() > most {
            return Ok(None);
        }
        let told = self.log.holdings(most).await?;
        Ok(told.filter(|told| told.bounds().log == *log && told.bounds().retention.history == Some(1)))
    }

    /// Up to where the log is what it was when the table read it, at least: the last row that it confirms. Nothing if too much of it
    /// goes meanwhile.
    async fn shared(&self, account: &mut Account) -> Result<Option<Sequence>, Interruption> {
        let (mut shared, mut after, mut upto) =
            (Sequence::ZERO, Sequence::ZERO, account.holdings().bounds().last);
        let mut gone = 0;
        while let Some((sequence, settled)) = account.near_the_middle(after, upto) {
            match self.confirms(sequence).await? {
                Some(true) => (shared, after) = (sequence, settled),
                Some(false) => upto = sequence.previous(),
                None => {
                    account.is_gone(sequence);
                    gone += 1;
                    if gone > MOST_GONE {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(shared))
    }

    /// Whether the row of this sequence is of the message that the log holds there. Nothing if it holds none any more.
    async fn confirms(&self, sequence: Sequence) -> Result<Option<bool>, Interruption> {
        let Some(message) = self.log.message_at(sequence).await? else {
            return Ok(None);
        };
        let table = self.table.clone();
        let row = blocking(move || table.get(&message.key)).await?;
        let at = row.map(|row| (row.sequence, row.timestamp));
        Ok(Some(at == Some((sequence, message.timestamp))))
    }

    /// Fetches messages. What is gone was replaced or deleted, and shows where the log is read on.
    async fn fetch_lacking(&self, lacking: Sequences, untied: &mut Untied) -> Result<(), Interruption> {
        let fetched = lacking.into_iter().map(|sequence| self.log.message_at(sequence));
        let mut fetched = stream::iter(fetched).buffered(FETCHES);
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while let Some(change) = fetched.next().await {
            let Some(change) = change? else { continue };
            self.count(1);
            // Of most markers there is no row.
            if untied.remove(&change.key).is_none() && change.value().is_none() {
                continue;
            }
            bytes += weight(&change);
            changes.push(change);
            if bytes >= PIECE_BYTES {
                bytes = 0;
                self.queue.push(Work::Amend(std::mem::take(&mut changes))).await?;
            }
        }
        self.queue.push(Work::Amend(changes)).await?;
        Ok(())
    }

    /// Reads on, at least up to a sequence.
    async fn read_tail(
        &self,
        log: &LogIdentity,
        tail: &mut Tail,
        upto: Sequence,
        untied: &mut Untied,
    ) -> Result<(), Interruption> {
        while tail.at.sequence < upto {
            let stream = if let Some(stream) = &mut tail.stream {
                stream
            } else {
                let stream = self.log.read(tail.at.sequence.next(), &self.scope).await?;
                self.still_the_same(log).await?;
                tail.stream.insert(stream)
            };
            let piece = self.receive(stream).await;
            for change in &piece.changes {
                untied.remove(&change.key);
            }
            if let Some(last) = piece.changes.last() {
                tail.at = Mended {
                    sequence: last.sequence,
                    timestamp: Some(last.timestamp),
                };
                self.queue.push(Work::Amend(piece.changes)).await?;
            }
            match piece.end {
                Some(PieceEnd::CaughtUp(sequence)) if sequence > tail.at.sequence => {
                    tail.at = Mended {
                        sequence,
                        timestamp: None,
                    };
                }
                None | Some(PieceEnd::CaughtUp(_)) => {}
                Some(PieceEnd::Failed(error)) => return Err(error.into()),
                Some(PieceEnd::Over) => return Err(self.over().into()),
            }
        }
        Ok(())
    }

    /// Deletes the rows that are left, once the log is known to hold nothing of their keys.
    async fn sweep(
        &self,
        log: &LogIdentity,
        tail: &mut Tail,
        mut untied: Untied,
    ) -> Result<(), Interruption> {
        for _ in 0..ROUNDS {
            if untied.is_empty() {
                return Ok(());
            }
            let bounds = self.log.bounds().await?;
            if bounds.log != *log {
                return Err(self.replaced().into());
            }
            if bounds.last <= tail.at.sequence {
                // All that it holds has been looked at.
                return self.delete(&tail.at, log, untied.into_keys().collect()).await;
            }
            let keys: Vec<Bytes> = untied.keys().cloned().collect();
            let mut newest = tail.at.sequence;
            for keys in keys.chunks(AT_A_TIME) {
                let held = self.list_keys(keys.iter()).await?;
                let is_held = |key: &&Bytes| held.iter().any(|listed| listed.key == **key);
                let gone: Vec<Bytes> = keys.iter().filter(|key| !is_held(key)).cloned().collect();
                for key in &gone {
                    untied.remove(key);
                }
                self.delete(&tail.at, log, gone).await?;
                newest = held
                    .iter()
                    .map(|listed| listed.sequence)
                    .fold(newest, Sequence::max);
            }
            self.read_tail(log, tail, newest, &mut untied).await?;
        }
        Err(self.changed_too_much().into())
    }

    async fn delete(&self, at: &Mended, log: &LogIdentity, keys: Vec<Bytes>) -> Result<(), Interruption> {
        let cursor = at.cursor(log);
        for keys in keys.chunks(SWEEP_STEP) {
            let changes: Vec<Change> = keys.iter().map(|key| gone(key.clone(), &cursor)).collect();
            self.queue.push(Work::Amend(changes)).await?;
        }
        Ok(())
    }
}

impl Mended {
    /// The cursor there.
    pub(super) fn cursor(&self, log: &LogIdentity) -> Cursor {
        // A message that was gone at once: no later start will find another one in its place.
        Cursor::start_of(log.clone()).at(self.sequence, self.timestamp.unwrap_or(log.created))
    }
}

/// Does what reads a table off the runtime's threads.
async fn blocking<T: Send + 'static, E: Into<ReplicaError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Interruption> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| ReplicaError::ShutDown)?.map_err(Into::into)?)
}
