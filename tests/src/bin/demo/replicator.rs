//! The `alluvium` command as the demo runs it: real processes, told apart by what they print.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{BUCKET, key};

/// A running `alluvium replicate`.
pub(crate) struct Replicator {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last: Value,
}

impl Replicator {
    pub(crate) fn start(url: &str, state: &Path) -> Result<Self> {
        let mut process = Command::new(binary()?)
            .args(["replicate", "--json", "--engine", "fjall", "--server", url, "--bucket", BUCKET, "--state"])
            .arg(state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run alluvium")?;
        let lines = BufReader::new(process.stdout.take().context("alluvium has no output")?).lines();
        Ok(Self { process, lines, last: Value::Null })
    }

    /// Waits until it tells of a cursor at or after `sequence`.
    pub(crate) async fn wait_for_cursor(&mut self, sequence: u64) -> Result<()> {
        while self.cursor() < sequence {
            let Some(line) = self.lines.next_line().await? else {
                bail!("alluvium ended before it got to {sequence}: {}", self.process.wait().await?);
            };
            self.take(&line)?;
        }
        Ok(())
    }

    /// Kills it with SIGKILL. Gives the last cursor that it told.
    pub(crate) async fn kill(mut self) -> Result<u64> {
        self.process.kill().await?;
        while let Some(line) = self.lines.next_line().await? {
            // The last line may be cut off by the kill.
            let _ = self.take(&line);
        }
        Ok(self.cursor())
    }

    /// Stops it with SIGTERM. Gives how many messages it has read.
    pub(crate) async fn finish(mut self) -> Result<u64> {
        let pid = self.process.id().context("alluvium has ended already")?;
        alluvium_e2e::nats_server::signal(pid, "TERM");
        while let Some(line) = self.lines.next_line().await? {
            self.take(&line)?;
        }
        let status = self.process.wait().await?;
        ensure!(status.success(), "alluvium ended with {status}");
        self.last.get("changes").and_then(Value::as_u64).context("alluvium did not say how much it read")
    }

    fn take(&mut self, line: &str) -> Result<()> {
        self.last = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        Ok(())
    }

    fn cursor(&self) -> u64 {
        self.last.get("cursor").and_then(Value::as_u64).unwrap_or(0)
    }
}

/// The cursor that a state directory holds, while nobody has it open.
pub(crate) fn stored_cursor(state: &Path) -> Result<u64> {
    let output = alluvium(&["status", "--json", "--state"], state)?;
    let status: Value = serde_json::from_slice(&output)?;
    status.get("cursor").and_then(Value::as_u64).context("the state directory has no cursor")
}

/// What a state directory holds: path to mode and blob.
pub(crate) fn stored_rows(state: &Path) -> Result<BTreeMap<Vec<u8>, String>> {
    let output = alluvium(&["scan", "--json", "--state"], state)?;
    let mut rows = BTreeMap::new();
    for line in String::from_utf8(output)?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let field = |name| entry.get(name).and_then(Value::as_str).with_context(|| format!("no {name} in {line}"));
        rows.insert(key::decode(field("key")?)?, field("value")?.to_owned());
    }
    Ok(rows)
}

fn alluvium(arguments: &[&str], state: &Path) -> Result<Vec<u8>> {
    let output =
        Blocking::new(binary()?).args(arguments).arg(state).stderr(Stdio::inherit()).output().context("cannot run alluvium")?;
    ensure!(output.status.success(), "alluvium {} ended with {}", arguments.join(" "), output.status);
    Ok(output.stdout)
}

/// The command under demonstration: a variable that names it, or what was built beside this program.
fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ALLUVIUM_BIN") {
        return Ok(named.into());
    }
    let beside = std::env::current_exe()?.with_file_name("alluvium");
    ensure!(beside.exists(), "there is no alluvium to run: use `cargo xtask demo`");
    Ok(beside)
}
