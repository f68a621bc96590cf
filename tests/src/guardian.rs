//! What must not outlive this process: servers that it started, and directories that it filled.
//!
//! Destructors do not run for statics, nor when a process is killed, and a server that several tests share lives in
//! a static. So a shell stands beside each of these. It reads from a pipe that only this process holds, and cleans up
//! when that ends: because the guardian was dropped, or because this process is gone, for whatever reason.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Removes the directory `$1`. Something that is about to end may still be writing there.
const REMOVE: &str = r#"
trap '' INT TERM HUP
cat > /dev/null
tries=0
until rm -rf "$1" || [ "$tries" = 100 ]; do tries=$((tries + 1)); sleep 0.05; done
"#;

/// Runs the command after `$1`, whose output goes to the file `$1`, and tells its id.
const RUN: &str = r#"
trap '' INT TERM HUP
log=$1
shift
"$@" < /dev/null > "$log" 2>&1 &
echo $!
exec > /dev/null
cat > /dev/null
kill -KILL $!
wait $!
"#;

/// A shell that cleans up when this is dropped, or this process has ended.
#[derive(Debug)]
struct Guardian(Child);

impl Guardian {
    fn start(script: &str, arguments: &[&OsStr]) -> Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", script, "guardian"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run sh")?;
        Ok(Self(shell))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A temporary directory that goes when this is dropped, or this process has ended.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _guardian: Guardian,
}

impl Directory {
    /// A new one whose name begins so.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub fn create(prefix: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let guardian = Guardian::start(REMOVE, &[directory.path().as_os_str()])?;
        Ok(Self {
            path: directory.keep(),
            _guardian: guardian,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A process that is killed when this is dropped, or this process has ended.
#[derive(Debug)]
pub struct Daemon {
    id: u32,
    log: PathBuf,
    _guardian: Guardian,
}

impl Daemon {
    /// Starts a program. What it prints goes to the file `log`.
    ///
    /// # Errors
    ///
    /// If no process can be started; a program that cannot be run says so in the log.
    pub fn start(log: PathBuf, program: &Path, arguments: &[String]) -> Result<Self> {
        let mut all = vec![log.as_os_str(), program.as_os_str()];
        all.extend(arguments.iter().map(OsStr::new));
        let mut guardian = Guardian::start(RUN, &all)?;
        let output = guardian.0.stdout.take().context("a pipe was asked for")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self {
            id: line
                .trim()
                .parse()
                .with_context(|| format!("{line:?} is no process id"))?,
            log,
            _guardian: guardian,
        })
    }

    /// Its process id, to send it signals.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(id: u32) -> bool {
        Path::new("/proc").join(id.to_string()).exists()
    }

    #[test]
    fn a_daemon_ends_with_its_guardian_even_if_it_is_stopped() {
        let directory = Directory::create("alluvium-guardian-").unwrap();
        let log = directory.path().join("log");
        let arguments = ["1000".to_owned()];
        let daemon = Daemon::start(log, Path::new("sleep"), &arguments).unwrap();
        let id = daemon.id();
        assert!(runs(id));
        crate::nats_server::signal(id, "STOP");
        drop(daemon);
        assert!(!runs(id));
    }

    #[test]
    fn a_daemon_that_cannot_run_says_why() {
        let directory = Directory::create("alluvium-guardian-").unwrap();
        let log = directory.path().join("log");
        let daemon = Daemon::start(log, Path::new("no/such/program"), &[]).unwrap();
        while !daemon.log().contains("no/such/program") {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_directory_goes_with_its_guardian() {
        let directory = Directory::create("alluvium-guardian-").unwrap();
        let path = directory.path().to_owned();
        std::fs::write(path.join("file"), "text").unwrap();
        drop(directory);
        assert!(!path.exists());
    }
}
