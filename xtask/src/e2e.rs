//! `cargo xtask e2e`: the end-to-end tests alone, against real servers and real processes.

use std::path::Path;

use anyhow::Result;

use crate::cargo::{self, Engines, Profile};
use crate::setup::Purpose;
use crate::tally::{self, Verdict};
use crate::test::Environment;

/// The package that holds the end-to-end tests, the benchmarks and the demo.
pub(crate) const PACKAGE: &str = "alluvium-e2e";

/// How many end-to-end tests run side by side: each one keeps several processes busy.
const THREADS: &str = "--test-threads=2";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run at full length, in release, and on Ceph too.
    #[arg(long)]
    full: bool,
    /// Only tests whose name contains one of these.
    filter: Vec<String>,
}

impl Args {
    /// Every test, in its short form.
    pub(crate) fn short() -> Self {
        Self {
            full: false,
            filter: Vec::new(),
        }
    }

    fn purpose(&self) -> Purpose {
        if self.full {
            Purpose::FullTests
        } else {
            Purpose::Tests
        }
    }

    fn profile(&self) -> Profile {
        if self.full { Profile::Release } else { Profile::Dev }
    }
}

/// Sets up, runs the tests and prints the closing summary. True if nothing failed.
pub(crate) fn run(root: &Path, args: &Args) -> Result<bool> {
    let environment = Environment::prepare(root, args.purpose(), args.profile(), Engines::All)?;
    Ok(execute(root, &environment, args)?.conclude())
}

/// Runs the tests in an environment that is ready.
pub(crate) fn execute(root: &Path, environment: &Environment, args: &Args) -> Result<Verdict> {
    eprintln!(
        "xtask: end-to-end tests{}",
        if args.full { " at full length" } else { "" }
    );
    let mut command = cargo::command(root);
    command
        .args(["test", "--package", PACKAGE, "--no-fail-fast"])
        .args(Engines::All.args(&[PACKAGE]))
        .args(args.profile().args());
    if args.full {
        // Those too that a plain `cargo test` leaves out.
        command.args(["--lib", "--bins", "--test", "*"]);
    }
    command.args(["--", THREADS]).args(&args.filter);
    environment.apply(&mut command);
    if args.full {
        command.env("ALLUVIUM_E2E", "full");
    }
    tally::run("end-to-end tests", &mut command)
}
