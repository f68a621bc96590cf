//! Where poisonous messages go, so that one does not block all that come after it.

use std::sync::Arc;

use alluvium_core::{BoxError, Change, Evidence};
use async_trait::async_trait;

use super::HandlerError;

/// Where a [`Worker`](super::Worker) puts messages that its handler fails on again and again. A closure that makes a future of
/// a [`Parked`] is one.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Takes a message over. Once this has returned, the cursor moves behind it, and it is not given to the handler again. A worker
    /// that is killed in between parks it again: its [`message_id`](Evidence::message_id) is the same then.
    ///
    /// # Errors
    ///
    /// Why it cannot be kept: the message stays where it is and is tried again, as the handler's failures are.
    async fn park(&self, parked: Parked) -> Result<(), BoxError>;
}

#[async_trait]
impl<F, Work> DeadLetters for F
where
    F: Fn(Parked) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<(), BoxError>> + Send,
{
    async fn park(&self, parked: Parked) -> Result<(), BoxError> {
        self(parked).await
    }
}

/// A message that a handler fails on, by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parked {
    /// The message.
    pub message: Change,
    /// Its last delivery.
    pub evidence: Evidence,
    /// How the handler failed on it at last.
    pub error: Arc<HandlerError>,
}

/// When a message is poisonous, and what then.
#[derive(Clone)]
pub(super) struct Parking {
    /// After so many failures on it alone.
    pub(super) after: u32,
    pub(super) dead_letters: Arc<dyn DeadLetters>,
}
