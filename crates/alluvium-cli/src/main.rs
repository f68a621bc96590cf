//! `alluvium`, the operator's command: replicates NATS JetStream KV buckets into local state, reads that state, and
//! compares it with the live bucket; gives the messages of streams to other commands; and looks after cursors, and after the
//! checkpoints and the artifacts in an object store.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | what can be typed |
//! | [`connect`], [`context`], [`secret`] | how a server is reached and logged in to, as the `nats` command does |
//! | [`replicate`] | `alluvium replicate` |
//! | [`read`] | `alluvium get`, `scan` and `status` |
//! | [`verify`] | `alluvium verify` |
//! | [`checkpoints`] | `alluvium checkpoints ls`, `show`, `verify`, `rm` and `prune` |
//! | [`fleet`] | what a replica shares with others |
//! | [`export`] | `alluvium export` |
//! | [`bootstrap`] | `alluvium bootstrap` |
//! | [`convert`] | `alluvium convert` |
//! | [`diff`] | `alluvium diff` |
//! | [`artifacts`] | `alluvium artifacts ls`, `show`, `verify` and `prune` |
//! | [`tail`] | `alluvium tail` |
//! | [`cursors`] | `alluvium cursors ls`, `show`, `reset` and `rm` |
//! | [`store`] | the object store that was named |
//! | [`state`] | opening and closing a state directory and its table |
//! | [`output`] | entries, for people and as JSON |
//! | [`human`] | times, numbers and columns, for people |
//! | [`progress`] | how a replica is doing, for people and as JSON |
//! | [`bar`] | how far anything else has come |
//! | [`error`] | one line on stderr, and the exit code |
//!
//! Standard output carries what was asked for and nothing else; everything said about it goes to standard error.

mod args;
mod artifacts;
mod bar;
mod bootstrap;
mod checkpoints;
mod connect;
mod context;
mod convert;
mod cursors;
mod diff;
mod error;
mod export;
mod fleet;
mod human;
mod listing;
mod log_filter;
mod output;
mod progress;
mod read;
mod replicate;
mod runtime;
mod secret;
mod signals;
mod state;
mod store;
mod tail;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Cli, Command};
use crate::error::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    log_filter::init(cli.verbose);
    let output = Output::new(cli.json);
    match run(&cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        // What `diff` tells by 1 is that there are differences.
        Err(failure) => failure.report(
            cli.json,
            if matches!(cli.command, Command::Diff(_)) {
                2
            } else {
                1
            },
        ),
    }
}

fn run(cli: &Cli, output: Output) -> Result<(), Failure> {
    match &cli.command {
        Command::Replicate(args) => replicate::run(args, output, cli.verbose),
        Command::Get(args) => read::get(args, output),
        Command::Scan(args) => read::scan(args, output),
        Command::Status(args) => read::status(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Checkpoints(args) => checkpoints::run(args, output, cli.verbose),
        Command::Export(args) => export::run(args, output, cli.verbose),
        Command::Bootstrap(args) => bootstrap::run(args, output, cli.verbose),
        Command::Convert(args) => convert::run(args, output, cli.verbose),
        Command::Diff(args) => diff::run(args, output, cli.verbose),
        Command::Artifacts(args) => artifacts::run(args, output, cli.verbose),
        Command::Tail(args) => tail::run(args, output),
        Command::Cursors(args) => cursors::run(args, output),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "alluvium", &mut script);
            output::raw(&script)
        }
    }
}
