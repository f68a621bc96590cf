//! What a bootstrap did, and how far it has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::Cursor;
use alluvium_core::artifact::{ArtifactManifest, ManifestId};

use super::BootstrapError;

/// A table that was filled from an artifact.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bootstrapped {
    /// The artifact.
    pub id: ManifestId,
    /// Where the table is exact at now.
    pub cursor: Cursor,
    /// Rows that the table was given.
    pub rows: u64,
    /// What had to be fetched for it.
    pub fetched: Fetched,
    /// Artifacts that were damaged, newest first.
    pub skipped: Vec<SkippedArtifact>,
}

/// An artifact that could not be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SkippedArtifact {
    /// Which one; `None` for a pointer that cannot be read.
    pub id: Option<ManifestId>,
    /// Why not.
    pub error: Arc<BootstrapError>,
}

/// What was fetched of an artifact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Segments that were fetched.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that were there from an earlier attempt, and are whole.
    pub reused: u64,
    /// Segments of the artifact that hold no key of the scope.
    pub unneeded: u64,
}

/// How far a bootstrap has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootstrapProgress {
    /// Bytes of the segments that are here, whether they were fetched now or before.
    pub bytes: u64,
    /// Bytes of all segments that are needed.
    pub bytes_total: u64,
    /// Rows that the table was given.
    pub rows: u64,
    /// Rows of all segments that are needed: at least as many as the table will have.
    pub rows_total: u64,
}

/// Who is told how far a bootstrap has come.
pub(super) type Listener = Arc<dyn Fn(BootstrapProgress) + Send + Sync>;

/// Counts, and tells of it.
#[derive(Clone)]
pub(super) struct Meter(Arc<Counts>);

struct Counts {
    bytes: AtomicU64,
    rows: AtomicU64,
    bytes_total: u64,
    rows_total: u64,
    listener: Option<Listener>,
}

impl Meter {
    pub(super) fn new(bytes_total: u64, rows_total: u64, listener: Option<Listener>) -> Self {
        let meter = Self(Arc::new(Counts {
            bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes_total,
            rows_total,
            listener,
        }));
        meter.tell();
        meter
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    pub(super) fn set_rows(&self, rows: u64) {
        self.0.rows.store(rows, Ordering::Relaxed);
        self.tell();
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Relaxed)
    }

    fn tell(&self) {
        if let Some(listener) = &self.0.listener {
            listener(BootstrapProgress {
                bytes: self.0.bytes.load(Ordering::Relaxed),
                bytes_total: self.0.bytes_total,
                rows: self.rows(),
                rows_total: self.0.rows_total,
            });
        }
    }
}

/// An artifact that was chosen.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) id: ManifestId,
    pub(crate) manifest: ArtifactManifest,
}
