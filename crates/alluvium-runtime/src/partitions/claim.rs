//! A lease that is kept: renewed at a third of its time, and given up for lost by the clock that runs on this machine alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alluvium_core::{Acquired, AssignmentVersion, BoxError, ErrorKind, Lease, LeaseError, LeaseStore};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::LossReason;
use crate::error::Chain;

/// How long any request for a lease may take, if the lease does not last shorter.
const MOST_PATIENCE: Duration = Duration::from_secs(5);

/// The leases of one set of partitions, and how they are acquired.
#[derive(Clone)]
pub(super) struct Leases {
    pub(super) store: Arc<dyn LeaseStore>,
    pub(super) holder: String,
    pub(super) ttl: Duration,
}

/// What came of trying to acquire a lease.
pub(super) enum Tried {
    Claimed(Arc<Claim>),
    /// It is somebody else's, until then by the clock of the store.
    Elsewhere(alluvium_core::Timestamp),
}

impl Leases {
    pub(super) async fn try_acquire(&self, name: &str) -> Result<Tried, LeaseError> {
        let asked = Instant::now();
        let asking = self.store.try_acquire(name, &self.holder, self.ttl);
        Ok(match within(self.patience(), name, asking).await? {
            Acquired::Yes(lease) => Tried::Claimed(Arc::new(Claim::new(self.clone(), lease, asked))),
            Acquired::Held { until, .. } | Acquired::Resting { until, .. } => Tried::Elsewhere(until),
        })
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<alluvium_core::LeaseRecord>, LeaseError> {
        within(self.patience(), name, self.store.read(name)).await
    }

    fn patience(&self) -> Duration {
        (self.ttl / 3).min(MOST_PATIENCE)
    }
}

/// A request that is given up after a while. It may have had its effect: a lease that was acquired so is over in time.
async fn within<T>(
    patience: Duration,
    name: &str,
    request: impl Future<Output = Result<T, LeaseError>>,
) -> Result<T, LeaseError> {
    match timeout(patience, request).await {
        Ok(answer) => answer,
        Err(late) => Err(LeaseError::Storage {
            doing: "reach",
            location: format!("the lease {name:?}"),
            kind: ErrorKind::Transient,
            source: BoxError::from(late),
        }),
    }
}

/// A lease of this process.
pub(super) struct Claim {
    leases: Leases,
    lease: Lease,
    /// Until when it lasts in any case. Counted from before it was asked for, by a clock that nobody sets.
    until: watch::Sender<Instant>,
    /// It is not this process's any more, and what was done by it is to stop.
    gone: watch::Sender<bool>,
    why: OnceLock<LossReason>,
}

impl Claim {
    fn new(leases: Leases, lease: Lease, asked: Instant) -> Self {
        Self {
            until: watch::Sender::new(asked + leases.ttl),
            gone: watch::Sender::new(false),
            why: OnceLock::new(),
            leases,
            lease,
        }
    }

    pub(super) fn version(&self) -> AssignmentVersion {
        self.lease.assignment_version()
    }

    /// Whether it is still this process's, as far as that can be known without asking.
    pub(super) fn is_valid(&self) -> bool {
        !*self.gone.borrow() && Instant::now() < *self.until.borrow()
    }

    /// True once it is gone.
    pub(super) fn watch_gone(&self) -> watch::Receiver<bool> {
        self.gone.subscribe()
    }

    /// Waits until it is gone, and says why.
    pub(super) async fn gone(&self) -> LossReason {
        // The sender is this one's, so this does not fail.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
        self.reason()
    }

    /// Why it is gone.
    pub(super) fn reason(&self) -> LossReason {
        let unknown = LossReason::NotRenewed { error: None };
        self.why.get().cloned().unwrap_or(unknown)
    }

    /// Whether it is gone.
    pub(super) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    /// Renews it until it is gone. Ends then.
    pub(super) async fn keep(&self) {
        let third = self.leases.ttl / 3;
        let mut next = Instant::now() + third;
        let mut last_error = None;
        loop {
            let until = *self.until.borrow();
            tokio::select! {
                biased;
                _ = self.gone() => return,
                // After a long sleep both are over, and this one counts.
                () = sleep_until(until) => {
                    if *self.until.borrow() <= until {
                        self.lose(LossReason::NotRenewed { error: last_error });
                        return;
                    }
                    continue;
                }
                () = sleep_until(next) => {}
            }
            match self.renew().await {
                Ok(()) => {
                    last_error = None;
                    next = Instant::now() + third;
                }
                Err(error) => {
                    tracing::warn!(lease = self.lease.name(), error = %Chain(&error), "a lease was not renewed");
                    last_error = Some(Arc::new(error));
                    next = Instant::now() + third / 4;
                }
            }
        }
    }

    /// Renews it now.
    pub(super) async fn renew(&self) -> Result<(), LeaseError> {
        let asked = Instant::now();
        let asking = self.leases.store.renew(&self.lease, self.leases.ttl);
        match within(self.leases.patience(), self.lease.name(), asking).await {
            Ok(_) => {
                let until = asked + self.leases.ttl;
                self.until.send_if_modified(|before| {
                    let later = *before < until;
                    *before = until.max(*before);
                    later
                });
                Ok(())
            }
            Err(error) => {
                if let LeaseError::Lost { to, .. } = &error {
                    self.lose(LossReason::TakenOver { by: to.clone() });
                }
                Err(error)
            }
        }
    }

    fn lose(&self, why: LossReason) {
        let _ = self.why.set(why);
        self.gone.send_replace(true);
    }

    /// Gives it back, so that others can have it at once. What fails here is over in time.
    pub(super) async fn give_back(&self) {
        let lease = self.lease.name();
        let giving = self.leases.store.abandon(self.lease.clone());
        match within(self.leases.patience(), lease, giving).await {
            Ok(()) => {}
            Err(error @ LeaseError::Lost { .. }) => tracing::debug!(lease, %error),
            Err(error) => tracing::warn!(lease, error = %Chain(&error), "a lease was not given back"),
        }
    }
}
