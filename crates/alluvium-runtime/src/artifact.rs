//! Artifacts of a table: a [`Bootstrap`] fills one from the newest, wherever that was exported.

mod bootstrap;

pub use bootstrap::{
    ArtifactDir, ArtifactRows, Bootstrap, BootstrapError, BootstrapProgress, Bootstrapped, Fetched,
    SkippedArtifact, fetch_artifact,
};
