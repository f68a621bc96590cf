//! The rounds of one replica: lease, export, complete, prune; again and again, or when asked to.
//!
//! Nothing here is needed for what is published to be right: that is seen to by the pointer's compare-and-swap. A lease saves
//! the other nodes the work, and whatever goes wrong with it costs work and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_core::{Acquired, Lease, LeaseError, Log, Table, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::pipeline::Running;
use super::schedule::Claim;
use super::{ExportError, ExportSchedule, ExportStatus, Exported, Exporter};
use crate::error::Chain;
use crate::{State, Status};

/// For how long a replica that is told to stop waits for a lease that it is asking for or giving back.
const LEAVE: Duration = Duration::from_secs(5);

/// What came of a round. Each is a normal end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Round {
    /// It was done, and this came of it.
    Exported(Exported),
    /// It was not done.
    Skipped(SkipReason),
}

/// Why a round was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The replica has not caught up with its log.
    NotCaughtUp,
    /// Another node does it.
    HeldElsewhere {
        /// Who.
        by: String,
        /// Until when, if it does not renew its lease.
        until: Timestamp,
    },
    /// Another round was done not long ago.
    Resting {
        /// When the next one may be.
        until: Timestamp,
    },
    /// Another node took the lease over before there was anything to upload.
    LeaseLost,
}

/// Who asks for a round, and is told what came of it.
pub(crate) type Request = oneshot::Sender<Result<Round, Arc<ExportError>>>;

/// The rounds of one replica.
pub(crate) struct Rounds {
    exporter: Exporter,
    schedule: ExportSchedule,
    status: watch::Sender<Status>,
}

/// Rounds that run.
pub(crate) struct RunningRounds {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningRounds {
    /// Tells the rounds to end, without waiting for it.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until nothing of them runs any more.
    pub(crate) async fn ended(self) {
        self.stop();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the rounds of exports ended in the middle");
        }
    }
}

/// What a round came to.
struct Done {
    round: Round,
    /// What went wrong all the same.
    aside: Option<Arc<ExportError>>,
}

impl Rounds {
    pub(crate) fn new(
        schedule: ExportSchedule,
        table: Arc<dyn Table>,
        log: Arc<dyn Log>,
        status: watch::Sender<Status>,
    ) -> Self {
        let exporter = Exporter::new(
            table,
            Arc::clone(&schedule.transport),
            schedule.key.clone(),
            schedule.options.clone().log(log),
        );
        status.send_modify(|status| status.exports = Some(ExportStatus::default()));
        Self {
            exporter,
            schedule,
            status,
        }
    }

    /// Starts them, in a task of their own.
    pub(crate) fn spawn(self, requests: mpsc::Receiver<Request>) -> RunningRounds {
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(self.run(requests, stop.subscribe()));
        RunningRounds { stop, task }
    }

    async fn run(self, mut requests: mpsc::Receiver<Request>, stop: watch::Receiver<bool>) {
        let mut next = self.schedule.every.map(|_| Instant::now());
        loop {
            let request = tokio::select! {
                () = stopped(&stop) => return,
                Some(request) = requests.recv() => Some(request),
                () = self.due(next) => None,
            };
            let begun = Instant::now();
            let Some(outcome) = self.round(request.is_some(), &stop).await else {
                return;
            };
            self.tell(&outcome);
            match (request, self.schedule.every) {
                // Whoever asked may have stopped waiting.
                (Some(request), _) => drop(request.send(outcome.map(|done| done.round))),
                (None, Some(every)) => next = Some(begun + self.pause(&outcome, every)),
                (None, None) => {}
            }
        }
    }

    /// Waits until a round is due, and can be done.
    async fn due(&self, next: Option<Instant>) {
        match next {
            Some(next) => sleep_until(next).await,
            None => std::future::pending().await,
        }
        let mut status = self.status.subscribe();
        // The sender is this one's, so this does not fail.
        let _ = status.wait_for(caught_up).await;
    }

