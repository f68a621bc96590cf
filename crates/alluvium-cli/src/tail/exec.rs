//! Giving a batch to a command on its standard input.
//!
//! The command runs in a process group of its own: what interrupts the tail from a terminal does not interrupt it, and if its
//! time is over it is killed with everything that it has started. One that outlives the tail, because that was killed, is
//! left alone: it may still be at a batch that is given again.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium::{Action, BoxError, Delivery, Evidence, Handler};
use async_trait::async_trait;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::line;

/// Whether a batch is being worked on.
#[derive(Clone, Default)]
pub(super) struct InHand(Arc<AtomicBool>);

impl InHand {
    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// It is done with, well or not.
    pub(super) fn put_down(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A command that each batch is given to.
pub(super) struct Exec {
    command: String,
    is_bucket: bool,
    in_hand: InHand,
}

/// How the command ended.
#[derive(Debug, thiserror::Error)]
#[error("the command ended with {0}")]
struct Ended(ExitStatus);

#[derive(Debug, thiserror::Error)]
#[error("the command cannot be run")]
struct NotRun(#[source] std::io::Error);

impl Exec {
    pub(super) fn new(command: &str, is_bucket: bool, in_hand: InHand) -> Self {
        Self {
            command: command.to_owned(),
            is_bucket,
            in_hand,
        }
    }

    fn spawn(&self, evidence: &Evidence) -> Result<Running, NotRun> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &self.command])
            .env("ALLUVIUM_WORKER", &evidence.worker)
            .env("ALLUVIUM_LOG", &evidence.log.name)
            .env("ALLUVIUM_FIRST", evidence.first.to_string())
            .env("ALLUVIUM_LAST", evidence.last.to_string())
            .env("ALLUVIUM_ATTEMPT", evidence.attempt.to_string())
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        Ok(Running(command.spawn().map_err(NotRun)?))
    }

    async fn run(&self, delivery: &Delivery) -> Result<Action, BoxError> {
        let lines = line::lines(delivery, self.is_bucket);
        let mut running = self.spawn(delivery.evidence())?;
        let input = running.0.stdin.take();
        let write = async move {
            if let Some(mut input) = input {
                // A command need not read what it is given: its exit code counts.
                let _ = input.write_all(&lines).await;
            }
            // Closed by now.
            std::future::pending::<ExitStatus>().await
        };
        let status = tokio::select! {
            status = running.0.wait() => status.map_err(NotRun)?,
            status = write => status,
        };
        if status.success() {
            return Ok(Action::Continue);
        }
        Err(Ended(status).into())
    }
}

#[async_trait]
impl Handler for Exec {
    async fn handle(&self, delivery: Delivery) -> Result<Action, BoxError> {
        self.in_hand.take();
        let result = self.run(&delivery).await;
        self.in_hand.put_down();
        result
    }
}

/// A command that runs. Dropped before it has ended, it is killed with its whole group.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // There is no number any more once it has ended and was waited for: it may be somebody else's by then.
        #[cfg(unix)]
        if let Some(pid) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(pid)
        {
            // It may have ended just now.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
