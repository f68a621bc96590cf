//! `cargo xtask ci`: everything that a change has to pass, cheapest first.
//!
//! Stops at the first step that fails and says which ones were not reached. The last step is what
//! `cargo xtask test` runs.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo::Engines;
use crate::{cargo, e2e, setup, test, tidy};

/// How long the advisory database may take to arrive.
const FETCH_LIMIT: Duration = Duration::from_mins(2);

/// The packages that have RocksDB behind a feature.
const EVERYTHING: &[&str] = &[cargo::COMMAND, e2e::PACKAGE];

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// What it checks against could not be had. Not a failure, and never called a success.
    NotChecked,
}

impl From<bool> for Outcome {
    fn from(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Outcome>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "features",
        run: features,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "tidy",
        run: |root| tidy::run(root).map(Outcome::from),
    },
    Step {
        name: "deny",
        run: deny,
    },
    Step {
        name: "advisories",
        run: advisories,
    },
    Step {
        name: "test",
        run: |root| test::run(root).map(Outcome::from),
    },
];

/// Runs the steps in order. True if none failed.
pub(crate) fn run(root: &Path) -> bool {
    run_steps(STEPS, root)
}

fn run_steps(steps: &[Step], root: &Path) -> bool {
    let begin = Instant::now();
    let mut not_checked = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let name = step.name;
        eprintln!("ci: {name} ({} of {})", index + 1, steps.len());
        let step_begin = Instant::now();
        let outcome = (step.run)(root).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Outcome::Failed
        });
        let seconds = step_begin.elapsed().as_secs_f64();
        match outcome {
            Outcome::Passed => eprintln!("ci: {name} passed in {seconds:.1} s"),
            Outcome::NotChecked => {
                eprintln!("ci: {name} NOT CHECKED");
                not_checked.push(name);
            }
            Outcome::Failed => {
                eprintln!("ci: {name} FAILED after {seconds:.1} s");
                let remaining: Vec<_> = steps[index + 1..].iter().map(|step| step.name).collect();
                if !remaining.is_empty() {
                    eprintln!("ci: not reached: {}", remaining.join(", "));
                }
                return false;
            }
        }
    }
    let passed = steps.len() - not_checked.len();
    eprintln!(
        "ci: {passed} of {} steps passed in {:.0} s",
        steps.len(),
        begin.elapsed().as_secs_f64()
    );
    if !not_checked.is_empty() {
        eprintln!("ci: not checked: {}", not_checked.join(", "));
    }
    true
}

fn format(root: &Path) -> Result<Outcome> {
    succeeds(
        cargo::command(root).args(["fmt", "--all", "--check"]),
        "run `cargo fmt --all` (rustup component add rustfmt, if it is missing)",
    )
}

/// Everything, and then the test programs that only the full length runs: cargo's `--all-targets` leaves them out.
fn clippy(root: &Path) -> Result<Outcome> {
    setup::rocksdb(root)?;
    let check = |targets: &[&str], packages: &[&str]| {
        succeeds(
            cargo::command(root)
                .arg("clippy")
                .args(targets)
                .args(Engines::All.args(packages))
                .args(["--", "-D", "warnings"]),
            "mend what it reports above (rustup component add clippy, if it is missing)",
        )
    };
    match check(&["--workspace", "--all-targets"], EVERYTHING)? {
        Outcome::Passed => check(&["--package", e2e::PACKAGE, "--test", "*"], &[e2e::PACKAGE]),
        failed => Ok(failed),
    }
}

/// The facade with each of its features alone, and its tests without any: they check what it says about those that are
/// off. RocksDB's code has no such variants.
fn features(root: &Path) -> Result<Outcome> {
    let facade = |command: &str, rest: &[&str]| {
        let mut cargo = cargo::command(root);
        cargo.args([command, "--package", "alluvium", "--no-default-features"]);
        cargo.args(rest);
        succeeds(
            &mut cargo,
            "mend the facade: each of its features has to work alone",
        )
    };
    for feature in [
        "",
        "memory",
        "fjall",
        "nats",
        "object-store",
        "s3",
        "azure",
        "gcs",
    ] {
        let rest = ["--features", feature, "--all-targets", "--", "-D", "warnings"];
        if facade("clippy", &rest)? != Outcome::Passed {
            return Ok(Outcome::Failed);
        }
    }
    facade("test", &[])
}

fn docs(root: &Path) -> Result<Outcome> {
    setup::rocksdb(root)?;
    succeeds(
        cargo::command(root)
            .args(["doc", "--workspace", "--no-deps"])
            .args(Engines::All.args(EVERYTHING))
            .env("RUSTDOCFLAGS", "-D warnings"),
        "mend what rustdoc reports above",
    )
}

fn deny(root: &Path) -> Result<Outcome> {
    let program = setup::cargo_deny(root)?;
    succeeds(
        Command::new(program)
            .current_dir(root)
            .args(["check", "bans", "licenses", "sources"]),
        "mend the dependency it names, or give deny.toml an exception with its reason",
    )
}

/// Advisories need a database from the network. Without it there is nothing to check against, and that is said; with it
/// a finding is a failure.
fn advisories(root: &Path) -> Result<Outcome> {
    let program = setup::cargo_deny(root)?;
    let fetched = ends_within(
        Command::new(&program)
            .current_dir(root)
            .args(["fetch", "db"])
            .env("GIT_TERMINAL_PROMPT", "0"),
        FETCH_LIMIT,
    )?;
    if !fetched.is_some_and(|status| status.success()) {
        eprintln!(
            "warning: advisories are not checked: their database could not be fetched (see above). Run `cargo xtask ci` where \
             its host can be reached."
        );
        return Ok(Outcome::NotChecked);
    }
    succeeds(
        Command::new(&program)
            .current_dir(root)
            .args(["check", "advisories"]),
        "update the dependency it names, or give deny.toml an exception with its reason",
    )
}

/// Runs a command; when it fails, says what to do.
fn succeeds(command: &mut Command, advice: &str) -> Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    if !status.success() {
        eprintln!("error: {advice}");
    }
    Ok(status.success().into())
}

/// Runs a command for at most `limit`; `None` if it had to be ended.
fn ends_within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                child.kill().context("cannot end a command that takes too long")?;
                child.wait().context("cannot end a command that takes too long")?;
                return Ok(None);
            }
            Err(error) => bail!("cannot wait for a command: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: Step = Step {
        name: "passes",
        run: |_| Ok(Outcome::Passed),
    };
    const CANNOT: Step = Step {
        name: "cannot",
        run: |_| Ok(Outcome::NotChecked),
    };
    const FAILS: Step = Step {
        name: "fails",
        run: |_| Ok(Outcome::Failed),
    };
    const BREAKS: Step = Step {
        name: "breaks",
        run: |_| bail!("no such tool"),
    };
    const UNREACHED: Step = Step {
        name: "unreached",
        run: |_| unreachable!("an earlier step has failed"),
    };

    #[test]
    fn steps_run_until_one_fails() {
        assert!(run_steps(&[PASSES, CANNOT, PASSES], Path::new(".")));
        assert!(!run_steps(&[PASSES, FAILS, UNREACHED], Path::new(".")));
        assert!(!run_steps(&[PASSES, BREAKS, UNREACHED], Path::new(".")));
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let status = ends_within(Command::new("sleep").arg("60"), Duration::from_millis(100)).unwrap();
        assert!(status.is_none());
        let status = ends_within(&mut Command::new("true"), Duration::from_secs(30)).unwrap();
        assert!(status.is_some_and(|status| status.success()));
    }
}
