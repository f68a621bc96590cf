//! A transport in memory that is sound, but for one sin if it is told to.

use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::TransportHarness;
use alluvium_core::artifact::{
    ArtifactManifest, Draft, ManifestId, Outcome, PackId, PrunedArtifacts, SegmentRef, SegmentStream,
};
use alluvium_core::{ArtifactKey, ByteStream, ErrorKind, RetentionPolicy, Transport, TransportError};
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::memory_at;

/// What a transport can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sin {
    None,
    /// For a segment the whole pack is read.
    ReadsWholePacks,
    /// What is shared with the parent is uploaded once more.
    UploadsWhatIsShared,
    /// The pointer is replaced, whatever is there now.
    LastPublisherWins,
    /// The pointer goes back behind where it was.
    CursorFalls,
    /// A pointer that nobody can read any more is replaced like any other.
    ReplacesWhatIsNewer,
    /// A draft on what is gone is published.
    BuildsOnNothing,
    /// Whatever table a key is of, another one's artifact is published there.
    AnyTable,
    /// The pointer is swapped before the segments are there.
    PointerFirst,
    /// A stream that fails is published as far as it came.
    PublishesHalfStreams,
    /// What was uploaded for nothing is left, and nobody knows it.
    LeavesWhatFailed,
    /// Segments are made to fit.
    RepairsSegments,
    /// A segment is handed out as it is, if it is there at all.
    NothingIsChecked,
    /// What is damaged is not there.
    DamagedIsNone,
    /// A pointer that is damaged stays for ever.
    DamagedStays,
    /// Keys that differ by case are one.
    FoldsCase,
    /// A request may take as long as it likes.
    WaitsForEver,
    /// The grace period is over.
    NoGrace,
    /// The pack of what goes, goes with it.
    PrunesSharedPacks,
    /// Packs that nothing needs stay.
    LeavesPacks,
    /// What is asked for only to know it is done.
    DryRunsAreWet,
    /// What is not known is garbage.
    PrunesWhatIsNotKnown,
    /// A prune ends in peace where a manifest cannot be read, and takes it along.
    PrunesWhatIsDamaged,
    /// What was replaced is gone.
    RecordsNothing,
    /// The newest artifact is not in the history yet.
    NewestIsNoHistory,
    /// Who was superseded is told that all went well.
    EverybodyWins,
    /// The newest artifact is called as the last one of the history is.
    NamesByHistory,
    /// The newest artifact is what was the newest when it was first asked for.
    KnowsTheNewest,
    /// Packs have no end.
    PacksHaveNoEnd,
    /// A draft that does not fit together is published as a whole table.
    RepairsDrafts,
    /// A store that does not answer has nothing.
    FaultMeansNone,
    /// What failed is a fault that passes, whatever it was.
    EverythingPasses,
}

/// The harness of such transports: a store for each place.
pub(super) struct Sinful(pub(super) Sin);

#[async_trait]
impl TransportHarness for Sinful {
    async fn open_store(&self, dir: &FsPath) -> Arc<dyn ObjectStore> {
        memory_at(dir)
    }

    async fn open_transport(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        request_timeout: Duration,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        let limit = match self.0 {
            Sin::WaitsForEver => Duration::from_hours(1),
            _ => request_timeout,
        };
        let options = TransportOptions::default().request_timeout(limit);
        Ok(Arc::new(Sinner {
            sound: ObjectStoreTransport::new(Arc::clone(&store), prefix.clone(), options),
            known: tokio::sync::OnceCell::new(),
            store,
            prefix,
            sin: self.0,
        }))
    }
}

type Newest = Option<(ManifestId, ArtifactManifest)>;

pub(super) struct Sinner {
    pub(super) sound: ObjectStoreTransport,
    known: tokio::sync::OnceCell<Newest>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    pub(super) sin: Sin,
}

impl Sinner {
    fn is(&self, sin: Sin) -> bool {
        self.sin == sin
    }

    pub(super) fn at(&self, path: &str) -> Path {
        Path::parse(format!("{}/{path}", self.prefix)).unwrap()
    }

    pub(super) async fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.store.put(&self.at(path), bytes.into().into()).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Option<Bytes> {
        let found = self.store.get(&self.at(path)).await.ok()?;
        found.bytes().await.ok()
    }

    pub(super) async fn remove(&self, path: &str) {
        drop(self.store.delete(&self.at(path)).await);
    }

    fn key(&self, key: &ArtifactKey) -> ArtifactKey {
        match self.sin {
            Sin::FoldsCase => key.as_str().to_lowercase().parse().unwrap(),
            _ => key.clone(),
        }
    }

    /// What is told of what came of a call.
    fn told<T>(&self, outcome: Result<T, TransportError>, none: T) -> Result<T, TransportError> {
        match (self.sin, outcome) {
            (Sin::FaultMeansNone, Err(TransportError::Storage { .. }))
            | (Sin::DamagedIsNone, Err(TransportError::Corrupt { .. })) => Ok(none),
            (
                Sin::EverythingPasses,
                Err(TransportError::Storage {
                    doing,
                    location,
                    source,
                    ..
                }),
            ) => Err(TransportError::Storage {
                doing,
                location,
                kind: ErrorKind::Transient,
                source,
            }),
            (_, outcome) => outcome,
        }
    }

    /// Everything that there is in the directory of a key.
    async fn directory(&self, key: &ArtifactKey) -> Vec<Path> {
        let listed = self.store.list(Some(&self.at(key.directory())));
        listed
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .unwrap()
    }
}

