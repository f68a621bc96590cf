//! A transport that writes down which segments it gives, and fails where it is told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use alluvium_core::artifact::{
    ArtifactManifest, Draft, ManifestId, Outcome, PackId, PrunedArtifacts, SegmentRef, SegmentStream,
};
use alluvium_core::{ArtifactKey, ByteStream, Digest, ErrorKind, RetentionPolicy, Transport, TransportError};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

/// Called before a segment is given, with how many were asked for before.
pub(crate) type Before = dyn Fn(usize, &SegmentRef) -> Result<(), TransportError> + Send + Sync;

pub(crate) struct Watched {
    inner: Arc<dyn Transport>,
    asked: AtomicUsize,
    given: Mutex<Vec<Digest>>,
    before: Box<Before>,
    gate: Semaphore,
    answers: AtomicBool,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn Transport>) -> Arc<Self> {
        Self::with(inner, |_, _| Ok(()))
    }

    pub(crate) fn with(
        inner: Arc<dyn Transport>,
        before: impl Fn(usize, &SegmentRef) -> Result<(), TransportError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::behind(inner, before, Semaphore::MAX_PERMITS)
    }

    /// One that gives no segment before it is [let pass](Self::let_pass).
    pub(crate) fn gated(inner: Arc<dyn Transport>) -> Arc<Self> {
        Self::behind(inner, |_, _| Ok(()), 0)
    }

    fn behind(
        inner: Arc<dyn Transport>,
        before: impl Fn(usize, &SegmentRef) -> Result<(), TransportError> + Send + Sync + 'static,
        pass: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            asked: AtomicUsize::new(0),
            given: Mutex::default(),
            before: Box::new(before),
            gate: Semaphore::new(pass),
            answers: AtomicBool::new(true),
        })
    }

    /// One whose store does not even say what there is.
    pub(crate) fn silent(inner: Arc<dyn Transport>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            asked: AtomicUsize::new(0),
            given: Mutex::default(),
            before: Box::new(|_, _| Ok(())),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            answers: AtomicBool::new(false),
        })
    }

    /// Answers from now on.
    pub(crate) fn answer(&self) {
        self.answers.store(true, Ordering::SeqCst);
    }

    /// Lets so many more segments pass.
    pub(crate) fn let_pass(&self, segments: usize) {
        self.gate.add_permits(segments);
    }

    /// How often it was asked for a segment, or, if it is silent, what there is.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many segments were given.
    pub(crate) fn given(&self) -> usize {
        self.given.lock().unwrap().len()
    }

    /// The segments that were given since the last call.
    pub(crate) fn take(&self) -> Vec<Digest> {
        std::mem::take(&mut *self.given.lock().unwrap())
    }
}

/// A store that does not answer.
pub(crate) fn no_answer() -> TransportError {
    TransportError::Storage {
        doing: "read",
        location: "a pack".to_owned(),
        kind: ErrorKind::Transient,
        source: "no answer".into(),
    }
}

#[async_trait]
impl Transport for Watched {
    async fn newest(
        &self,
        key: &ArtifactKey,
    ) -> Result<Option<(ManifestId, ArtifactManifest)>, TransportError> {
        if !self.answers.load(Ordering::SeqCst) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Err(no_answer());
        }
        self.inner.newest(key).await
    }

    async fn upload(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        self.inner.upload(key, draft, segments).await
    }

    async fn segment(
        &self,
        key: &ArtifactKey,
        pack: PackId,
        segment: &SegmentRef,
    ) -> Result<Bytes, TransportError> {
        self.gate.acquire().await.unwrap().forget();
        (self.before)(self.asked.fetch_add(1, Ordering::SeqCst), segment)?;
        let bytes = self.inner.segment(key, pack, segment).await?;
        self.given.lock().unwrap().push(segment.info.sha256);
        Ok(bytes)
    }

    async fn history(&self, key: &ArtifactKey) -> Result<Vec<ManifestId>, TransportError> {
        self.inner.history(key).await
    }

    async fn manifest_of(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<ArtifactManifest, TransportError> {
        self.inner.manifest_of(key, id).await
    }

    async fn pack(
        &self,
        key: &ArtifactKey,
        pack: PackId,
    ) -> Result<ByteStream<TransportError>, TransportError> {
        self.inner.pack(key, pack).await
    }

    async fn packs(&self, key: &ArtifactKey) -> Result<Vec<(PackId, u64)>, TransportError> {
        self.inner.packs(key).await
    }

    async fn keys(&self) -> Result<Vec<ArtifactKey>, TransportError> {
        self.inner.keys().await
    }

    async fn prune(
        &self,
        key: &ArtifactKey,
        retention: RetentionPolicy,
    ) -> Result<PrunedArtifacts, TransportError> {
        self.inner.prune(key, retention).await
    }
}
