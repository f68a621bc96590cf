//! `cargo xtask bench`: the benchmarks, in release, each ratio measured against the bare client or engine in one run.
//!
//! The benchmarks themselves are a binary of the end-to-end package; this only prepares what they need.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cargo::{self, Engines, Profile};
use crate::e2e::PACKAGE;
use crate::setup::Purpose;
use crate::test::Environment;

/// What to measure, and how to say it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this benchmark: hydrate, freshness, resume, read, epoch, checkpoint, artifact, worker or reconcile.
    name: Option<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Of the benchmarks epoch, checkpoint and artifact, measure this storage alone, called as in their report: rocksdb+fsync, say.
    #[arg(long, value_name = "STORAGE")]
    only: Option<String>,
}

/// Sets up and runs. True if the benchmarks ended well.
pub(crate) fn run(root: &Path, args: &Args) -> Result<bool> {
    let environment = Environment::prepare(root, Purpose::Demo, Profile::Release, Engines::All)?;
    let mut command = cargo::command(root);
    command
        .args(["run", "--release", "--package", PACKAGE, "--bin", "bench"])
        .args(Engines::All.args(&[PACKAGE]))
        .arg("--")
        .args(&args.name);
    if args.json {
        command.arg("--json");
    }
    if let Some(only) = &args.only {
        command.args(["--only", only]);
    }
    environment.apply(&mut command);
    Ok(command.status().context("cannot run the benchmarks")?.success())
}
