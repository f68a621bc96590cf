//! `alluvium artifacts`: what there is in an object store, whether it is whole, and removing it.
//!
//! | module | what it does |
//! |---|---|
//! | [`catalog`] | reading the history of a key, damaged artifacts too |
//! | [`list`] | `ls` |
//! | [`show`] | `show` |
//! | [`verify`] | `verify` |
//! | [`prune`] | `prune` |
//!
//! What cannot be read because it is damaged is told, and the rest goes on. What is out of reach for any other reason ends
//! the command: nothing is known of it.

pub(crate) mod catalog;
mod list;
mod prune;
mod show;
mod verify;

use std::sync::Arc;

use alluvium::Transport;

use crate::args::{ArtifactsArgs, ArtifactsCommand, StoreArgs};
use crate::error::Failure;
use crate::human::now;
use crate::output::Output;
use crate::runtime;
use crate::store;

pub(crate) fn run(args: &ArtifactsArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    runtime::start()?.block_on(async {
        match &args.command {
            ArtifactsCommand::Ls(args) => list::run(args, now(), output).await,
            ArtifactsCommand::Show(args) => show::run(args, now(), output).await,
            ArtifactsCommand::Verify(args) => verify::run(args, output, verbose).await,
            ArtifactsCommand::Prune(args) => prune::run(args, output).await,
        }
    })
}

/// Opens the store that there is. Never makes anything.
async fn open(args: &StoreArgs) -> Result<Arc<dyn Transport>, Failure> {
    Ok(store::config(args)?.open_transport().await?)
}
