//! `cargo xtask demo`: a git repository's history, replicated through a real nats-server.
//!
//! The demo itself is a binary of the end-to-end package; this only prepares what it needs. RocksDB is not among that: it
//! would take most of the time until there is something to see.

use std::path::{self, Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::{self, Engines, Profile};
use crate::e2e::PACKAGE;
use crate::setup::Purpose;
use crate::test::Environment;

/// Which repository to use.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The repository, bare or with a work tree [default: this one].
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// Further arguments for the demo itself: `-- --help` lists them.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Sets up and runs. True if the table ended equal to the repository.
pub(crate) fn run(root: &Path, args: &Args) -> Result<bool> {
    let repo = args.repo.as_deref().unwrap_or(root);
    let repo = path::absolute(repo).with_context(|| format!("cannot use {} as a path", repo.display()))?;
    let environment = Environment::prepare(root, Purpose::Demo, Profile::Release, Engines::Default)?;
    let mut command = cargo::command(root);
    command.args(["run", "--release", "--package", PACKAGE, "--bin", "demo", "--"]);
    command.arg("--repo").arg(repo).args(&args.rest);
    environment.apply(&mut command);
    Ok(command.status().context("cannot run the demo")?.success())
}
