//! How a handler is called, and waited for.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::BoxError;
use tokio::task::JoinError;
use tokio::time::timeout;

use super::handler::InHand;
use super::stopping::Stopping;
use super::{Action, Delivery, Handler, HandlerError, WorkerError};
use crate::task;

/// How long a handler that was told to end is waited for.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// A handler that blocks.
pub(super) type BlockingHandler = dyn Fn(&Delivery) -> Result<Action, BoxError> + Send + Sync;

/// How the handler is called.
pub(super) enum Runner {
    Async(Arc<dyn Handler>),
    Blocking(Arc<BlockingHandler>),
}

/// What came of calling the handler.
pub(super) enum Outcome {
    Done(Action),
    Failed(HandlerError),
    /// The worker was to stop, and the deadline for the delivery was over.
    Abandoned,
}

/// Calls the handler.
pub(super) struct Caller {
    pub(super) runner: Runner,
    /// How long it may take for a delivery.
    pub(super) timeout: Option<Duration>,
    /// How long once the worker is to stop.
    pub(super) shutdown_deadline: Duration,
}

impl Caller {
    /// Has the delivery handled, as long as that may take.
    pub(super) async fn call(
        &self,
        in_hand: &Arc<InHand>,
        stopping: &Stopping,
    ) -> Result<Outcome, WorkerError> {
        let delivery = in_hand.delivery();
        let mut running = match &self.runner {
            Runner::Async(handler) => {
                let handler = Arc::clone(handler);
                tokio::spawn(async move { handler.handle(delivery).await })
            }
            Runner::Blocking(handler) => {
                let handler = Arc::clone(handler);
                tokio::task::spawn_blocking(move || handler(&delivery))
            }
        };
        let started = tokio::time::Instant::now();
        let (allowed, deadline) = (self.timeout, self.shutdown_deadline);
        let over = async {
            match allowed {
                Some(allowed) => tokio::time::sleep(allowed).await,
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            stopping.told().await;
            tokio::time::sleep(deadline).await;
        };
        let late = tokio::select! {
            biased;
            joined = &mut running => return Ok(outcome(joined)),
            () = over => allowed.map(HandlerError::TimedOut),
            () = stopped => None,
            () = stopping.halted() => None,
        };
        in_hand.cancel();
        running.abort();
        match timeout(CANCEL_PATIENCE, &mut running).await {
            Err(_) => Err(WorkerError::Stuck {
                on: in_hand.evidence.clone(),
                waited: started.elapsed(),
            }),
            Ok(Err(joined)) if joined.is_cancelled() => Ok(late.map_or(Outcome::Abandoned, Outcome::Failed)),
            // It was done at the last moment.
            Ok(joined) => Ok(outcome(joined)),
        }
    }
}

fn outcome(joined: Result<Result<Action, BoxError>, JoinError>) -> Outcome {
    match joined {
        Ok(Ok(action)) => Outcome::Done(action),
        Ok(Err(error)) => Outcome::Failed(HandlerError::Failed(error)),
        Err(error) => Outcome::Failed(HandlerError::Panicked {
            message: task::why(error),
        }),
    }
}
