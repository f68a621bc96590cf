//! The `alluvium` command as users run it: real processes, told apart by what they print.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::nats_server::signal;

/// The command to run: a variable that names it, or what was built beside this program.
///
/// # Errors
///
/// If there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ALLUVIUM_BIN") {
        return Ok(named.into());
    }
    // Tests lie one directory deeper than binaries.
    let here = std::env::current_exe()?;
    let beside = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("alluvium"))
        .find(|path| path.exists());
    beside.context("there is no alluvium to run: use `cargo xtask e2e`, `demo` or `bench`, which build it")
}

/// Runs the command to its end.
///
/// # Errors
///
/// If it cannot be run.
pub async fn alluvium<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.output().await.context("cannot run alluvium")
}

/// What a reading subcommand (`status`, `scan`) prints of a state directory with `--json`.
///
/// # Errors
///
/// If it fails, with what it says.
pub async fn read_json(subcommand: &str, state: &Path) -> Result<String> {
    let output = alluvium([
        subcommand.as_ref(),
        "--json".as_ref(),
        "--state".as_ref(),
        state.as_os_str(),
    ])
    .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "alluvium {subcommand}: {}", said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// The cursor that a state directory holds, while nobody has it open; none before the first commit.
///
/// # Errors
///
/// If the directory cannot be read.
pub async fn stored_cursor(state: &Path) -> Result<Option<u64>> {
    let status: Value = serde_json::from_str(&read_json("status", state).await?)?;
    Ok(status.get("cursor").and_then(Value::as_u64))
}

/// A running `alluvium replicate --json`. Dropping it kills it.
#[derive(Debug)]
pub struct Replicate {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last: Value,
}

impl Replicate {
    /// Starts it on a bucket and a state, with further arguments.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn start(url: &str, bucket: &str, state: &str, more: &[&str]) -> Result<Self> {
        let mut process = Command::new(binary()?)
            .args([
                "replicate",
                "--json",
                "--server",
                url,
                "--bucket",
                bucket,
                "--state",
                state,
            ])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run alluvium")?;
        let lines = BufReader::new(process.stdout.take().context("alluvium has no output")?).lines();
        Ok(Self {
            process,
            lines,
            last: Value::Null,
        })
    }

    /// Waits until it tells of a cursor at or after `sequence`.
    ///
    /// # Errors
    ///
    /// If it ends before.
    pub async fn wait_for_cursor(&mut self, sequence: u64) -> Result<()> {
        while self.cursor() < sequence {
            let Some(line) = self.lines.next_line().await? else {
                bail!(
                    "alluvium ended before it got to {sequence}: {}",
                    self.process.wait().await?
                );
            };
            self.take(&line)?;
        }
        Ok(())
    }

    /// Kills it with SIGKILL. Gives the last cursor that it told, 0 if none.
    ///
    /// # Errors
    ///
    /// If it cannot be killed.
    pub async fn kill(mut self) -> Result<u64> {
        self.process.kill().await?;
        while let Some(line) = self.lines.next_line().await? {
            // The last line may be cut off by the kill.
            let _ = self.take(&line);
        }
        Ok(self.cursor())
    }

    /// Stops it with SIGTERM. Gives how many changes it has applied.
    ///
    /// # Errors
    ///
    /// If it ends with anything but success.
    pub async fn finish(self) -> Result<u64> {
        signal(self.process.id().context("alluvium has ended already")?, "TERM");
        self.ended().await
    }

    /// Waits until it ends by itself. Gives how many changes it has applied.
    ///
    /// # Errors
    ///
    /// If it ends with anything but success.
    pub async fn ended(mut self) -> Result<u64> {
        while let Some(line) = self.lines.next_line().await? {
            self.take(&line)?;
        }
        let status = self.process.wait().await?;
        ensure!(status.success(), "alluvium ended with {status}");
        self.last
            .get("changes")
            .and_then(Value::as_u64)
            .context("alluvium did not say how much it applied")
    }

    fn take(&mut self, line: &str) -> Result<()> {
        self.last = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        Ok(())
    }

    /// The last cursor that it told, 0 if none.
    pub fn cursor(&self) -> u64 {
        self.last.get("cursor").and_then(Value::as_u64).unwrap_or(0)
    }
}
