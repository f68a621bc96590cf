//! The other end of a participant: what the programs have in common that are one.

use std::io::{BufRead as _, Result, Write as _, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::{Client, ConnectOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// Runs the program, on a runtime of two threads. What goes wrong is told on the standard error.
pub fn run(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("there is no runtime");
    match runtime.and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What it is and has to do: the first line that it reads.
///
/// # Errors
///
/// If that is something else.
pub fn orders<T: DeserializeOwned>() -> anyhow::Result<T> {
    serde_json::from_str(&line()?).context("the first line is no orders")
}

/// A client that is soon back when its connection is lost.
///
/// # Errors
///
/// If nobody answers.
pub async fn connect(server: &str) -> anyhow::Result<Client> {
    let options = ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(50));
    Ok(options.connect(server).await?)
}

/// The next line that it reads; empty if whoever has started it is gone.
///
/// # Errors
///
/// If it cannot be read.
pub fn line() -> Result<String> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line)
}

/// All further lines, by a thread that reads. Their end is that of whoever has started it.
pub fn lines() -> UnboundedReceiver<String> {
    let (said, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines() {
            if line.is_err() || line.is_ok_and(|line| said.send(line).is_err()) {
                return;
            }
        }
    });
    lines
}

/// Tells something, if anybody listens. Who does not any more has killed this process, or is gone.
pub fn tell(told: &impl Serialize) {
    let _ = try_tell(told);
}

/// The same for a program that nobody else tells when to end.
///
/// # Errors
///
/// If nobody listens any more.
pub fn try_tell(told: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(told)?;
    let mut output = stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