    /// How long after its beginning a round is followed by the next one.
    fn pause(&self, outcome: &Result<Done, Arc<ExportError>>, every: Duration) -> Duration {
        match outcome {
            // Clocks differ: whoever asks too early asks again, but not without pause.
            Ok(Done {
                round: Round::Skipped(SkipReason::Resting { until }),
                ..
            }) => {
                let now = self.schedule.options.clock.now();
                until.since(now).clamp(every / 10, every)
            }
            _ => every,
        }
    }

    /// A round. Nothing if it was stopped: then nothing of it runs any more, and the lease is given back.
    async fn round(
        &self,
        asked: bool,
        stop: &watch::Receiver<bool>,
    ) -> Option<Result<Done, Arc<ExportError>>> {
        if !caught_up(&self.status.borrow()) {
            return Some(Ok(Done::skipped(SkipReason::NotCaughtUp)));
        }
        let begun = Instant::now();
        let lease = match &self.schedule.claim {
            None => None,
            Some(claim) => match acquire(claim, stop).await? {
                Ok(Acquired::Yes(lease)) => Some((claim, lease)),
                Ok(Acquired::Held { by, until, .. }) => {
                    return Some(Ok(Done::skipped(SkipReason::HeldElsewhere { by, until })));
                }
                // Whoever asks for a round wants one.
                Ok(Acquired::Resting { .. }) if asked => None,
                Ok(Acquired::Resting { until, .. }) => {
                    return Some(Ok(Done::skipped(SkipReason::Resting { until })));
                }
                Err(error) => return Some(Err(Arc::new(ExportError::Lease(error)))),
            },
        };
        let (running, mut ended) = mpsc::channel(1);
        let exported = tokio::select! {
            () = stopped(stop) => None,
            exported = self.export(lease.as_ref(), running) => Some(exported),
        };
        // The end of the last of its threads: they have no stream any more to make segments for.
        let _ = ended.recv().await;
        let result = match &exported {
            Some(Ok(Some(exported))) => note(exported),
            _ => None,
        };
        if let Some((claim, lease)) = lease {
            let rest = self
                .schedule
                .every
                .map_or(Duration::ZERO, |every| every.saturating_sub(begun.elapsed()));
            give_back(claim, lease, result, rest).await;
        }
        let exported = match exported? {
            Ok(Some(exported)) => exported,
            Ok(None) => return Some(Ok(Done::skipped(SkipReason::LeaseLost))),
            Err(error) => return Some(Err(Arc::new(error))),
        };
        let aside = tokio::select! {
            () = stopped(stop) => None,
            error = self.prune(&exported) => error,
        };
        Some(Ok(Done {
            round: Round::Exported(exported),
            aside,
        }))
    }

    /// Exports, and renews the lease meanwhile. Nothing if the lease was lost before there was anything to upload.
    async fn export(
        &self,
        lease: Option<&(&Claim, Lease)>,
        running: Running,
    ) -> Result<Option<Exported>, ExportError> {
        let lost = AtomicBool::new(false);
        let export = self.exporter.export_if(running, || !lost.load(Ordering::Relaxed));
        let renew = async {
            if let Some((claim, lease)) = lease {
                keep(claim, lease).await;
                lost.store(true, Ordering::Relaxed);
            }
            // What is being uploaded is as good without a lease.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            exported = export => exported,
            () = renew => Ok(None),
        }
    }

    /// Prunes after an artifact was published. What could not be pruned is the next one's to prune.
    async fn prune(&self, exported: &Exported) -> Option<Arc<ExportError>> {
        let (Exported::Published(_), Some(retention)) = (exported, self.schedule.retention) else {
            return None;
        };
        let key = &self.schedule.key;
        match self.schedule.transport.prune(key, retention).await {
            Ok(pruned) => {
                tracing::debug!(%key, objects = pruned.objects, bytes = pruned.bytes, "pruned");
                None
            }
            Err(error) => {
                tracing::warn!(%key, error = %Chain(&error), "artifacts could not be pruned");
                Some(Arc::new(ExportError::Prune(error)))
            }
        }
    }

