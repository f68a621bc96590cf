//! Counts tests by reading what `cargo test` prints, while it is printed.
//!
//! A test program says `running N tests` when it starts and `test result: …` when it ends. What started and did not
//! end has died: that is a failure although nobody printed one. So is an ignored test, and a run without a test: a
//! run that proves nothing must not look like one that proves something.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often to look whether cargo has ended while nothing is printed.
const POLL: Duration = Duration::from_millis(200);
/// How long the output may stay open after cargo has ended.
const GRACE: Duration = Duration::from_secs(5);

/// What the test programs of one or several runs have said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Test programs that have begun.
    started: u64,
    /// Test programs that have given their result.
    finished: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// What a whole run comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Why there are failures that no test reported: one sentence each.
    pub(crate) problems: Vec<String>,
}

impl Tally {
    /// Takes note of one line of output.
    pub(crate) fn observe(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("running ") {
            if rest.ends_with(" tests") || rest.ends_with(" test") {
                self.started += 1;
            }
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.finished += 1;
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.ignored += count(result, "ignored");
        }
    }

    /// Judges the run called `name`, whose cargo ended well or not.
    pub(crate) fn verdict(&self, name: &str, cargo_succeeded: bool) -> Verdict {
        let mut verdict = Verdict {
            passed: self.passed,
            failed: self.failed,
            problems: Vec::new(),
        };
        let died = self.started.saturating_sub(self.finished);
        if died > 0 {
            verdict.fail(
                died,
                format!("{name}: {died} test program(s) died before giving a result"),
            );
        }
        if self.ignored > 0 {
            let ignored = self.ignored;
            verdict.fail(
                ignored,
                format!("{name}: {ignored} test(s) ignored: a test that is skipped counts as failed"),
            );
        }
        if !cargo_succeeded && verdict.failed == 0 {
            verdict.fail(
                1,
                format!("{name}: cargo test failed beside the tests: see what it reports above"),
            );
        }
        if self.passed + self.failed == 0 && verdict.failed == 0 {
            verdict.fail(1, format!("{name}: not one test ran: does the filter match any?"));
        }
        verdict
    }
}

impl Verdict {
    fn fail(&mut self, count: u64, problem: String) {
        self.failed += count;
        self.problems.push(problem);
    }

    /// Adds another run's verdict to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.problems.extend(other.problems);
    }

    /// Prints the problems and, last and alone on its line, `N passed, N failed`. True if nothing failed.
    pub(crate) fn conclude(&self) -> bool {
        for problem in &self.problems {
            eprintln!("error: {problem}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

/// Runs a `cargo test` command, passes its output through as it comes, and judges it.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<Verdict> {
    follow(name, command, GRACE, &mut io::stdout().lock())
}

/// Runs a command, copies its output to `copy` line by line, and judges it.
///
/// The output ends when the last process that holds it ends. That should be cargo; if a test has left a process
/// behind, it is not, and waiting for it would be waiting for ever.
fn follow(name: &str, command: &mut Command, grace: Duration, copy: &mut impl Write) -> Result<Verdict> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let output = BufReader::new(child.stdout.take().context("cargo test has no stdout")?);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || send_lines(output, &sender));

    let mut tally = Tally::default();
    let mut ended_at = None;
    let outlived = loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                tally.observe(&String::from_utf8_lossy(&line));
                copy.write_all(&line)
                    .and_then(|()| copy.flush())
                    .context("cannot write to stdout")?;
            }
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ended_at.is_none() && child.try_wait().context("cannot wait for cargo test")?.is_some() {
            ended_at = Some(Instant::now());
        }
        if ended_at.is_some_and(|at| at.elapsed() > grace) {
            break true;
        }
    };
    let status = child.wait().context("cannot wait for cargo test")?;
    let mut verdict = tally.verdict(name, status.success());
    if outlived {
        verdict.fail(
            1,
            format!("{name}: a process that a test has started outlives it: end it in the test"),
        );
    }
    Ok(verdict)
}

/// Sends each line of `output` with its newline, until the output ends or nobody listens.
fn send_lines(mut output: impl BufRead, sender: &Sender<Vec<u8>>) {
    loop {
        let mut line = Vec::new();
        match output.read_until(b'\n', &mut line) {
            Ok(1..) if sender.send(line).is_ok() => {}
            _ => return,
        }
    }
}

/// The number before `what` in `ok. 3 passed; 0 failed; …`.
fn count(result: &str, what: &str) -> u64 {
    result
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(what))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// The line without terminal colours: they come where the user forces them on.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str =
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.01s";

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.observe(line);
        }
        tally
    }

    #[test]
    fn results_are_summed_over_test_programs() {
        let failed = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s";
        let verdict = tally(&["running 4 tests", OK, "running 6 tests", failed]).verdict("unit", false);
        assert_eq!(
            verdict,
            Verdict {
                passed: 7,
                failed: 2,
                problems: vec![]
            }
        );
    }

    #[test]
    fn a_good_run_is_good() {
        let verdict = tally(&["running 1 test", "test a ... ok", OK]).verdict("unit", true);
        assert_eq!(
            verdict,
            Verdict {
                passed: 3,
                failed: 0,
                problems: vec![]
            }
        );
    }

    #[test]
    fn colours_do_not_hide_a_result() {
        let line =
            "test result: \u{1b}[32mok\u{1b}[0m. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(tally(&["running 3 tests", line]).verdict("unit", true).passed, 3);
    }

    #[test]
    fn an_ignored_test_fails_the_run() {
        let ignored =
            "test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let verdict = tally(&["running 5 tests", ignored]).verdict("unit", true);
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.problems.len()),
            (3, 2, 1)
        );
    }

    #[test]
    fn a_test_program_that_dies_fails_the_run() {
        let verdict = tally(&["running 3 tests", OK, "running 5 tests"]).verdict("unit", false);
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.problems.len()),
            (3, 1, 1)
        );
    }

    #[test]
    fn a_run_that_does_not_build_fails() {
        let verdict = tally(&[]).verdict("unit", false);
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.problems.len()),
            (0, 1, 1)
        );
    }

    fn follow_shell(script: &str) -> (Verdict, String) {
        let mut copy = Vec::new();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let verdict = follow("unit", &mut shell, Duration::from_millis(300), &mut copy).unwrap();
        (verdict, String::from_utf8(copy).unwrap())
    }

    #[test]
    fn output_is_passed_through_and_counted() {
        let (verdict, copy) = follow_shell(&format!("echo running 3 tests; printf '{OK}'; exit 0"));
        assert_eq!(
            verdict,
            Verdict {
                passed: 3,
                failed: 0,
                problems: vec![]
            }
        );
        assert_eq!(copy, format!("running 3 tests\n{OK}"));
    }

    #[test]
    fn a_process_that_outlives_its_test_fails_the_run_and_does_not_hold_it() {
        let (verdict, _) = follow_shell(&format!("echo running 3 tests; echo '{OK}'; sleep 60 &"));
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.problems.len()),
            (3, 1, 1)
        );
    }

    #[test]
    fn a_run_without_tests_fails() {
        let none =
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s";
        let verdict = tally(&["running 0 tests", none]).verdict("e2e", true);
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.problems.len()),
            (0, 1, 1)
        );
    }
}