#[async_trait]
impl Transport for Sinner {
    async fn newest(&self, key: &ArtifactKey) -> Result<Newest, TransportError> {
        let newest = self.told(self.sound.newest(&self.key(key)).await, None)?;
        match self.sin {
            Sin::NamesByHistory => {
                let last = self.sound.history(key).await?.pop();
                Ok(newest.map(|(id, manifest)| (last.unwrap_or(id), manifest)))
            }
            Sin::KnowsTheNewest => Ok(self.known.get_or_init(async || newest).await.clone()),
            _ => Ok(newest),
        }
    }

    async fn upload(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        self.publish(&self.key(key), draft, segments).await
    }

    async fn segment(
        &self,
        key: &ArtifactKey,
        pack: PackId,
        segment: &SegmentRef,
    ) -> Result<Bytes, TransportError> {
        let key = self.key(key);
        if self.is(Sin::ReadsWholePacks) {
            let pieces: Vec<Bytes> = self.sound.pack(&key, pack).await?.try_collect().await?;
            let begin = usize::try_from(segment.offset).unwrap();
            let end = begin + usize::try_from(segment.info.length).unwrap();
            return Ok(Bytes::from(pieces.concat()).slice(begin..end));
        }
        if !self.is(Sin::NothingIsChecked) {
            return self.sound.segment(&key, pack, segment).await;
        }
        let end = segment.offset.saturating_add(segment.info.length);
        let there = self
            .store
            .get_range(&self.at(&key.pack(pack)), segment.offset..end)
            .await;
        Ok(there.unwrap_or_default())
    }

    async fn history(&self, key: &ArtifactKey) -> Result<Vec<ManifestId>, TransportError> {
        let mut history = self.sound.history(&self.key(key)).await?;
        if self.is(Sin::NewestIsNoHistory) {
            let newest = self.sound.newest(key).await?.map(|(id, _)| id);
            history.retain(|id| Some(*id) != newest);
        }
        Ok(history)
    }

    async fn manifest_of(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<ArtifactManifest, TransportError> {
        match self.sound.manifest_of(&self.key(key), id).await {
            Err(TransportError::Corrupt { .. }) if self.is(Sin::DamagedIsNone) => {
                Err(TransportError::NotFound { what: id.to_string() })
            }
            outcome => outcome,
        }
    }

    async fn pack(
        &self,
        key: &ArtifactKey,
        pack: PackId,
    ) -> Result<ByteStream<TransportError>, TransportError> {
        let key = self.key(key);
        if !self.is(Sin::PacksHaveNoEnd) {
            return self.sound.pack(&key, pack).await;
        }
        let pieces: Vec<Bytes> = self.sound.pack(&key, pack).await?.try_collect().await?;
        let whole = Bytes::from(pieces.concat());
        let cut = whole.slice(..whole.len().saturating_sub(1024));
        Ok(stream::iter([Ok(cut)]).boxed())
    }

    async fn packs(&self, key: &ArtifactKey) -> Result<Vec<(PackId, u64)>, TransportError> {
        self.sound.packs(&self.key(key)).await
    }

    async fn keys(&self) -> Result<Vec<ArtifactKey>, TransportError> {
        self.sound.keys().await
    }

    async fn prune(
        &self,
        key: &ArtifactKey,
        policy: RetentionPolicy,
    ) -> Result<PrunedArtifacts, TransportError> {
        let policy = match self.sin {
            Sin::NoGrace => policy.grace(Duration::ZERO),
            Sin::DryRunsAreWet => policy.dry_run(false),
            _ => policy,
        };
        let asked = self.sound.prune(key, policy.dry_run(true)).await;
        match (self.sin, asked) {
            (Sin::PrunesWhatIsDamaged, Err(error)) if error.kind() != ErrorKind::Transient => {
                Ok(PrunedArtifacts::default())
            }
            (Sin::PrunesSharedPacks, Ok(asked)) => {
                let mut packs = Vec::new();
                for id in &asked.manifests {
                    packs.extend(self.sound.manifest_of(key, *id).await?.packs());
                }
                let pruned = self.sound.prune(key, policy).await?;
                for pack in packs {
                    self.remove(&key.pack(pack)).await;
                }
                Ok(pruned)
            }
            (Sin::LeavesPacks, Ok(asked)) => {
                let mut left = Vec::new();
                for pack in asked.packs {
                    left.push((pack, self.get(&key.pack(pack)).await.unwrap_or_default()));
                }
                let pruned = self.sound.prune(key, policy).await?;
                for (pack, bytes) in left {
                    self.put(&key.pack(pack), bytes).await;
                }
                Ok(pruned)
            }
            (Sin::PrunesWhatIsNotKnown, Ok(_)) => {
                let pruned = self.sound.prune(key, policy).await?;
                for path in self.directory(key).await {
                    let name = path.filename().unwrap_or_default().to_owned();
                    let stem = name.split_once('.').map_or(&*name, |(stem, _)| stem);
                    if stem.parse::<PackId>().is_err() && stem.parse::<ManifestId>().is_err() {
                        self.store.delete(&path).await.unwrap();
                    }
                }
                Ok(pruned)
            }
            (_, _) => self.told(
                self.sound.prune(&self.key(key), policy).await,
                PrunedArtifacts::default(),
            ),
        }
    }
}
