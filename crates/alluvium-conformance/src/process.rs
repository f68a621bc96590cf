//! Processes that get killed: a test runs itself again as a child and kills it with SIGKILL.
//!
//! The child is the same test binary with the same test as its only one, told by its environment to play the other
//! part. It reports on its standard output what it has been promised; the parent kills it after so many reports and
//! holds the storage to them. There is no clock in it: when the kill comes is a matter of reports and of a pause that
//! is counted in turns of a loop.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

/// Names the test that plays the child, so that no other test of the binary takes itself for one.
const CHILD: &str = "ALLUVIUM_CONFORMANCE_CHILD";
const DIR: &str = "ALLUVIUM_CONFORMANCE_DIR";
const ROUND: &str = "ALLUVIUM_CONFORMANCE_ROUND";
/// Begins a report; a line may hold what the test runner printed before.
const REPORT: &str = "alluvium-conformance reports: ";
const SIGKILL: i32 = 9;
/// How long a child may make no report before it is taken for stuck. On a busy machine it may take its time to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// A new process has the files of its parent open for a moment, the locks on them with it. Who starts one writes; who
/// lets go of a lock and wants it back at once reads.
static STARTING: RwLock<()> = RwLock::new(());

/// Keeps processes from being started while this lives.
pub(crate) fn no_process_starts() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// A test that can run itself again. [`engine_suite!`](crate::engine_suite) makes them.
#[derive(Clone, Copy, Debug)]
pub struct ThisTest {
    path: &'static str,
}

impl ThisTest {
    /// The test function of this path, as `module_path!()` gives it: the name of the test's crate first.
    pub const fn at(path: &'static str) -> Self {
        Self { path }
    }

    /// The name that the test runner knows it by.
    fn name(self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_, name)| name)
    }

    /// The part of the child, if this process is to play it.
    pub(crate) fn child(self) -> Option<Part> {
        if std::env::var(CHILD).ok()? != self.name() {
            return None;
        }
        Some(Part {
            dir: std::env::var_os(DIR)?.into(),
            round: std::env::var(ROUND).ok()?.parse().ok()?,
        })
    }

    /// Starts the child.
    pub(crate) fn start(self, dir: &Path, round: u64) -> Victim {
        let log = dir.with_extension("stderr");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", self.name(), "--nocapture"])
            .env(CHILD, self.name())
            .env(DIR, dir)
            .env(ROUND, round.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap());
        let mut process = {
            let _starting = STARTING.write().unwrap_or_else(PoisonError::into_inner);
            command.spawn().unwrap()
        };
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            // A line that the kill cut off is no report.
            while output.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        Victim { process, lines, log }
    }
}

/// What a child is told.
pub(crate) struct Part {
    /// The directory to work in.
    pub(crate) dir: PathBuf,
    /// Which of many rounds this is.
    pub(crate) round: u64,
}

/// Reports to the parent. Ends the test, and with it the process, if there is none any more.
pub(crate) fn report(what: impl std::fmt::Display) {
    let line = format!("\n{REPORT}{what}\n");
    let mut output = std::io::stdout().lock();
    output
        .write_all(line.as_bytes())
        .and_then(|()| output.flush())
        .expect("the parent reads");
}

/// A running child.
pub(crate) struct Victim {
    process: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Victim {
    /// Waits for a report of this kind, and gives all reports that it made up to there. The child goes on.
    pub(crate) fn wait_for(&mut self, mut found: impl FnMut(&str) -> bool) -> Vec<String> {
        let mut reports = Vec::new();
        let mut output = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => take(&line, &mut reports, &mut output),
                Err(RecvTimeoutError::Disconnected) => self.fail("ended by itself", &output),
                Err(RecvTimeoutError::Timeout) => self.fail("makes no progress", &output),
            }
            if reports.last().is_some_and(|report| found(report)) {
                return reports;
            }
        }
    }

    /// Waits for that many reports and for so many turns of a loop, kills the child, and gives all reports that it
    /// made.
    pub(crate) fn kill_after(mut self, count: u64, pause: u64) -> Vec<String> {
        let mut reports = Vec::new();
        let mut output = String::new();
        while (reports.len() as u64) < count {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => take(&line, &mut reports, &mut output),
                Err(RecvTimeoutError::Disconnected) => self.fail("ended by itself", &output),
                Err(RecvTimeoutError::Timeout) => self.fail("makes no progress", &output),
            }
        }
        for _ in 0..pause {
            std::hint::spin_loop();
        }
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        while let Ok(line) = self.lines.recv() {
            take(&line, &mut reports, &mut output);
        }
        if status.signal() != Some(SIGKILL) {
            self.fail("ended by itself before the kill", &output);
        }
        reports
    }

    fn fail(&mut self, what: &str, output: &str) -> ! {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        panic!("the child process {what}. Its output:\n{output}\n{log}");
    }
}

fn take(line: &str, reports: &mut Vec<String>, output: &mut String) {
    match line.split_once(REPORT) {
        Some((_, report)) => reports.push(report.trim_end().to_owned()),
        None => output.push_str(line),
    }
}
