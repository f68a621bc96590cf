//! Artifacts of a table: an [`Exporter`] makes them, and a [`Bootstrap`] fills another table from the newest, wherever that was
//! exported.

mod bootstrap;
mod export;

pub use bootstrap::{
    ArtifactDir, ArtifactRows, Bootstrap, BootstrapError, BootstrapProgress, Bootstrapped, Fetched,
    SkippedArtifact, fetch_artifact,
};
pub(crate) use bootstrap::{Chosen, Load, Place};
pub use export::{
    ExportError, ExportOptions, ExportProgress, ExportReport, ExportSchedule, ExportStatus, Exported,
    Exporter, Round, SkipReason,
};
pub(crate) use export::{Request, Rounds, RunningRounds};
