//! What can be typed after `alluvium checkpoints`.

use std::num::NonZeroU32;
use std::time::Duration;

use alluvium::CheckpointId;
use clap::{Args, Subcommand};

use super::{StoreArgs, time};
use crate::checkpoints::Named;

#[derive(Debug, Args)]
pub(crate) struct CheckpointsArgs {
    #[command(subcommand)]
    pub(crate) command: CheckpointsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointsCommand {
    /// List the checkpoints, oldest first.
    ///
    /// Reads every manifest, and no snapshot or delta: `verify` reads those. A checkpoint of which the manifest, or that
    /// of one it builds on, cannot be read is listed with the reason. Exit code 1 if there is such a one, or if _latest is
    /// damaged or names none that is there.
    #[command(after_help = "Examples:\n  \
        alluvium checkpoints ls --store s3://bucket/job\n  \
        alluvium checkpoints ls --store file:///srv/checkpoints --json")]
    Ls(LsArgs),

    /// Say what a checkpoint consists of.
    ///
    /// Its operators with their partitions, its sources with their positions, its watermark, and the chain of checkpoints that
    /// it builds on. With --json its manifest as it is stored. Exit code 1 if the chain is broken.
    #[command(after_help = "Examples:\n  \
        alluvium checkpoints show --store s3://bucket/job latest\n  \
        alluvium checkpoints show --store s3://bucket/job latest --json | jq .manifest.sources")]
    Show(ShowArgs),

    /// Read every byte that checkpoints need, and compare it with its digest.
    ///
    /// Reads what restores the checkpoint: its own files, and those of its chain that it needs. Names what is missing or
    /// damaged, and which checkpoints need it. Exit code 0 if everything is whole, 1 if anything is not.
    #[command(after_help = "Examples:\n  \
        alluvium checkpoints verify --store s3://bucket/job\n  \
        alluvium checkpoints verify --store s3://bucket/job --all --json")]
    Verify(VerifyArgs),

    /// Remove checkpoints at once, without a grace period.
    ///
    /// Asks nothing. Refuses the one that _latest names, one that is newer, and one that another checkpoint builds on, and says
    /// so. Several are removed newest first, so that a whole chain can be named.
    #[command(after_help = "Example:\n  \
        alluvium checkpoints rm --store s3://bucket/job 018bcfe5-6800-7707-8707-070707070707")]
    Rm(RmArgs),

    /// Remove old checkpoints, and what was left of those that were never completed.
    ///
    /// Keeps the newest ones and whatever they build on, and everything that was still in use within the grace period, by the
    /// clock of the store. Safe beside programs that take checkpoints or restore them.
    #[command(after_help = "Examples:\n  \
        alluvium checkpoints prune --store s3://bucket/job --keep 5 --grace 24h --dry-run\n  \
        alluvium checkpoints prune --store s3://bucket/job --keep 5 --grace 24h")]
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The checkpoint: its id, or latest.
    #[arg(value_name = "ID|latest")]
    pub(crate) checkpoint: Named,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The checkpoints: ids, or latest [default: latest].
    #[arg(value_name = "ID|latest")]
    pub(crate) checkpoints: Vec<Named>,

    /// Every checkpoint that there is.
    #[arg(long, conflicts_with = "checkpoints")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The checkpoints.
    #[arg(value_name = "ID", required = true)]
    pub(crate) checkpoints: Vec<CheckpointId>,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// How many of the newest checkpoints to keep, beside what they build on.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) keep: NonZeroU32,

    /// How long what is not needed any more is kept all the same, and how long a checkpoint may take to be written: 30m,
    /// 24h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub(crate) grace: Duration,

    /// Remove nothing, and say what would be removed. Needs the same permissions: what time it is for the store is asked by
    /// putting an object and removing it.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
