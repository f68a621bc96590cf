//! Artifacts: a table at a cursor, ready to travel. A manifest, and the segments that it names.
//!
//! A **segment** is a run of rows, sorted by key. The segments of one export are one **run**, and lie in one **pack**. The first
//! run of an artifact is the whole table as it once was, the base; the runs after it are what changed since, deletes
//! included. Reading all of them, of each key the row of the highest sequence counts.
//!
//! What to export is decided by [`plan_export`], what an artifact is good for by [`check_fit`].

mod error;
mod export;
mod fit;
mod id;
mod key_text;
mod manifest;
mod paths;
mod segment;

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{BoxError, ByteStream, Cursor, Mode, RetentionPolicy, Scope, Sequence};

pub use error::TransportError;
pub use export::{BaseReason, ExportInput, ExportPlan, ExportPolicy, plan_export};
pub(crate) use fit::check_facts;
pub use fit::{FitInput, Unfit, check_fit};
pub use id::{ManifestId, PackId};
pub use manifest::{ARTIFACT_FORMAT, ArtifactManifest, MAX_ARTIFACT_MANIFEST_BYTES, Run};
pub use paths::{ArtifactKey, MANIFESTS, PACKS, POINTER_SUFFIX};
pub use segment::{MAX_SEGMENT_BYTES, SegmentInfo, SegmentRef};

/// A segment on its way into a pack: what is in it, and its bytes.
pub type EncodedSegment = (SegmentInfo, Bytes);

/// The segments of one export, by rising key. After an error nothing more comes.
pub type SegmentStream = Pin<Box<dyn Stream<Item = Result<EncodedSegment, BoxError>> + Send>>;

/// An artifact whose new segments are still to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The table that it is of.
    pub table: String,
    /// Where the table is exact at.
    pub cursor: Cursor,
    /// The keys that the table holds.
    pub scope: Scope,
    /// What the table keeps of what its log forgets.
    pub mode: Mode,
    /// Whether the table ever saw that its log can evict. An archive that is restored from the artifact remembers it, too.
    pub has_evicted: bool,
    /// From where on the table has seen all that its log held; `None` if from the beginning, for all that is known. An archive
    /// that is restored from the artifact remembers it, too.
    pub since: Option<Sequence>,
    /// The runs that it shares with its parent, the base first. None for a new base.
    pub runs: Vec<Run>,
    /// What the new segments hold: what changed after this.
    pub after: Sequence,
    /// How often what the new segments hold was exported before, as several runs that are now one.
    pub level: u32,
    /// The newest artifact when this one was planned: that it replaces, or nothing.
    pub parent: Option<ManifestId>,
    /// When it is made, in milliseconds since 1970-01-01T00:00:00Z, by the clock of its exporter. For people: nothing is decided
    /// by it.
    pub created_ms: i64,
    /// Who makes it. For people.
    pub exporter: String,
}

/// What came of an upload.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The artifact is the newest now.
    Published(Box<Published>),
    /// Somebody else was faster, and this artifact is not published. A normal end: the next export builds on theirs.
    SupersededByNewer {
        /// What is the newest now.
        by: Box<ArtifactManifest>,
    },
}

/// A published artifact.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// Its name in the history.
    pub id: ManifestId,
    /// What it consists of.
    pub manifest: ArtifactManifest,
    /// Bytes that were uploaded for it, its manifest included.
    pub uploaded: u64,
}

impl Published {
    /// What was published, and how much had to be uploaded.
    pub fn new(id: ManifestId, manifest: ArtifactManifest, uploaded: u64) -> Self {
        Self {
            id,
            manifest,
            uploaded,
        }
    }
}

/// What came of a prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunedArtifacts {
    /// The artifacts that are not in the history any more, oldest first.
    pub manifests: Vec<ManifestId>,
    /// The packs that are gone.
    pub packs: Vec<PackId>,
    /// How many objects were removed in all.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Storage of artifacts that any machine can start from.
