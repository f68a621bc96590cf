//! [`KvCursorStore`]: cursors in a KV bucket.
//!
//! | what | holds |
//! |---|---|
//! | key `cursor.<name>` | the record, MessagePack; empty where the name is held and was never saved |
//! | header `Alluvium-Holder` | who holds the name: another UUID each time that it is taken over |
//! | header `Alluvium-Write` | another UUID for each write: what was written without an answer is known again by it |
//!
//! Every write is by the revision of what it replaces. To take a name over is to write the same record again with another
//! holder, so that what the former one has under way, and whatever it tries later, is refused by the server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::cursor_store::{cursor_key, cursor_name};
use alluvium_core::{CursorRecord, CursorStore, CursorStoreError, ErrorKind, HeldCursor};
use async_nats::{Client, HeaderMap};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use crate::bucket::{Bucket, Cell, Failure, Options, Swap};
use crate::reach::reach_methods;

const HOLDER: &str = "Alluvium-Holder";
const WRITE: &str = "Alluvium-Write";
const PREFIX: &str = "cursor.";
const ESCAPE: char = '=';
/// How often somebody else may have been there first, within one call.
const MOST_ROUNDS: u32 = 100;

/// Cursors in a KV bucket: key `cursor.<name>`, where the name is encoded by [`cursor_key`] with `=`.
///
/// Any number of processes share a bucket. Records are read from the stream's leader and written by their revision, so a
/// bucket of three replicas keeps its cursors when a server is lost. A key that somebody deleted is a cursor that was
/// removed, and whoever held it is fenced.
///
/// It needs permission to publish to `$KV.<bucket>.cursor.*`, `$JS.API.STREAM.INFO.KV_<bucket>` and
/// `$JS.API.STREAM.MSG.GET.KV_<bucket>`; to create the bucket, to `$JS.API.INFO` and `$JS.API.STREAM.CREATE.KV_<bucket>`, too;
/// to list cursors, to `$JS.API.CONSUMER.>` of that stream.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{CursorStore, CursorStoreError};
/// use alluvium_nats::KvCursorStore;
///
/// async fn cursors(client: async_nats::Client) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
///     Ok(Arc::new(KvCursorStore::builder(client, "cursors").create(3).open().await?))
/// }
/// ```
#[derive(Clone)]
pub struct KvCursorStore {
    bucket: Bucket,
}

/// How a [`KvCursorStore`] reaches its bucket.
#[derive(Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct KvCursorStoreBuilder {
    options: Options,
}

impl KvCursorStoreBuilder {
    reach_methods!(options.reach);

    /// Creates the bucket if there is none, on so many servers.
    pub fn create(mut self, replicas: usize) -> Self {
        self.options.create = Some(replicas);
        self
    }

    /// Looks for the bucket, and creates it where that was asked for.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Storage`]: of kind [`Invalid`](ErrorKind::Invalid) for a name that no bucket can have, of kind
    /// [`NotFound`](ErrorKind::NotFound) if there is no such bucket, and others if nobody answers, or the server says no.
    pub async fn open(self) -> Result<KvCursorStore, CursorStoreError> {
        let name = self.options.bucket.clone();
        let opened = Bucket::open(self.options).await;
        let bucket = opened.map_err(|failure| storage(&name, failure))?;
        Ok(KvCursorStore { bucket })
    }
}

impl KvCursorStore {
    /// The cursors in a bucket, by way of this client.
    ///
    /// # Errors
    ///
    /// As [`KvCursorStoreBuilder::open`].
    pub async fn open(client: Client, bucket: impl Into<String>) -> Result<Self, CursorStoreError> {
        Self::builder(client, bucket).open().await
    }

    /// The same, with more to say.
    pub fn builder(client: Client, bucket: impl Into<String>) -> KvCursorStoreBuilder {
        KvCursorStoreBuilder {
            options: Options::new(client, bucket.into(), "Alluvium's cursors"),
        }
    }

    async fn cell(&self, key: &str) -> Result<Cell, CursorStoreError> {
        self.bucket
            .read(key)
            .await
            .map_err(|failure| self.failed(failure))
    }

    /// The record in a cell.
    fn record(&self, key: &str, cell: &Cell) -> Result<Option<CursorRecord>, CursorStoreError> {
        let Some(content) = cell.content.as_ref().filter(|content| !content.is_empty()) else {
            return Ok(None);
        };
        let record = CursorRecord::decode(content);
        record
            .map(Some)
            .map_err(|error| CursorStoreError::unreadable(path(self.bucket.name(), key), error))
    }

