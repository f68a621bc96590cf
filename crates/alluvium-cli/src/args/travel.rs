//! What can be typed where tables go from one place to another.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use alluvium::{ArtifactKey, Filter, Sequence};
use clap::{Args, ValueEnum};

use super::{ConnectionArgs, StateArgs, StoreArgs, duration, sequence, time};
use crate::diff::Operand;
use crate::state::Place;
use crate::store::StoreOption;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    alluvium export --state ./routes --store s3://bucket/fleet --key routes\n  \
    alluvium export --state ./routes --store file:///srv/artifacts --key routes --json")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The key to export under: one for each table.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: ArtifactKey,

    /// Who exports, for people who look at the artifact.
    #[arg(long, value_name = "NAME", default_value = "alluvium export")]
    pub(crate) exporter: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    alluvium bootstrap --state ./routes --store s3://bucket/fleet --key routes\n  \
    alluvium bootstrap --state memory:./eu --store s3://bucket/fleet --key routes --filter 'api.eu.>'\n  \
    alluvium bootstrap --state ./past --store s3://bucket/fleet --key routes --at 1200000")]
pub(crate) struct BootstrapArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The key of the artifact.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: ArtifactKey,

    /// The newest artifact that is at this sequence or before [default: the newest].
    #[arg(long, value_name = "SEQUENCE", value_parser = sequence)]
    pub(crate) at: Option<Sequence>,

    /// Keep only keys that match this subject filter; may be given more than once [default: all keys of the artifact].
    #[arg(long, visible_alias = "scope", value_name = "FILTER")]
    pub(crate) filter: Vec<Filter>,

    /// How many damaged artifacts may be passed over for the next older one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) fall_back: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alluvium convert --from ./routes --to ./routes.new --engine memory")]
pub(crate) struct ConvertArgs {
    /// The state directory that there is. Nobody may have it open.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) from: Place,

    /// The state directory to make: not there, or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,

    /// The engine of the new one.
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: EngineName,
}

/// An engine that keeps its state in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    Fjall,
    Memory,
    Rocksdb,
}

impl EngineName {
    /// As URLs have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Memory => "memory",
            Self::Rocksdb => "rocksdb",
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    alluvium diff ./routes ./routes.new\n  \
    alluvium diff ./routes 's3://bucket/fleet#routes' --json\n  \
    alluvium diff 's3://bucket/fleet#routes@1200000' 's3://bucket/fleet#routes'\n  \
    alluvium diff ./routes nats:routes --context edge")]
pub(crate) struct DiffArgs {
    /// DIR, URL#KEY[@SEQUENCE], nats:BUCKET or `nats://HOST:PORT/BUCKET`.
    #[arg(value_name = "A")]
    pub(crate) a: Operand,

    /// The same.
    #[arg(value_name = "B")]
    pub(crate) b: Operand,

    /// The table, in a state directory that a program has put several into [default: the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,

    /// Compare only keys that match this subject filter; may be given more than once [default: all keys that both sides may
    /// hold].
    #[arg(long, value_name = "FILTER")]
    pub(crate) scope: Vec<Filter>,

    /// How many differences to name; all are counted.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) examples: usize,

    /// An option of the stores of artifacts; may be given more than once [default: what the environment says]. Others can see
    /// the command line of a process: leave secrets to the environment.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) store_option: Vec<StoreOption>,

    /// Where a directory is made for what artifacts and buckets hold, and removed in the end [default: that of the system for
    /// temporary files].
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// What a replica shares with others through an object store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Artifacts")]
pub(crate) struct FleetArgs {
    /// Begin with an artifact from this object store when the state is empty or far behind, and take one when the bucket
    /// does not hold any more what the state lacks: `file:///DIR`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or
    /// `gs://BUCKET/PREFIX`.
    #[arg(long, value_name = "URL", requires = "key")]
    pub(crate) store: Option<Place>,

    /// An option of the store, such as region, endpoint or a credential; may be given more than once [default: what the
    /// environment says, as in `AWS_REGION`]. Others can see the command line of a process: leave secrets to the environment.
    #[arg(long, value_name = "NAME=VALUE", requires = "store")]
    pub(crate) store_option: Vec<StoreOption>,

    /// The key of the artifacts: one for each bucket and scope.
    #[arg(long, value_name = "KEY", requires = "store")]
    pub(crate) key: Option<ArtifactKey>,

    /// Export every so often: 30s, 5m, 1h. Of several replicas with the same store and key one does it, by a lease that is kept
    /// in the store.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "store")]
    pub(crate) export_every: Option<Duration>,

    /// The name of this replica, for people: who exported, and who holds the lease [default: `alluvium`, and its process id].
    #[arg(long, value_name = "NAME", requires = "export_every")]
    pub(crate) holder: Option<String>,

    /// After an export, remove all but so many of the newest artifacts [default: none is removed].
    #[arg(long, value_name = "N", requires = "export_every")]
    pub(crate) keep: Option<NonZeroU32>,

    /// How long what is not kept stays all the same, and how long an export or a bootstrap may take.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time, requires = "keep")]
    pub(crate) grace: Duration,
}