///
/// An [`upload`](Transport::upload) streams the new segments into one pack and then swaps the pointer, which is the newest
/// manifest. Readers take a manifest and [`segment`](Transport::segment)s of it, in any order.
///
/// Obligations:
///
/// 1. **A reader fetches only what it needs**: a segment is one ranged read, and segments can be read in parallel.
/// 2. **The cost of an export is what changed**: nothing is uploaded but the segments given and a manifest.
/// 3. **The pointer never goes back.** It is swapped by compare-and-swap, after everything that it names is there, and only over
///    what the draft was planned on: otherwise the outcome is [`Outcome::SupersededByNewer`], and nothing is published.
/// 4. **Streaming.** Memory is bounded by parts, and nothing is copied to a disk. What failed leaves nothing but, at worst, a
///    pack that no manifest names, which a prune removes.
/// 5. **The store is not trusted.** Sizes are capped before they are buffered, digests are checked before bytes are handed out,
///    and nothing in a manifest leads out of the directory of its key.
/// 6. **A stalled connection is an error**, and no hang: each request has a limit of time.
/// 7. **Pruning is safe** beside readers and publishers within the grace period: only what no retained manifest names is removed.
/// 8. **The history is whole**: every artifact that was published and not pruned is in it, the newest included, and nothing
///    else.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The newest artifact of a key, and its name: what a draft has as its parent. `None` if none was ever published.
    ///
    /// # Errors
    ///
    /// [`TransportError::Corrupt`] and [`TransportError::Newer`] for a pointer that cannot be read; storage errors.
    async fn newest(
        &self,
        key: &ArtifactKey,
    ) -> Result<Option<(ManifestId, ArtifactManifest)>, TransportError>;

    /// The manifest of the newest artifact of a key.
    ///
    /// # Errors
    ///
    /// As [`newest`](Transport::newest).
    async fn manifest(&self, key: &ArtifactKey) -> Result<Option<ArtifactManifest>, TransportError> {
        Ok(self.newest(key).await?.map(|(_, manifest)| manifest))
    }

    /// Uploads the new segments of an artifact, and publishes it. Durable and visible to everybody when it returns
    /// [`Outcome::Published`]. The draft is [completed](Draft::complete) with what came.
    ///
    /// A pointer that is damaged is replaced by a draft without a parent.
    ///
    /// # Errors
    ///
    /// [`TransportError::Mismatch`] if the key is another table's; [`TransportError::Segments`] if the stream failed;
    /// [`TransportError::Invalid`] for a draft that does not fit together, or whose manifest is too long; storage errors: it may
    /// be published or not, look.
    async fn upload(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError>;

    /// The bytes of one segment, checked against its digest.
    ///
    /// # Errors
    ///
    /// [`TransportError::Missing`], [`TransportError::IntegrityMismatch`], [`TransportError::Corrupt`] for a pack that is too
    /// short; storage errors.
    async fn segment(
        &self,
        key: &ArtifactKey,
        pack: PackId,
        segment: &SegmentRef,
    ) -> Result<Bytes, TransportError>;

    /// Every published artifact of a key, oldest first. What cannot be read counts too: it is there.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn history(&self, key: &ArtifactKey) -> Result<Vec<ManifestId>, TransportError>;

    /// An artifact of the history.
    ///
    /// # Errors
    ///
    /// [`TransportError::NotFound`]; [`TransportError::Corrupt`] and [`TransportError::Newer`] for what cannot be read; storage errors.
    async fn manifest_of(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<ArtifactManifest, TransportError>;

    /// The bytes of a whole pack, a plain tar: to check all of it. They are not checked here.
    ///
    /// # Errors
    ///
    /// [`TransportError::Missing`]; storage errors, as the last item of the stream at the latest.
    async fn pack(
        &self,
        key: &ArtifactKey,
        pack: PackId,
    ) -> Result<ByteStream<TransportError>, TransportError>;

    /// The packs that there are of a key, with their bytes, named by a manifest or not.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn packs(&self, key: &ArtifactKey) -> Result<Vec<(PackId, u64)>, TransportError>;

    /// Every key of which there is an artifact, sorted.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn keys(&self) -> Result<Vec<ArtifactKey>, TransportError>;

    /// Removes the artifacts of a key that [`RetentionPolicy`] does not keep, and packs that nothing needs. The newest artifact is
    /// always kept. A [dry run](RetentionPolicy::dry_run) tells what that is, and leaves everything.
    ///
    /// # Errors
    ///
    /// [`TransportError::PruneIncomplete`] if something could not be removed: everything else was.
    /// [`TransportError::Corrupt`] if a manifest cannot be read: nothing can be known of what it needs. Storage errors.
    async fn prune(
        &self,
        key: &ArtifactKey,
        retention: RetentionPolicy,
    ) -> Result<PrunedArtifacts, TransportError>;
}

const _: fn(&dyn Transport) = |_| (); // object-safe
