//! An engine in memory that outlives its backends, that a test can look into, and that can be told to fail.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{AssignmentVersion, BackendOptions, Epoch, KeyRange, StateBackend, Vnode, VnodeCount};
use alluvium_engine::{
    Engine, EngineBackend, EngineError, EngineSnapshot, EngineStats, PairSource, Space, WriteBatch,
};
use alluvium_memory::MemoryEngine;
use bytes::Bytes;

pub(crate) const OFF: AssignmentVersion = AssignmentVersion::OFF;

/// See the [module](self).
pub(crate) struct Probe {
    engine: MemoryEngine,
    /// How many more drops of spaces succeed.
    drops: AtomicU64,
    /// How many more commits succeed.
    commits: AtomicU64,
}

impl Probe {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            engine: MemoryEngine::in_memory(),
            drops: AtomicU64::new(u64::MAX),
            commits: AtomicU64::new(u64::MAX),
        })
    }

    pub(crate) fn let_drops_succeed(&self, drops: u64) {
        self.drops.store(drops, Ordering::SeqCst);
    }

    pub(crate) fn let_commits_succeed(&self, commits: u64) {
        self.commits.store(commits, Ordering::SeqCst);
    }

    pub(crate) fn open(self: &Arc<Self>) -> EngineBackend {
        self.open_with(BackendOptions::default().vnodes(VnodeCount::new(4).unwrap()))
    }

    pub(crate) fn open_with(self: &Arc<Self>, options: BackendOptions) -> EngineBackend {
        EngineBackend::open(Arc::clone(self) as Arc<dyn Engine>, options).unwrap()
    }

    /// The names of the spaces, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.spaces().unwrap();
        names.sort();
        names
    }

    /// All that a space holds.
    pub(crate) fn pairs(&self, space: &str) -> Vec<(Bytes, Bytes)> {
        let space = self.space(space).unwrap();
        let pairs = self.snapshot().unwrap().scan(space, &KeyRange::all()).unwrap();
        pairs.map(Result::unwrap).collect()
    }

    pub(crate) fn put(&self, space: &str, key: &[u8], value: &[u8]) {
        let mut batch = WriteBatch::default();
        let space = self.space(space).unwrap();
        batch.put(space, key.to_vec(), value.to_vec());
        self.commit(batch).unwrap();
    }

    pub(crate) fn remove(&self, space: &str, key: &[u8]) {
        let mut batch = WriteBatch::default();
        batch.remove(self.space(space).unwrap(), key.to_vec());
        self.commit(batch).unwrap();
    }
}

impl Engine for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn space(&self, name: &str) -> Result<Space, EngineError> {
        self.engine.space(name)
    }

    fn spaces(&self) -> Result<Vec<String>, EngineError> {
        self.engine.spaces()
    }

    fn drop_space(&self, name: &str) -> Result<(), EngineError> {
        take(&self.drops)?;
        self.engine.drop_space(name)
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError> {
        take(&self.commits)?;
        self.engine.commit(batch)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.engine.get(space, key)
    }

    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError> {
        self.engine.snapshot()
    }

    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError> {
        self.engine.ingest(name, pairs)
    }

    fn approximate_len(&self, space: Space) -> Result<u64, EngineError> {
        self.engine.approximate_len(space)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.engine.sync()
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        self.engine.stats()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.engine.close()
    }
}

/// Takes one of what may succeed.
fn take(left: &AtomicU64) -> Result<(), EngineError> {
    let one_less = |left: u64| left.checked_sub(1);
    match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
        Ok(_) => Ok(()),
        Err(_) => Err(EngineError::Io {
            doing: "write",
            path: "probe".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        }),
    }
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test)
}

pub(crate) fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

pub(crate) const fn vnode(number: u32) -> Vnode {
    Vnode::new(number)
}

pub(crate) const fn version(number: u64) -> AssignmentVersion {
    AssignmentVersion::new(number)
}

/// Writes a partial of vnode 0 and seals the epoch.
pub(crate) async fn round(backend: &EngineBackend, at: u64, bytes: impl Into<Bytes>) {
    let write = backend.write_partial(vnode(0), epoch(at), OFF, bytes.into());
    write.await.unwrap();
    assert!(backend.epoch_complete(epoch(at), &[vnode(0)]).await.unwrap());
}
