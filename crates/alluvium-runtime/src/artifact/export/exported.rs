//! What came of an export, and how far one is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::Cursor;
use alluvium_core::artifact::{ArtifactManifest, ExportPlan, Published};

use super::ExportError;

/// What came of an export. Each is a normal end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Exported {
    /// The artifact is the newest of its key now.
    Published(Box<ExportReport>),
    /// The newest artifact is at the table's cursor already. Nothing was uploaded.
    Unchanged {
        /// The newest artifact.
        newest: Box<ArtifactManifest>,
    },
    /// Somebody else has published an artifact that is further along, or was faster. Nothing is published; the next export
    /// builds on theirs.
    SupersededByNewer {
        /// The newest artifact.
        by: Box<ArtifactManifest>,
    },
}

impl Exported {
    /// The artifact that is the newest of its key now.
    pub fn newest(&self) -> &ArtifactManifest {
        match self {
            Self::Published(report) => &report.published.manifest,
            Self::Unchanged { newest } => newest,
            Self::SupersededByNewer { by } => by,
        }
    }

    /// What was published, if anything was.
    pub fn report(&self) -> Option<&ExportReport> {
        match self {
            Self::Published(report) => Some(report),
            Self::Unchanged { .. } | Self::SupersededByNewer { .. } => None,
        }
    }
}

/// What an export brought.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExportReport {
    /// The artifact: its name in the history, its manifest, and how many bytes were uploaded for it.
    pub published: Published,
    /// Whether the whole table was exported, and why, or what changed since when.
    pub plan: ExportPlan,
    /// Rows that were exported, deletes included.
    pub rows: u64,
    /// New segments.
    pub segments: u64,
    /// Bytes of the new segments.
    pub bytes: u64,
    /// What was wrong with the pointer that this artifact has replaced. `None` if it could be read, or there was none.
    pub replaced_damaged: Option<String>,
    /// From the call to the swapped pointer.
    pub took: Duration,
}

impl ExportReport {
    /// Where the table was exact at.
    pub fn cursor(&self) -> &Cursor {
        &self.published.manifest.cursor
    }
}

/// How far an export is. Told after each segment that was handed to the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportProgress {
    /// Rows in the segments so far, deletes included.
    pub rows: u64,
    /// About how many there will be. Not exact for a whole table, where engines may count replaced rows twice.
    pub of_rows: u64,
    /// Segments so far.
    pub segments: u64,
    /// Bytes of the segments so far.
    pub bytes: u64,
}

/// How the rounds of a replica do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExportStatus {
    /// When this replica last published an artifact. Those of other nodes do not count.
    pub published_at: Option<Instant>,
    /// What that artifact is exact at.
    pub cursor: Option<Cursor>,
    /// Artifacts that this replica has published.
    pub published: u64,
    /// Rounds that it has done, whether there was anything to publish or not.
    pub rounds: u64,
    /// Rounds that it has left to other nodes, or to later.
    pub skipped: u64,
    /// Why its last round failed; `None` once one has not. The replica goes on, and tries again at the next round.
    pub error: Option<Arc<ExportError>>,
}
