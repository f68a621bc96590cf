//! A participant of the checkpoint protocol in a process of its own, which shares with this one nothing but the
//! store, and can be stopped and continued like any process.
//!
//! The process is the binary `participant`. It tells what it does on its standard output, and waits for a line on its
//! standard input before it goes on: so there is no clock in where it stops.

mod place;
pub mod program;
pub mod state;
pub mod told;

use std::marker::PhantomData;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub use place::Place;
pub use told::{Answer, Orders, Part, Refusal, Request, Step, Told, When, partial, partials};

use crate::wait;

/// How long it may say nothing before it is taken for stuck. On a busy machine it may take its time to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running participant, which tells `T`. Dropping it kills it, stopped or not.
#[derive(Debug)]
pub struct Participant<T = Told> {
    process: Child,
    pid: Pid,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    tells: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Participant<T> {
    /// Starts the program at this path.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub async fn start(program: &str, orders: &impl Serialize) -> Self {
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the participant starts");
        let pid = process
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .expect("a running process has an id");
        let input = process.stdin.take().expect("a pipe was asked for");
        let output = process.stdout.take().expect("a pipe was asked for");
        let mut participant = Self {
            process,
            pid,
            input,
            output: BufReader::new(output).lines(),
            tells: PhantomData,
        };
        let orders = serde_json::to_string(orders).expect("orders are JSON");
        participant.say(&orders).await;
        participant
    }

    /// Says a line to it.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub async fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .expect("the participant reads");
    }

    /// What it tells next.
    ///
    /// # Panics
    ///
    /// If it says nothing for long, or ends.
    pub async fn told(&mut self) -> T {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line())
            .await
            .expect("the participant goes on")
            .expect("the participant's output is read")
            .expect("the participant says how it ends");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the participant says {line:?}"))
    }

    /// Stops the process, all its threads, wherever it is.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    pub async fn stop(&self) {
        kill_process(self.pid, Signal::STOP).expect("the participant is there");
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        wait::until(PATIENCE, "the participant is stopped", || {
            let status = waitid(WaitId::Pid(self.pid), options).expect("the participant is there");
            status.is_some_and(|status| status.stopped())
        })
        .await;
    }

    /// Lets the stopped process go on where it was.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn cont(&self) {
        kill_process(self.pid, Signal::CONT).expect("the participant is there");
    }

    /// Kills it with SIGKILL, and gives what it had told until then and nobody has heard.
    ///
    /// # Panics
    ///
    /// If it has ended by itself.
    pub async fn kill(mut self) -> Vec<T> {
        kill_process(self.pid, Signal::KILL).expect("the participant is there");
        let status = self.process.wait().await.expect("the participant is there");
        assert_eq!(
            status.signal(),
            Some(Signal::KILL.as_raw()),
            "the participant ended by itself, with {status}"
        );
        let mut told = Vec::new();
        // What the kill cut off in the middle of a line was not told.
        while let Ok(Some(line)) = self.output.next_line().await
            && let Ok(one) = serde_json::from_str(&line)
        {
            told.push(one);
        }
        told
    }

    /// Waits for its end, after it has said that it ends.
    ///
    /// # Panics
    ///
    /// If it ends badly.
    pub async fn ended(mut self) {
        let status = tokio::time::timeout(PATIENCE, self.process.wait())
            .await
            .expect("the participant ends")
            .expect("the participant is there");
        assert!(status.success(), "the participant ends with {status}");
    }
}
