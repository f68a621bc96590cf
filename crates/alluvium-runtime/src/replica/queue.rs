//! The bounded queue between receiving and applying: bounded in bytes, filled from a task, emptied by a thread.

use std::sync::Arc;

use alluvium_core::{Change, Cursor, Holdings, Listed, LogIdentity, Sequence};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::forget::RowAt;
use super::reconcile::{Differing, Ending};
use crate::artifact::Load;

/// What a change weighs beside its key and value.
const OVERHEAD: usize = 128;

/// What the applying thread is asked to do, in order.
pub(super) enum Work {
    /// What follows is of this log.
    Follow(LogIdentity),
    /// Apply these, rising in sequence.
    Apply(Vec<Change>),
    /// Everything in scope up to this sequence has been asked to be applied; the cursor if it can move there.
    CaughtUp(Sequence, Option<Cursor>),
    /// A reconcile is about to begin: delete no row any more on the word of who has not seen the log since.
    HoldStill,
    /// Begin a reconcile: forget the cursor, and whatever an earlier one had listed.
    BeginReconcile,
    /// The latest change of each of some keys.
    Reconcile(Vec<Change>),
    /// Say which of these the table does not show.
    Compare(Vec<Listed>, oneshot::Sender<Vec<Differing>>),
    /// Of those, the changes that they made.
    Amend(Vec<Change>),
    /// The log holds something of these keys: no row of them is gone.
    Spare(Vec<Bytes>),
    /// The listing is complete at this cursor. What was not listed is to be deleted, or not. Say whether the table has the cursor.
    EndReconcile(Cursor, bool, oneshot::Sender<Ending>),
    /// The table is what the log holds, and so has this cursor.
    Mended(Cursor),
    /// Say whether everything up to this sequence is applied.
    Reached(Sequence, oneshot::Sender<bool>),
    /// Delete these rows, if they still are of these messages, and say how many did; nothing if the table is in a repair, or keeps what
    /// its log may have evicted.
    Forget(Vec<RowAt>, oneshot::Sender<Option<u64>>),
    /// Say how many keys changes have brought the log, if that is known, and how many markers below the first sequence were known.
    Newcomers {
        /// Changes after this.
        after: Sequence,
        /// And up to this.
        upto: Sequence,
        /// The log's first sequence.
        first: Sequence,
        tell: oneshot::Sender<(Option<u64>, u64)>,
    },
    /// These are the markers that the log held up to this sequence.
    LearnMarkers(Vec<(Bytes, Sequence)>, Sequence),
    /// Of markers the log holds those among these messages, and those that came after.
    KeepMarkers(Arc<Holdings>),
    /// The log can evict.
    RememberEviction,
    /// Replace the whole content.
    Load(Load),
    /// Say when everything before this is done.
    Settle(oneshot::Sender<()>),
}

/// A piece of work, holding its share of the queue until it is done.
pub(super) struct Arrival {
    pub(super) work: Work,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// The filling end.
pub(super) struct Queue {
    arrivals: mpsc::UnboundedSender<Arrival>,
    room: Arc<Semaphore>,
    bytes: usize,
}

/// The applying thread has ended.
#[derive(Debug)]
pub(super) struct Ended;

/// A queue for this many bytes of changes.
pub(super) fn bounded(bytes: usize) -> (Queue, mpsc::UnboundedReceiver<Arrival>) {
    let bytes = bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let (sender, receiver) = mpsc::unbounded_channel();
    (
        Queue {
            arrivals: sender,
            room: Arc::new(Semaphore::new(bytes)),
            bytes,
        },
        receiver,
    )
}

impl Queue {
    /// Hands work over, after waiting for room for the changes in it. One piece larger than the whole queue waits for
    /// the queue to be empty.
    pub(super) async fn push(&self, work: Work) -> Result<(), Ended> {
        let weight = match &work {
            Work::Apply(changes) | Work::Reconcile(changes) | Work::Amend(changes) => {
                changes.iter().map(weight).sum::<usize>()
            }
            _ => 0,
        };
        let share = match u32::try_from(weight.min(self.bytes)) {
            Ok(0) | Err(_) => None,
            Ok(permits) => Some(
                Arc::clone(&self.room)
                    .acquire_many_owned(permits)
                    .await
                    .map_err(|_| Ended)?,
            ),
        };
        self.arrivals.send(Arrival { work, share }).map_err(|_| Ended)
    }

    /// Hands over a load, which brings its rows itself and so needs no room.
    pub(super) fn push_load(&self, load: Load) -> Result<(), Ended> {
        let arrival = Arrival {
            work: Work::Load(load),
            share: None,
        };
        self.arrivals.send(arrival).map_err(|_| Ended)
    }

    /// Which of the listed messages the table does not show, when everything pushed before is done.
    pub(super) async fn compare(&self, listed: Vec<Listed>) -> Result<Vec<Differing>, Ended> {
        let (tell, told) = oneshot::channel();
        self.push(Work::Compare(listed, tell)).await?;
        told.await.map_err(|_| Ended)
    }

    /// Waits until everything pushed so far is done.
    pub(super) async fn settle(&self) -> Result<(), Ended> {
        let (done, settled) = oneshot::channel();
        self.push(Work::Settle(done)).await?;
        settled.await.map_err(|_| Ended)
    }
}

/// What a change takes of the queue.
pub(super) fn weight(change: &Change) -> usize {
    change.len_bytes() + OVERHEAD
}
