//! What is measured: every backend, opened as a user opens it, and the bare storage beside it.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{Durability, Epoch, StateBackend, StateConfig, Vnode, VnodeCount};
use alluvium_conformance::FaultyStore;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::{Azurite, Files, S3Server, StoreServer};
use alluvium_object_store::{ObjectStoreBackend, ObjectStoreOptions, StoreOptions, open_store};
use anyhow::{Result, ensure};
use bytes::Bytes;
use object_store::local::LocalFileSystem;

use super::bare::{self, Bare};

/// What can be measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The memory engine in RAM.
    Ram,
    /// An engine with a state directory.
    Engine(EngineKind, Durability),
    /// Files, which are always synced.
    File,
    /// An S3 server in this process.
    S3,
    /// Azurite.
    Azure,
}

/// Everything, in the order of the report.
const ALL: [Kind; 10] = [
    Kind::Ram,
    Kind::Engine(EngineKind::Memory, Durability::Buffered),
    Kind::Engine(EngineKind::Memory, Durability::Fsync),
    Kind::Engine(EngineKind::Fjall, Durability::Buffered),
    Kind::Engine(EngineKind::Fjall, Durability::Fsync),
    Kind::Engine(EngineKind::RocksDb, Durability::Buffered),
    Kind::Engine(EngineKind::RocksDb, Durability::Fsync),
    Kind::File,
    Kind::S3,
    Kind::Azure,
];

impl Kind {
    /// What the report calls it.
    fn name(self) -> String {
        match self {
            Self::Ram => "memory".to_owned(),
            Self::Engine(EngineKind::Memory, Durability::Buffered) => "memory+log".to_owned(),
            Self::Engine(EngineKind::Memory, Durability::Fsync) => "memory+log+fsync".to_owned(),
            Self::Engine(kind, Durability::Buffered) => kind.as_str().to_owned(),
            Self::Engine(kind, Durability::Fsync) => format!("{}+fsync", kind.as_str()),
            Self::File => "file".to_owned(),
            Self::S3 => "s3".to_owned(),
            Self::Azure => "azure".to_owned(),
        }
    }
}

/// The one of this name, or all.
pub(super) fn chosen(only: Option<&str>) -> Result<Vec<Kind>> {
    let wanted = |kind: &Kind| only.is_none_or(|only| kind.name() == only);
    let chosen: Vec<Kind> = ALL.into_iter().filter(wanted).collect();
    ensure!(
        !chosen.is_empty(),
        "there is no such storage: use one of {}",
        ALL.map(Kind::name).join(", ")
    );
    Ok(chosen)
}

/// The share of the bare engine's throughput that is wanted.
const ENGINE_TARGET: f64 = 0.7;
/// The share of a bare `put`'s throughput that is wanted.
const STORE_TARGET: f64 = 0.8;

/// A backend, and the bare storage beside it.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) backend: Arc<dyn StateBackend>,
    /// The share of the bare storage's throughput that is wanted.
    pub(super) target: f64,
    bare: Box<dyn Bare>,
    /// Tells how many requests there were so far, if the backend makes any.
    requests: Option<Requests>,
    /// Goes when this goes, and takes with it what was stored.
    _home: Box<dyn Any + Send + Sync>,
}

type Requests = Box<dyn Fn() -> u64 + Send + Sync>;

impl Subject {
    pub(super) async fn open(kind: Kind, vnodes: VnodeCount) -> Result<Self> {
        match kind {
            Kind::Ram => engine(None, Durability::Buffered, vnodes).await,
            Kind::Engine(kind, durability) => engine(Some(kind), durability, vnodes).await,
            Kind::File => file(vnodes).await,
            Kind::S3 => s3(vnodes).await,
            Kind::Azure => azure(vnodes).await,
        }
    }

    /// How many requests there were so far; 0 if the backend makes none.
    pub(super) fn requests(&self) -> u64 {
        self.requests.as_ref().map_or(0, |requests| requests())
    }

