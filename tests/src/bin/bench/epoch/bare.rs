//! Storage without Alluvium, writing the same bytes, as durably: what ours is compared with.

use std::path::Path as FsPath;
use std::sync::Arc;

use alluvium::{Durability, Engine, Epoch, Space, StateConfig, Vnode, WriteBatch};
use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};

/// Storage that takes all partials of an epoch at once.
#[async_trait]
pub(super) trait Bare: Send + Sync {
    /// Writes them in one go. Durable when it returns.
    async fn write(&self, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<()>;

    /// Removes what was written for an epoch.
    async fn forget(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<()>;
}

/// The memory engine at this URL, without a table or a backend over it.
pub(super) fn memory(url: &str, durability: Durability) -> Result<Box<dyn Bare>> {
    let engine = StateConfig::new(url)?.durability(durability).open_engine()?;
    let space = engine.space("bare")?;
    Ok(Box::new(BareMemory { engine, space }))
}

/// Fjall itself. Its journal is not compressed, which incompressible bytes would only pay for. It has one worker, as
/// ours has: beside a second one the first turns in circles, and takes its processor from ours when it is ours' turn.
pub(super) fn fjall(dir: &FsPath, durability: Durability) -> Result<Box<dyn Bare>> {
    let database = Database::builder(dir)
        .journal_compression(CompressionType::None)
        .worker_threads(1)
        .open()?;
    let keyspace = database.keyspace("bare", KeyspaceCreateOptions::default)?;
    let mode = match durability {
        Durability::Buffered => PersistMode::Buffer,
        Durability::Fsync => PersistMode::SyncData,
    };
    Ok(Box::new(BareFjall {
        database,
        keyspace,
        mode,
    }))
}

/// The `rocksdb` crate itself, with its defaults.
#[cfg(feature = "rocksdb")]
pub(super) fn rocksdb(dir: &FsPath, durability: Durability) -> Result<Box<dyn Bare>> {
    let mut write = ::rocksdb::WriteOptions::default();
    write.set_sync(durability == Durability::Fsync);
    let database = ::rocksdb::DB::open_default(dir)?;
    Ok(Box::new(BareRocksDb { database, write }))
}

/// Says what would bring it.
#[cfg(not(feature = "rocksdb"))]
pub(super) fn rocksdb(_dir: &FsPath, _durability: Durability) -> Result<Box<dyn Bare>> {
    anyhow::bail!("this was built without the feature `rocksdb`: run it as `cargo xtask bench` does")
}

/// One `put` of all the bytes, through `object_store` itself.
pub(super) fn store(store: Arc<dyn ObjectStore>) -> Box<dyn Bare> {
    Box::new(BareStore { store })
}

struct BareMemory {
    engine: Arc<dyn Engine>,
    space: Space,
}

#[async_trait]
impl Bare for BareMemory {
    async fn write(&self, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<()> {
        let mut batch = WriteBatch::with_capacity(partials.len());
        for (vnode, bytes) in partials {
            batch.put(self.space, key(epoch, *vnode), bytes.clone());
        }
        Ok(self.engine.commit(batch)?)
    }

    async fn forget(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<()> {
        let mut batch = WriteBatch::with_capacity(vnodes.len());
        for vnode in vnodes {
            batch.remove(self.space, key(epoch, *vnode));
        }
        Ok(self.engine.commit(batch)?)
    }
}

struct BareFjall {
    database: Database,
    keyspace: Keyspace,
    mode: PersistMode,
}

#[async_trait]
impl Bare for BareFjall {
    async fn write(&self, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for (vnode, bytes) in partials {
            batch.insert(&self.keyspace, key(epoch, *vnode), bytes.clone());
        }
        Ok(batch.commit()?)
    }

    async fn forget(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for vnode in vnodes {
            batch.remove(&self.keyspace, key(epoch, *vnode));
        }
        Ok(batch.commit()?)
    }
}

#[cfg(feature = "rocksdb")]
struct BareRocksDb {
    database: ::rocksdb::DB,
    write: ::rocksdb::WriteOptions,
}

#[cfg(feature = "rocksdb")]
#[async_trait]
impl Bare for BareRocksDb {
    async fn write(&self, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<()> {
        let mut batch = ::rocksdb::WriteBatch::default();
        for (vnode, bytes) in partials {
            batch.put(key(epoch, *vnode), bytes);
        }
        Ok(self.database.write_opt(batch, &self.write)?)
    }

    async fn forget(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<()> {
        let mut batch = ::rocksdb::WriteBatch::default();
        for vnode in vnodes {
            batch.delete(key(epoch, *vnode));
        }
        Ok(self.database.write_opt(batch, &self.write)?)
    }
}

struct BareStore {
    store: Arc<dyn ObjectStore>,
}

fn location(epoch: Epoch) -> Path {
    Path::from(format!("bare/{epoch}"))
}

#[async_trait]
impl Bare for BareStore {
    async fn write(&self, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<()> {
        let payload: PutPayload = partials.iter().map(|(_, bytes)| bytes.clone()).collect();
        self.store.put(&location(epoch), payload).await?;
        Ok(())
    }

    async fn forget(&self, epoch: Epoch, _vnodes: &[Vnode]) -> Result<()> {
        Ok(self.store.delete(&location(epoch)).await?)
    }
}

fn key(epoch: Epoch, vnode: Vnode) -> Bytes {
    let mut key = epoch.get().to_be_bytes().to_vec();
    key.extend_from_slice(&vnode.get().to_be_bytes());
    key.into()
}
