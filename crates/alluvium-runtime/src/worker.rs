//! [`Worker`]: a handler that is given the messages of a log, at least once each, and survives its own failures.

mod builder;
mod call;
mod driver;
mod error;
mod event;
mod handler;
mod parking;
mod policy;
mod status;
mod stopping;

use std::fmt;
use std::sync::Arc;

use alluvium_core::{Cursor, Log, LogError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use builder::WorkerBuilder;
pub use error::{HandlerError, WorkerError};
pub use event::WorkerEvent;
pub use handler::{Action, Delivery, Handler};
pub use parking::{DeadLetters, Parked};
pub use policy::RestartPolicy;
pub use status::{WorkerState, WorkerStatus};

use crate::LogCursorBuilder;
use crate::task::joined;

/// A handler that is given the messages of a [`Log`], in the background, until it is stopped or dropped.
///
/// It gathers what has arrived into a [`Delivery`], has it handled, moves its cursor behind it, and goes on. It promises:
///
/// 1. **At least once.** Every message in scope that the log holds when its turn comes is given to the handler until a delivery
///    of it was handled, or it was parked. The cursor moves behind it only then.
/// 2. **In order.** Deliveries follow one another in the order of the log, one at a time. After a failure, a kill or a roll-back it
///    goes back to the last commit, and from there in order again: what is given twice is at most what one delivery holds.
/// 3. **A failure is survived.** A handler that fails, panics or takes longer than it may is restarted from the last commit, as the
///    [`RestartPolicy`] says; what is poisonous can be [parked](WorkerBuilder::park_after).
/// 4. **A position is not lost.** If the cursor cannot be saved the worker stops. In each case what was committed last
///    stands, in the store and in [`WorkerStatus::committed`].
/// 5. **Exactly once, where the effects are rows** of the table that [holds the cursor](Delivery::put): both are one commit.
///    Elsewhere [`Evidence::message_id`](alluvium_core::Evidence::message_id) is the key by which a downstream system tells what
///    it has been given before.
///
/// Nothing is asked of the log or its server per message, and nothing at all while no message comes.
///
/// Dropping the handle stops the worker without waiting for it, as [`stop`](Worker::stop) does.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::Scope;
/// use alluvium_memory::{MemoryCursorStore, MemoryLog};
/// use alluvium_runtime::{Action, Delivery, LogCursor, Worker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log = MemoryLog::new("ORDERS");
/// log.put("orders.1", "2 lemons");
/// log.put("orders.2", "last one");
///
/// let cursors = Arc::new(MemoryCursorStore::default());
/// let cursor = LogCursor::builder(Arc::new(log), Scope::all()).held_in(cursors, "mailer");
/// let worker = Worker::builder(cursor)
///     .start(async |delivery: Delivery| {
///         for order in &delivery {
///             println!("{}: a mail about {:?}", delivery.evidence().message_id(order.sequence, "mail"), order.key);
///         }
///         let last = delivery.iter().any(|order| order.value().is_some_and(|value| value == "last one"));
///         Ok(if last { Action::Stop } else { Action::Continue })
///     })
///     .await?;
/// let cursor = worker.join().await?;
/// assert_eq!(cursor.sequence.get(), 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker that is dropped stops"]
pub struct Worker {
    log: Arc<dyn Log>,
    stop: watch::Sender<bool>,
    status: watch::Receiver<WorkerStatus>,
    task: JoinHandle<Result<Cursor, WorkerError>>,
}

impl Worker {
    /// A worker that goes on from this cursor.
    pub fn builder(cursor: LogCursorBuilder) -> WorkerBuilder {
        WorkerBuilder::new(cursor)
    }

    /// How the worker is doing.
    pub fn status(&self) -> WorkerStatus {
        self.status.borrow().clone()
    }

    /// How the worker is doing, as it changes.
    pub fn watch_status(&self) -> watch::Receiver<WorkerStatus> {
        self.status.clone()
    }

    /// How many sequences of the log lie after the last commit, as the log says now. An upper bound of the messages still
    /// to be handled: those out of scope count too, and those that are gone.
    ///
    /// # Errors
    ///
    /// As [`Log::bounds`]; [`LogError::Replaced`] if another log has taken the place of the one that the worker is at.
    pub async fn lag(&self) -> Result<u64, LogError> {
        let bounds = self.log.bounds().await?;
        let committed = self.status.borrow().committed.clone();
        if bounds.log != committed.log {
            return Err(LogError::Replaced { log: bounds.log.name });
        }
        Ok(bounds.last.distance_from(committed.sequence))
    }

    /// Tells the worker to stop, without waiting until it has: it finishes and commits the delivery in hand, if that is done
    /// before the [deadline](WorkerBuilder::shutdown_deadline), and takes no other. A commit that fails for a moment is tried
    /// once more then, at once: if that fails too, [`join`](Self::join) says so, and the delivery comes again.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the worker stops by itself or is told to, and gives the position that is committed then.
    ///
    /// # Errors
    ///
    /// Why it stopped, if an error stopped it.
    pub async fn join(mut self) -> Result<Cursor, WorkerError> {
        joined(&mut self.task, WorkerError::Cancelled).await
    }

    /// Tells the worker to [stop](Self::stop), and [waits](Self::join) until it has.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub async fn stop_and_join(self) -> Result<Cursor, WorkerError> {
        self.stop();
        self.join().await
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("log", &self.log.name())
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}