    /// Says in the status what came of a round.
    fn tell(&self, outcome: &Result<Done, Arc<ExportError>>) {
        let key = &self.schedule.key;
        self.status.send_modify(|status| {
            let exports = status.exports.get_or_insert_default();
            match outcome {
                Err(error) => {
                    tracing::warn!(%key, error = %Chain(error.as_ref()), "a round of exports failed");
                    exports.error = Some(Arc::clone(error));
                }
                Ok(Done {
                    round: Round::Skipped(reason),
                    ..
                }) => {
                    tracing::debug!(%key, ?reason, "a round of exports was skipped");
                    exports.skipped += 1;
                }
                Ok(Done {
                    round: Round::Exported(exported),
                    aside,
                }) => {
                    exports.rounds += 1;
                    exports.error.clone_from(aside);
                    if let Exported::Published(report) = exported {
                        exports.published_at = Some(std::time::Instant::now());
                        exports.cursor = Some(report.cursor().clone());
                        exports.published += 1;
                    }
                }
            }
        });
    }
}

impl Done {
    fn skipped(reason: SkipReason) -> Self {
        Self {
            round: Round::Skipped(reason),
            aside: None,
        }
    }
}

fn caught_up(status: &Status) -> bool {
    status.state == State::Live && status.cursor.is_some()
}

async fn stopped(stop: &watch::Receiver<bool>) {
    // An error means that whoever could say so is gone, which says the same.
    let _ = stop.clone().wait_for(|stop| *stop).await;
}

/// Asks for the lease. Nothing if the replica is to stop; a lease that was still given then is given back.
async fn acquire(claim: &Claim, stop: &watch::Receiver<bool>) -> Option<Result<Acquired, LeaseError>> {
    let mut asking = claim.leases.try_acquire(&claim.name, &claim.holder, claim.ttl);
    tokio::select! {
        () = stopped(stop) => {
            if let Ok(Ok(Acquired::Yes(lease))) = timeout(LEAVE, asking).await {
                give_back(claim, lease, None, Duration::ZERO).await;
            }
            None
        }
        acquired = &mut asking => Some(acquired),
    }
}

/// Renews a lease until it is lost.
async fn keep(claim: &Claim, lease: &Lease) {
    let pause = claim.ttl / 3;
    loop {
        sleep(pause).await;
        match timeout(pause, claim.leases.renew(lease, claim.ttl)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error @ LeaseError::Lost { .. })) => {
                tracing::warn!(lease = claim.name, %error, "the lease of a round was lost");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(lease = claim.name, error = %Chain(&error), "a lease could not be renewed");
            }
            Err(_) => tracing::warn!(lease = claim.name, "a lease was not renewed in time"),
        }
    }
}

/// What is left as a note of a round that is done: the cursor, as JSON. Nothing if another may do it at once.
fn note(exported: &Exported) -> Option<String> {
    match exported {
        Exported::Published(_) | Exported::Unchanged { .. } => {
            // A cursor has nothing in it that JSON has not.
            Some(serde_json::to_string(&exported.newest().cursor).unwrap_or_default())
        }
        Exported::SupersededByNewer { .. } => None,
    }
}

/// Gives a lease back, with the note of a round that is done, or free for anybody at once. What fails here is over in time.
async fn give_back(claim: &Claim, lease: Lease, note: Option<String>, rest: Duration) {
    let given = async {
        match note {
            Some(note) => claim.leases.complete(lease, &note, rest).await,
            None => claim.leases.abandon(lease).await,
        }
    };
    match timeout(LEAVE, given).await {
        Ok(Ok(())) => {}
        // Whoever has it now does the next round.
        Ok(Err(error @ LeaseError::Lost { .. })) => tracing::debug!(lease = claim.name, %error),
        Ok(Err(error)) => {
            tracing::warn!(lease = claim.name, error = %Chain(&error), "a lease could not be given back");
        }
        Err(_) => tracing::warn!(lease = claim.name, "a lease could not be given back in time"),
    }
}
