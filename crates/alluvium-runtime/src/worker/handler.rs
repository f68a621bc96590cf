//! What does the work: a handler, what it is given, and what it may answer.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::{BoxError, Change, DeleteReason, Evidence};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

/// What a handler wants to happen after a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The work is done: the cursor moves behind it, and the next delivery comes.
    Continue,
    /// The work is done: the cursor moves behind it, and the worker stops.
    Stop,
    /// The work is not done, and the worker stops: after a restart the delivery comes again.
    StopWithRollback,
}

/// What a [`Worker`](super::Worker) gives its deliveries to. A closure that makes a future of a [`Delivery`] is one, and an async
/// closure if it captures nothing; what has a state is a struct, with the state behind `&self`.
///
/// It is called with one delivery at a time. If it fails or panics, it is called again, from the last commit on: what it
/// keeps between calls has to bear that.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Does the work for a delivery.
    ///
    /// # Errors
    ///
    /// Whatever kept it from that: nothing of the delivery is committed, and it is given again.
    async fn handle(&self, delivery: Delivery) -> Result<Action, BoxError>;
}

#[async_trait]
impl<F, Work> Handler for F
where
    F: Fn(Delivery) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<Action, BoxError>> + Send,
{
    async fn handle(&self, delivery: Delivery) -> Result<Action, BoxError> {
        self(delivery).await
    }
}

/// Messages to be handled, in the order of their log. Never none.
#[derive(Debug)]
pub struct Delivery {
    in_hand: Arc<InHand>,
}

/// A delivery, as the worker keeps it.
#[derive(Debug)]
pub(super) struct InHand {
    pub(super) messages: Vec<Change>,
    pub(super) evidence: Evidence,
    rows: Mutex<Vec<Change>>,
    cancelled: watch::Sender<bool>,
}

impl Delivery {
    /// The messages.
    pub fn messages(&self) -> &[Change] {
        &self.in_hand.messages
    }

    /// What names the delivery: whose idempotency keys are to be derived from it.
    pub fn evidence(&self) -> &Evidence {
        &self.in_hand.evidence
    }

    /// A row to be written in the commit that moves the cursor behind this delivery: both or neither, whatever happens. Only
    /// where the cursor is held in a table; elsewhere the commit fails, and the worker stops.
    ///
    /// The row is not to be seen in the table before. Of two rows with one key the later one counts.
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        let last = self.last();
        self.write(Change::put(key, value, last.sequence, last.timestamp));
    }

    /// A row to be removed in the same way.
    pub fn delete(&self, key: impl Into<Bytes>) {
        let last = self.last();
        let deleted = DeleteReason::Deleted;
        self.write(Change::delete(key, deleted, last.sequence, last.timestamp));
    }

    /// Whether the worker no longer waits for this delivery: it took too long, or the worker was to stop and the deadline for
    /// it is over. Whatever is done from then on is done again. For handlers that block and can look up from their work.
    pub fn is_cancelled(&self) -> bool {
        *self.in_hand.cancelled.borrow()
    }

    fn last(&self) -> &Change {
        self.in_hand.messages.last().expect("a delivery is never empty")
    }

    fn write(&self, row: Change) {
        self.in_hand.rows().push(row);
    }
}

impl Deref for Delivery {
    type Target = [Change];

    fn deref(&self) -> &[Change] {
        self.messages()
    }
}

impl<'a> IntoIterator for &'a Delivery {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages().iter()
    }
}

impl InHand {
    /// A delivery of these messages, at least one.
    pub(super) fn new(messages: Vec<Change>, evidence: Evidence) -> Arc<Self> {
        Arc::new(Self {
            messages,
            evidence,
            rows: Mutex::default(),
            cancelled: watch::Sender::new(false),
        })
    }

    pub(super) fn delivery(self: &Arc<Self>) -> Delivery {
        Delivery {
            in_hand: Arc::clone(self),
        }
    }

    /// What is to be committed with the delivery.
    pub(super) fn take_rows(&self) -> Vec<Change> {
        std::mem::take(&mut *self.rows())
    }

    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
