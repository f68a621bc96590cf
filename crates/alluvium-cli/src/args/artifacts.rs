//! What can be typed after `alluvium artifacts`.

use std::num::NonZeroU32;
use std::time::Duration;

use alluvium::{ArtifactKey, Sequence};
use clap::{Args, Subcommand};

use super::{StoreArgs, sequence, time};

#[derive(Debug, Args)]
pub(crate) struct ArtifactsArgs {
    #[command(subcommand)]
    pub(crate) command: ArtifactsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactsCommand {
    /// List the keys, or the history of a key, oldest first.
    ///
    /// Reads manifests and no segments: `verify` reads those. What cannot be read is listed with the reason. Exit code 1 if there
    /// is such a one.
    #[command(after_help = "Examples:\n  \
        alluvium artifacts ls --store s3://bucket/fleet\n  \
        alluvium artifacts ls --store s3://bucket/fleet --key routes --json")]
    Ls(LsArgs),

    /// Say what an artifact consists of.
    ///
    /// Its log, cursor, scope and mode, and its runs with their segments. With --json its manifest as it is stored.
    #[command(after_help = "Examples:\n  \
        alluvium artifacts show --store s3://bucket/fleet --key routes\n  \
        alluvium artifacts show --store s3://bucket/fleet --key routes --at 1200000 --json | jq .manifest.cursor")]
    Show(ShowArgs),

    /// Read every byte of artifacts, and compare it with what their manifests tell.
    ///
    /// Each segment has to have its digest, and to be one, with exactly the rows, keys and sequences that are told of it; each pack
    /// has to be a plain tar of its segments and nothing else. Names everything that is missing or damaged, and which artifacts
    /// need it. Packs that no artifact needs are told too, and are no damage: an export may be uploading one, and a prune removes
    /// those that are left. Exit code 0 if everything is whole, 1 if anything is not.
    #[command(after_help = "Examples:\n  \
        alluvium artifacts verify --store s3://bucket/fleet\n  \
        alluvium artifacts verify --store s3://bucket/fleet --key routes --at 1200000 --json")]
    Verify(VerifyArgs),

    /// Remove old artifacts of a key, and packs that nothing needs.
    ///
    /// Keeps the newest artifact and those before it as far as they are to be kept, and everything that was still in use within
    /// the grace period, by the clock of the store. Safe beside machines that export or bootstrap.
    #[command(after_help = "Examples:\n  \
        alluvium artifacts prune --store s3://bucket/fleet --key routes --keep 24 --grace 2h --dry-run\n  \
        alluvium artifacts prune --store s3://bucket/fleet --key routes --keep 24 --grace 2h")]
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The key of which the history is listed [default: the keys are listed].
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<ArtifactKey>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: ArtifactKey,

    /// The newest artifact that is at this sequence or before [default: the newest].
    #[arg(long, value_name = "SEQUENCE", value_parser = sequence)]
    pub(crate) at: Option<Sequence>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The key of which every artifact is verified [default: every key].
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<ArtifactKey>,

    /// Only the newest artifact that is at this sequence or before.
    #[arg(long, value_name = "SEQUENCE", value_parser = sequence, requires = "key")]
    pub(crate) at: Option<Sequence>,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: ArtifactKey,

    /// How many of the newest artifacts to keep.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) keep: NonZeroU32,

    /// How long what is not needed any more is kept all the same, and how long an export or a bootstrap may take: 30m, 24h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub(crate) grace: Duration,

    /// Remove nothing, and say what would be removed. Needs the same permissions: what time it is for the store is asked by
    /// putting an object and removing it.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
