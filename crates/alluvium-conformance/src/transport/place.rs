//! What the tests of the suite share: a place that artifacts are in, the objects of which can be reached, and contents that
//! can be told apart.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::artifact::{
    ArtifactManifest, Draft, EncodedSegment, ManifestId, Outcome, Published, SegmentInfo, SegmentStream,
};
use alluvium_core::{
    ArtifactKey, Cursor, LogIdentity, Mode, RetentionPolicy, Scope, Sequence, Timestamp, Transport,
    TransportError,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::support::{Directory, block_on};
use crate::{Random, TransportHarness, opaque_segment};

/// Below which the artifacts are.
const PREFIX: &str = "some/where";
/// More bytes than two parts have.
pub(super) const SEVERAL_PARTS: usize = (20 << 20) + 1;

pub(super) type Handle = Arc<dyn Transport>;

/// A place that artifacts are in, gone when the test is over.
pub(super) struct Place<'h> {
    harness: &'h dyn TransportHarness,
    directory: Directory,
}

impl<'h> Place<'h> {
    pub(super) fn new(harness: &'h dyn TransportHarness) -> Self {
        Self {
            harness,
            directory: Directory::new(),
        }
    }

    pub(super) async fn store(&self) -> Arc<dyn ObjectStore> {
        self.harness.open_store(&self.directory.path()).await
    }

    pub(super) async fn open(&self) -> Handle {
        self.open_over(self.store().await).await
    }

    /// Opens it through another store over the same objects.
    pub(super) async fn open_over(&self, store: Arc<dyn ObjectStore>) -> Handle {
        self.open_within(store, Duration::from_secs(30)).await
    }

    pub(super) async fn open_within(&self, store: Arc<dyn ObjectStore>, limit: Duration) -> Handle {
        let opened = self.harness.open_transport(store, Key::from(PREFIX), limit).await;
        opened.unwrap()
    }

    /// Where an object of this path is in the store.
    fn key(path: &str) -> Key {
        // The names in it are encoded already.
        Key::parse(format!("{PREFIX}/{path}")).unwrap()
    }

    /// The paths of all objects below the prefix, sorted.
    pub(super) async fn paths(&self) -> Vec<String> {
        let store = self.store().await;
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        let path = |key: &Key| {
            let path = key.as_ref().strip_prefix(PREFIX);
            let path = path.and_then(|path| path.strip_prefix('/'));
            path.unwrap_or_else(|| panic!("{key} is outside of {PREFIX}"))
                .to_owned()
        };
        let mut paths: Vec<String> = listed.iter().map(|object| path(&object.location)).collect();
        paths.sort();
        paths
    }

    /// The bytes of an object, past the transport.
    pub(super) async fn get(&self, path: &str) -> Bytes {
        let object = self.store().await.get(&Self::key(path)).await.unwrap();
        object.bytes().await.unwrap()
    }

    /// Puts or replaces an object, past the transport.
    pub(super) async fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        let put = bytes.into().into();
        self.store().await.put(&Self::key(path), put).await.unwrap();
    }

    /// Removes an object, past the transport.
    pub(super) async fn remove(&self, path: &str) {
        self.store().await.delete(&Self::key(path)).await.unwrap();
    }

    /// How many bytes all objects have.
    pub(super) async fn bytes(&self) -> u64 {
        let listed: Vec<_> = self.store().await.list(None).try_collect().await.unwrap();
        listed.iter().map(|object| object.size).sum()
    }
}