    /// Whether the backend makes requests.
    pub(super) fn makes_requests(&self) -> bool {
        self.requests.is_some()
    }

    /// Has the bare storage write an epoch, and tells how long that took.
    pub(super) async fn write_bare(&self, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<Duration> {
        let begin = Instant::now();
        self.bare.write(epoch, partials).await?;
        Ok(begin.elapsed())
    }

    /// Has the bare storage forget an epoch.
    pub(super) async fn forget_bare(&self, epoch: Epoch) -> Result<()> {
        let vnodes: Vec<Vnode> = self.backend.vnode_count().vnodes().collect();
        self.bare.forget(epoch, &vnodes).await
    }
}

/// An engine with a state directory, or the memory engine in RAM.
async fn engine(kind: Option<EngineKind>, durability: Durability, vnodes: VnodeCount) -> Result<Subject> {
    let directory = tempfile::tempdir()?;
    let dir = |name: &str| directory.path().join(name);
    let (url, bare) = match kind {
        None => ("memory:".to_owned(), bare::memory("memory:", durability)?),
        Some(kind) => {
            let bare = match kind {
                EngineKind::Memory => bare::memory(&kind.url(&dir("bare")), durability)?,
                EngineKind::Fjall => bare::fjall(&dir("bare"), durability)?,
                EngineKind::RocksDb => bare::rocksdb(&dir("bare"), durability)?,
            };
            (kind.url(&dir("ours")), bare)
        }
    };
    let config = StateConfig::new(&url)?.vnodes(vnodes).durability(durability);
    Ok(Subject {
        name: kind
            .map_or(Kind::Ram, |kind| Kind::Engine(kind, durability))
            .name(),
        backend: config.open().await?,
        target: ENGINE_TARGET,
        bare,
        requests: None,
        _home: Box::new(directory),
    })
}

/// Files. The bare storage syncs them too, as `object_store` does if it is asked to.
async fn file(vnodes: VnodeCount) -> Result<Subject> {
    let files = Files::start();
    let directory = tempfile::tempdir()?;
    let bare = LocalFileSystem::new_with_prefix(directory.path())?.with_fsync(true);
    let (backend, requests) = counted(&files, vnodes).await?;
    Ok(Subject {
        name: Kind::File.name(),
        backend,
        target: STORE_TARGET,
        bare: bare::store(Arc::new(bare)),
        requests: Some(requests),
        _home: Box::new((files, directory)),
    })
}

/// An S3 server, which counts what reaches it.
async fn s3(vnodes: VnodeCount) -> Result<Subject> {
    let server = Arc::new(S3Server::start());
    let counter = Arc::clone(&server);
    let (backend, _) = counted(server.as_ref(), vnodes).await?;
    Ok(Subject {
        name: Kind::S3.name(),
        backend,
        target: STORE_TARGET,
        bare: bare::store(server.store()),
        requests: Some(Box::new(move || counter.requests().total())),
        _home: Box::new(server),
    })
}

async fn azure(vnodes: VnodeCount) -> Result<Subject> {
    let server = Azurite::start().await;
    let (backend, requests) = counted(&server, vnodes).await?;
    Ok(Subject {
        name: Kind::Azure.name(),
        backend,
        target: STORE_TARGET,
        bare: bare::store(server.store()),
        requests: Some(requests),
        _home: Box::new(server),
    })
}

/// The backend on a server, and what counts the calls that it makes.
async fn counted(server: &dyn StoreServer, vnodes: VnodeCount) -> Result<(Arc<dyn StateBackend>, Requests)> {
    let options: StoreOptions = server.options().into_iter().collect();
    let (store, prefix) = open_store(&server.url("ours"), &options)?;
    let store = FaultyStore::sound(store);
    let counter = store.clone();
    let options = ObjectStoreOptions::default().vnodes(vnodes);
    let backend = ObjectStoreBackend::open(Arc::new(store), prefix, options).await?;
    Ok((Arc::new(backend), Box::new(move || counter.calls())))
}
