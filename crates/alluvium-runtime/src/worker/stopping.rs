//! What a worker is told about its end.

use tokio::sync::watch;

/// Whether a worker is to stop, and whether at once.
#[derive(Clone, Debug)]
pub(super) struct Stopping {
    stop: watch::Receiver<bool>,
    halt: Option<watch::Receiver<bool>>,
}

impl Stopping {
    pub(super) fn new(stop: watch::Receiver<bool>, halt: Option<watch::Receiver<bool>>) -> Self {
        Self { stop, halt }
    }

    /// Waits until the worker is to stop, in one way or the other.
    pub(super) async fn told(&self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = self.halted() => {}
            // An error says that the handle is gone, which is to stop, too.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Waits until the delivery in hand is to be given up.
    pub(super) async fn halted(&self) {
        match self.halt.clone() {
            // An error says that whoever could halt it is gone.
            Some(mut halt) => drop(halt.wait_for(|halt| *halt).await),
            None => std::future::pending().await,
        }
    }
}