/// Runs a test on a new place, with a handle of it.
pub(super) fn with_place(harness: &dyn TransportHarness, test: impl AsyncFnOnce(&Place<'_>, Handle)) {
    let place = Place::new(harness);
    block_on(async {
        let handle = place.open().await;
        test(&place, handle).await;
    });
}

/// The key of most tests. A path has to encode something of it.
pub(super) fn routes() -> ArtifactKey {
    key("Routes")
}

pub(super) fn key(name: &str) -> ArtifactKey {
    name.parse().unwrap()
}

pub(super) fn log() -> LogIdentity {
    LogIdentity::new("KV_routes", Timestamp::from_nanos(1_700_000_000_000_000_000))
}

pub(super) fn cursor(sequence: u64) -> Cursor {
    Cursor::start_of(log()).at(
        Sequence::new(sequence),
        Timestamp::from_nanos(1_800_000_000_000_000_000),
    )
}

/// What changed since an artifact; a whole table without one.
pub(super) fn draft(on: Option<&Published>, sequence: u64) -> Draft {
    let runs = on.map_or_else(Vec::new, |on| on.manifest.runs.clone());
    Draft {
        table: "routes".to_owned(),
        cursor: cursor(sequence),
        scope: Scope::all(),
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        after: runs.last().map_or(Sequence::ZERO, |run| run.through),
        runs,
        level: 0,
        parent: on.map(|on| on.id),
        created_ms: 1_700_000_000_000,
        exporter: "node-1".to_owned(),
    }
}

/// A whole table in the place of an artifact.
pub(super) fn base(over: &Published, sequence: u64) -> Draft {
    let mut draft = draft(Some(over), sequence);
    (draft.runs, draft.after) = (Vec::new(), Sequence::ZERO);
    draft
}

/// What a segment holds: no two have the same.
fn content(sequence: Sequence, number: u32, length: usize) -> Bytes {
    Random::nth(sequence.get(), number.into()).bytes(length).into()
}

/// What [`segments`] has given for this.
pub(super) fn content_of(info: &SegmentInfo) -> Bytes {
    let number = std::str::from_utf8(&info.first_key).unwrap().parse().unwrap();
    content(info.last_sequence, number, usize::try_from(info.length).unwrap())
}

/// Segments of these lengths that changed at this sequence.
pub(super) fn segments(sequence: u64, lengths: &[usize]) -> Vec<EncodedSegment> {
    let sequence = Sequence::new(sequence);
    (0..)
        .zip(lengths)
        .map(|(number, length)| opaque_segment(number, sequence, content(sequence, number, *length)))
        .collect()
}

pub(super) fn stream_of(segments: Vec<EncodedSegment>) -> SegmentStream {
    stream::iter(segments.into_iter().map(Ok)).boxed()
}

/// Uploads segments of these lengths.
pub(super) async fn upload(
    handle: &Handle,
    key: &ArtifactKey,
    draft: Draft,
    lengths: &[usize],
) -> Result<Outcome, TransportError> {
    let segments = stream_of(segments(draft.cursor.sequence.get(), lengths));
    handle.upload(key, draft, segments).await
}

/// What was published.
#[track_caller]
pub(super) fn published(outcome: Result<Outcome, TransportError>) -> Published {
    match outcome {
        Ok(Outcome::Published(published)) => *published,
        other => panic!("it is not published: {other:?}"),
    }
}

/// What has superseded it.
#[track_caller]
pub(super) fn superseded(outcome: Result<Outcome, TransportError>) -> ArtifactManifest {
    match outcome {
        Ok(Outcome::SupersededByNewer { by }) => *by,
        other => panic!("it is not superseded: {other:?}"),
    }
}

/// Publishes what changed since an artifact; a whole table without one.
pub(super) async fn publish(
    handle: &Handle,
    on: Option<&Published>,
    sequence: u64,
    lengths: &[usize],
) -> Published {
    published(upload(handle, &routes(), draft(on, sequence), lengths).await)
}

/// The newest artifact of a key, as whoever looks finds it.
pub(super) async fn newest_of(handle: &Handle, key: &ArtifactKey) -> Option<Published> {
    let (id, manifest) = handle.newest(key).await.unwrap()?;
    Some(Published::new(id, manifest, 0))
}

/// Asserts that every segment of an artifact comes back as it was given.
pub(super) async fn assert_whole(handle: &Handle, key: &ArtifactKey, manifest: &ArtifactManifest) {
    for (pack, segment) in manifest.segments() {
        let bytes = handle.segment(key, pack, segment).await;
        let bytes = bytes.unwrap_or_else(|error| panic!("{segment:?}: {error:?}"));
        assert!(
            bytes == content_of(&segment.info),
            "{segment:?} holds something else"
        );
    }
}

/// Asserts that these are all artifacts of a key, the newest last, and that each is whole.
pub(super) async fn assert_history(handle: &Handle, key: &ArtifactKey, all: &[Published]) {
    let newest = handle.newest(key).await.unwrap();
    let expected = all.last().map(|newest| (newest.id, newest.manifest.clone()));
    assert_eq!(newest, expected, "the newest is another");
    let ids: Vec<ManifestId> = all.iter().map(|one| one.id).collect();
    assert_eq!(handle.history(key).await.unwrap(), ids, "the history is another");
    for one in all {
        let manifest = handle.manifest_of(key, one.id).await.unwrap();
        assert_eq!(manifest, one.manifest);
        assert_whole(handle, key, &manifest).await;
    }
}

/// All bytes of a pack.
pub(super) async fn whole_pack(
    handle: &Handle,
    key: &ArtifactKey,
    pack: alluvium_core::artifact::PackId,
) -> Result<Vec<u8>, TransportError> {
    let pieces: Vec<Bytes> = handle.pack(key, pack).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// Keeps so many, without a grace period.
pub(super) fn at_once(keep: u32) -> RetentionPolicy {
    RetentionPolicy::default()
        .keep(keep.try_into().unwrap())
        .grace(Duration::ZERO)
}