    /// Writes a cell that is at a revision, as this holder.
    async fn swap(
        &self,
        key: &str,
        over: u64,
        holder: &str,
        content: &Bytes,
    ) -> Result<Swap, CursorStoreError> {
        let write = uuid::Uuid::new_v4().to_string();
        let mut headers = HeaderMap::new();
        headers.insert(HOLDER, holder);
        headers.insert(WRITE, write.as_str());
        let is_own = |cell: &Cell| cell.header(WRITE) == Some(&write);
        let swapped = self.bucket.swap(key, over, (&headers, content), is_own).await;
        swapped.map_err(|failure| self.failed(failure))
    }

    fn failed(&self, failure: Failure) -> CursorStoreError {
        storage(self.bucket.name(), failure)
    }

    fn contended(&self, key: &str) -> CursorStoreError {
        CursorStoreError::Storage {
            doing: "write",
            path: path(self.bucket.name(), key),
            kind: ErrorKind::Transient,
            source: "others have written it again and again".into(),
        }
    }
}

fn key_of(name: &str) -> Result<String, CursorStoreError> {
    Ok(format!("{PREFIX}{}", cursor_key(name, ESCAPE)?))
}

/// How a key is named to people.
fn path(bucket: &str, key: &str) -> PathBuf {
    let mut path = format!("the bucket {bucket}");
    if !key.is_empty() {
        path = format!("{key} in {path}");
    }
    path.into()
}

fn storage(bucket: &str, failure: Failure) -> CursorStoreError {
    CursorStoreError::Storage {
        doing: failure.doing,
        path: path(bucket, &failure.key),
        kind: failure.kind,
        source: failure.source,
    }
}

#[async_trait]
impl CursorStore for KvCursorStore {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        let key = key_of(name)?;
        let holder = uuid::Uuid::new_v4().to_string();
        let mut cell = self.cell(&key).await?;
        for _ in 0..MOST_ROUNDS {
            // What cannot be read is not held: a save would overwrite it.
            self.record(&key, &cell)?;
            let content = cell.content.unwrap_or_default();
            match self.swap(&key, cell.revision, &holder, &content).await? {
                Swap::Done(revision) => {
                    return Ok(Arc::new(HeldKey {
                        store: self.clone(),
                        name: name.to_owned(),
                        key,
                        holder,
                        revision: Mutex::new(revision),
                    }));
                }
                Swap::Lost(now) => cell = now,
            }
        }
        Err(self.contended(&key))
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        let key = key_of(name)?;
        let cell = self.cell(&key).await?;
        self.record(&key, &cell)
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        let deleted = self.bucket.delete(&key_of(name)?).await;
        deleted.map_err(|failure| self.failed(failure))
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        let keys = self.bucket.keys().await;
        let mut names = Vec::new();
        for key in keys.map_err(|failure| self.failed(failure))? {
            let name = key
                .strip_prefix(PREFIX)
                .and_then(|encoded| cursor_name(encoded, ESCAPE));
            // A name that is held and was never saved has no record.
            if let Some(name) = name
                && self
                    .cell(&key)
                    .await?
                    .content
                    .is_some_and(|record| !record.is_empty())
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A name that is held.
struct HeldKey {
    store: KvCursorStore,
    name: String,
    key: String,
    holder: String,
    /// Of the last write that is known of. One save at a time.
    revision: Mutex<u64>,
}

impl HeldKey {
    fn check(&self, cell: &Cell) -> Result<(), CursorStoreError> {
        if cell.content.is_some() && cell.header(HOLDER) == Some(&self.holder) {
            return Ok(());
        }
        Err(CursorStoreError::Fenced {
            name: self.name.clone(),
        })
    }
}

#[async_trait]
impl HeldCursor for HeldKey {
    fn name(&self) -> &str {
        &self.name
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        let cell = self.store.cell(&self.key).await?;
        self.check(&cell)?;
        self.store.record(&self.key, &cell)
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        let content = Bytes::from(record.encode());
        let mut revision = self.revision.lock().await;
        for _ in 0..MOST_ROUNDS {
            let swapped = self.store.swap(&self.key, *revision, &self.holder, &content);
            match swapped.await? {
                Swap::Done(written) => {
                    *revision = written;
                    return Ok(());
                }
                Swap::Lost(now) => {
                    // An earlier save of one's own that nobody waited for, or somebody else's.
                    self.check(&now)?;
                    *revision = now.revision;
                }
            }
        }
        Err(self.store.contended(&self.key))
    }
}

impl fmt::Debug for KvCursorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvCursorStore")
            .field("bucket", &self.bucket.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KvCursorStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvCursorStoreBuilder")
            .field("bucket", &self.options.bucket)
            .finish_non_exhaustive()
    }
}
