//! `alluvium checkpoints`: what there is in an object store, whether it is whole, and removing it.
//!
//! | module | what it does |
//! |---|---|
//! | [`store`] | opening the store, and naming checkpoints in it |
//! | [`catalog`] | reading manifests and `_latest`, damaged ones too |
//! | [`list`] | `ls` |
//! | [`show`] | `show` |
//! | [`verify`] | `verify` |
//! | [`remove`] | `rm` and `prune` |
//!
//! What cannot be read because it is damaged is told, and the rest goes on. What is out of reach for any other reason ends
//! the command: nothing is known of it.

mod catalog;
mod list;
mod remove;
mod show;
mod store;
mod verify;

use crate::args::{CheckpointsArgs, CheckpointsCommand};
use crate::error::Failure;
use crate::human::now;
use crate::output::Output;
use crate::runtime;

pub(crate) use self::store::Named;

pub(crate) fn run(args: &CheckpointsArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    runtime::start()?.block_on(async {
        match &args.command {
            CheckpointsCommand::Ls(args) => list::run(args, now(), output).await,
            CheckpointsCommand::Show(args) => show::run(args, now(), output).await,
            CheckpointsCommand::Verify(args) => verify::run(args, output, verbose).await,
            CheckpointsCommand::Rm(args) => remove::rm(args, output).await,
            CheckpointsCommand::Prune(args) => remove::prune(args, output).await,
        }
    })
}
