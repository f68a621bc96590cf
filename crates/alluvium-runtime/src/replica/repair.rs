//! A reconcile, seen from the log: lists what it holds, fetches what the table does not show, and says when that is all.
//!
//! Only values that differ are fetched, a few at a time, unless all of them do: then they come with the listing. What was
//! listed can be gone when it is fetched. It is then asked for once more, at the end: a key that was written again meanwhile is
//! left alone, for the read that follows brings it, and one that the log holds nothing of is gone.

use alluvium_core::{
    Change, Cursor, ListEvent, ListStream, Listed, LogError, LogIdentity, ReconcileReason, Sequence,
    unlisted_is_deleted,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::oneshot;

use super::driver::{Driver, Interruption};
use super::piece::{PIECE_BYTES, PieceEnd};
use super::queue::{Work, weight};
use super::reconcile::{Differing, Ending};

/// Listed keys are compared in pieces of at most this many.
const PIECE: usize = 4_096;
/// Values that are fetched at a time.
pub(super) const FETCHES: usize = 64;
/// Keys whose message was gone when it was to be fetched: with more of them the listing begins again.
const MOST_MISSED: usize = 65_536;
/// Keys that are listed once more at a time.
const AGAIN: usize = 64;

/// What became of a listed message.
enum Outcome {
    Found(Change),
    /// It is gone.
    Missed(Bytes),
    /// The row is of a later message, which the log holds, and lists later.
    Later,
}

impl Driver {
    /// Makes the table what the log holds now. Returns where that is.
    pub(super) async fn reconcile(
        &self,
        log: &LogIdentity,
        reason: ReconcileReason,
    ) -> Result<Sequence, Interruption> {
        tracing::info!(table = self.table.name(), %reason, "reconciling");
        self.queue.push(Work::HoldStill).await?;
        if let Some(mended) = self.mend(log, reason).await? {
            return self.mended(log, &mended).await;
        }
        self.queue.push(Work::BeginReconcile).await?;
        let sequence = if everything_differs(reason) {
            self.take_over(log).await?
        } else {
            self.compare(log).await?
        };
        let cursor = self.cursor_at(log, sequence).await?.unwrap_or_else(|| {
            // The message is gone already, so no later start will find another one in its place.
            Cursor::start_of(log.clone()).at(sequence, log.created)
        });
        let bounds = self.log.bounds().await?;
        if bounds.log != *log {
            return Err(self.replaced().into());
        }
        if bounds.retention.evicts_latest() {
            self.queue.push(Work::RememberEviction).await?;
        }
        let delete = unlisted_is_deleted(self.mode, self.table.has_evicted(), &bounds.retention);
        let (tell, told) = oneshot::channel();
        self.queue.push(Work::EndReconcile(cursor, delete, tell)).await?;
        match told.await.map_err(|_| Interruption::ApplierEnded)? {
            Ending::Whole if bounds.first <= sequence.next() => Ok(sequence),
            // What came right after the listing is gone, and may have deleted what was listed.
            Ending::Whole => Err(self.evicted_unread().into()),
            Ending::Unlisted => Err(self.may_have_evicted().into()),
            Ending::Newer => Err(self.changed_too_much().into()),
        }
    }

    /// Lists with values.
    async fn take_over(&self, log: &LogIdentity) -> Result<Sequence, Interruption> {
        let mut stream = self.log.current(&self.scope).await?;
        self.still_the_same(log).await?;
        loop {
            let piece = self.receive(&mut stream).await;
            if !piece.changes.is_empty() {
                self.queue.push(Work::Reconcile(piece.changes)).await?;
            }
            match piece.end {
                None => {}
                Some(PieceEnd::CaughtUp(sequence)) => return Ok(sequence),
                Some(PieceEnd::Failed(error)) => return Err(error.into()),
                Some(PieceEnd::Over) => return Err(self.over().into()),
            }
        }
    }

    /// Lists without values, and fetches those that differ.
    async fn compare(&self, log: &LogIdentity) -> Result<Sequence, Interruption> {
        let mut stream = self.log.list(&self.scope).await?;
        self.still_the_same(log).await?;
        let mut missed = Vec::new();
        let complete = loop {
            let (listed, complete) = self.listed(&mut stream).await?;
            self.count(listed.len());
            self.bring(listed, &mut missed).await?;
            if missed.len() > MOST_MISSED {
                return Err(self.changed_too_much().into());
            }
            if let Some(sequence) = complete {
                break sequence;
            }
        };
        // Another consumer for the same keys need not be made before this one is gone.
        drop(stream);
        while !missed.is_empty() {
            let keys = missed.split_off(missed.len().saturating_sub(AGAIN));
            let found = self.list_again(&keys, complete).await?;
            let mut gone = Vec::new();
            self.bring(found, &mut gone).await?;
            // Listed twice, gone twice: whoever is so busy is listed anew.
            if !gone.is_empty() {
                return Err(self.changed_too_much().into());
            }
        }
        Ok(complete)
    }

    /// Lists keys whose message was gone. Those that the log holds something of are spared; returned is what of that the
    /// read after `complete` does not bring.
    async fn list_again(&self, keys: &[Bytes], complete: Sequence) -> Result<Vec<Listed>, Interruption> {
        let mut found = self.list_keys(keys.iter()).await?;
        let spared = found.iter().map(|listed| listed.key.clone()).collect();
        self.queue.push(Work::Spare(spared)).await?;
        found.retain(|listed| listed.sequence <= complete);
        Ok(found)
    }

    /// What there is of a listing now, and where it is complete if it is.
    pub(super) async fn listed(
        &self,
        stream: &mut ListStream,
    ) -> Result<(Vec<Listed>, Option<Sequence>), Interruption> {
        let mut listed = Vec::new();
        let mut ready = stream.ready_chunks(PIECE);
        let events = ready.next().await.unwrap_or_default();
        if events.is_empty() {
            return Err(self.over().into());
        }
        let mut complete = None;
        for event in events {
            match event? {
                ListEvent::Key(key) => listed.push(key),
                ListEvent::Complete(sequence) => complete = Some(sequence),
            }
        }
        Ok((listed, complete))
    }

    /// Has the table show what was listed. What is gone goes to `missed`.
    async fn bring(&self, listed: Vec<Listed>, missed: &mut Vec<Bytes>) -> Result<(), Interruption> {
        if listed.is_empty() {
            return Ok(());
        }
        let differing = self.queue.compare(listed).await?;
        let outcomes = differing.into_iter().map(|differing| self.fetch(differing));
        let mut fetched = stream::iter(outcomes).buffered(FETCHES);
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while let Some(outcome) = fetched.next().await {
            match outcome? {
                Outcome::Found(change) => {
                    bytes += weight(&change);
                    changes.push(change);
                }
                Outcome::Missed(key) => missed.push(Bytes::copy_from_slice(&key)),
                Outcome::Later => {}
            }
            if bytes >= PIECE_BYTES {
                bytes = 0;
                self.queue.push(Work::Amend(std::mem::take(&mut changes))).await?;
            }
        }
        self.queue.push(Work::Amend(changes)).await?;
        Ok(())
    }

    async fn fetch(&self, Differing { listed, row }: Differing) -> Result<Outcome, LogError> {
        // A log that keeps a history may list a message that is not the last of its key, if that moves meanwhile. A row
        // that is of a later one does not go back.
        if let Some((sequence, timestamp)) = row.filter(|(sequence, _)| *sequence > listed.sequence)
            && let Some(change) = self.log.message_at(sequence).await?
            && change.key == listed.key
            && change.timestamp == timestamp
        {
            return Ok(Outcome::Later);
        }
        if let Some(reason) = listed.deleted {
            let Listed {
                key,
                sequence,
                timestamp,
                ..
            } = listed;
            return Ok(Outcome::Found(Change::delete(key, reason, sequence, timestamp)));
        }
        let change = self.log.message_at(listed.sequence).await?;
        let found = change.filter(|change| change.key == listed.key && change.timestamp == listed.timestamp);
        Ok(found.map_or(Outcome::Missed(listed.key), Outcome::Found))
    }

    /// A table without a cursor, and with rows that nobody can tell about, is decided on anew.
    fn may_have_evicted(&self) -> LogError {
        LogError::Unavailable {
            log: self.log.name().to_owned(),
            doing: "listing what it holds",
            source: "it began to evict meanwhile, and what is not listed may not be deleted".into(),
        }
    }

    pub(super) fn changed_too_much(&self) -> LogError {
        LogError::Unavailable {
            log: self.log.name().to_owned(),
            doing: "listing what it holds",
            source: "too much of it changed meanwhile".into(),
        }
    }
}

/// Whether no row can be of a message that the log holds, so that comparing before fetching would be in vain.
fn everything_differs(reason: ReconcileReason) -> bool {
    // Every row is of another log, or of what is gone.
    matches!(reason, ReconcileReason::LogReplaced | ReconcileReason::Overrun)
}
