//! Fetching the segments of an artifact into a directory.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::artifact::ArtifactManifest;
use alluvium_core::{ArtifactKey, Digest, Scope, Transport};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use super::directory::{self, Directory};
use super::report::{Fetched, Meter};
use super::rows::{ArtifactRows, Part, Whereabouts};
use super::select::{Needed, needed};
use super::{BootstrapError, BootstrapProgress};

/// How much is fetched at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) segments: usize,
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segments: 4,
            bytes: 64 << 20,
        }
    }
}

/// What is fetched from where.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) key: ArtifactKey,
    pub(super) limits: Limits,
}

/// A segment to fetch, and who is told when it is there.
pub(super) type Order = (Needed, oneshot::Sender<()>);

impl Source {
    /// Fetches segments, beginning with the first, and reuses what is whole of those that are there. After an error those that
    /// are whole stay.
    pub(super) async fn fetch(
        &self,
        directory: &Arc<Directory>,
        orders: Vec<Order>,
        there: &HashSet<Digest>,
        meter: &Meter,
    ) -> Result<Fetched, BootstrapError> {
        let most = self.limits.bytes.clamp(1, u32::MAX as usize);
        let room = Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        let orders = stream::iter(orders).map(|(needed, arrived)| {
            let room = &room;
            async move {
                let info = needed.segment.info.clone();
                let length = info.length;
                let reused = there.contains(&info.sha256) && {
                    let directory = Arc::clone(directory);
                    blocking(move || directory.check(&info)).await?
                };
                if !reused {
                    let share = u32::try_from(length.min(most as u64)).unwrap_or(u32::MAX);
                    let _share = room
                        .acquire_many(share)
                        .await
                        .map_err(|_| BootstrapError::Stopped)?;
                    self.fetch_one(directory, &needed).await?;
                }
                // Nobody waits for it if the load has failed.
                let _ = arrived.send(());
                meter.add_bytes(length);
                Ok::<_, BootstrapError>((reused, length))
            }
        });
        let fetched = orders.buffer_unordered(self.limits.segments.max(1)).try_fold(
            Fetched::default(),
            |mut sum, (reused, length)| async move {
                if reused {
                    sum.reused += 1;
                } else {
                    sum.segments += 1;
                    sum.bytes += length;
                }
                Ok(sum)
            },
        );
        let fetched = fetched.await?;
        let directory = Arc::clone(directory);
        blocking(move || directory.settle()).await?;
        Ok(fetched)
    }

    async fn fetch_one(&self, directory: &Arc<Directory>, needed: &Needed) -> Result<(), BootstrapError> {
        let segment = &needed.segment;
        // The transport has checked the digest.
        let bytes = self.transport.segment(&self.key, needed.pack, segment).await?;
        let (directory, info) = (Arc::clone(directory), segment.info.clone());
        blocking(move || directory.put(&info, &bytes)).await
    }
}

/// Runs what touches a disk where it keeps no task waiting.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BootstrapError> + Send + 'static,
) -> Result<T, BootstrapError> {
    // It fails only in a runtime that shuts down.
    spawn_blocking(work).await.map_err(|_| BootstrapError::Stopped)?
}

/// Fetches a whole artifact into a directory: `manifest.json`, and `<sha256>.parquet` for every segment. Durable when it returns.
///
/// A directory that is not empty must hold an artifact: what is whole of it and part of this one is not fetched again, so that a call
/// that failed or was killed can be repeated; the rest is removed. DuckDB and others read the files as they are, and of each key
/// the row of the highest sequence counts; [`ArtifactDir`] reads them merged.
///
/// # Errors
///
/// [`BootstrapError::Occupied`], [`BootstrapError::InUse`], [`BootstrapError::Transport`], [`BootstrapError::Io`]. What was
/// fetched until then stays.
pub async fn fetch_artifact(
    transport: Arc<dyn Transport>,
    key: &ArtifactKey,
    manifest: &ArtifactManifest,
    directory: impl AsRef<Path>,
    on_progress: impl Fn(BootstrapProgress) + Send + Sync + 'static,
) -> Result<Fetched, BootstrapError> {
    let needed = needed(manifest, &Scope::all())?;
    let source = Source {
        transport,
        key: key.clone(),
        limits: Limits::default(),
    };
    let (path, manifest) = (directory.as_ref().to_owned(), manifest.clone());
    let meter = Meter::new(manifest.bytes(), manifest.rows(), Some(Arc::new(on_progress)));
    let infos: Vec<_> = needed.iter().map(|needed| needed.segment.info.clone()).collect();
    let (directory, there) = blocking(move || {
        let directory = Directory::open(&path, true)?;
        let there = directory.begin(&manifest, infos.iter())?;
        Ok((Arc::new(directory), there))
    })
    .await?;
    let orders = needed.into_iter().map(|needed| (needed, oneshot::channel().0));
    source.fetch(&directory, orders.collect(), &there, &meter).await
}

/// A directory that holds an artifact, as [`fetch_artifact`] leaves it.
#[derive(Clone, Debug)]
pub struct ArtifactDir {
    path: Arc<Path>,
    manifest: ArtifactManifest,
}

impl ArtifactDir {
    /// Opens a directory, and reads the manifest in it.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Io`] for one that cannot be read, [`BootstrapError::Transport`] for a damaged manifest.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BootstrapError> {
        let path = path.as_ref();
        Ok(Self {
            manifest: directory::read_manifest(path)?,
            path: path.into(),
        })
    }

    /// What the artifact consists of.
    pub fn manifest(&self) -> &ArtifactManifest {
        &self.manifest
    }

    /// The rows that a table of this scope made of it holds, in key order. Only segments that can have some are read; each is
    /// checked against its digest before.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Segment`] for a manifest that names a segment twice. Other errors come as the last item.
    pub fn rows(&self, scope: &Scope) -> Result<ArtifactRows, BootstrapError> {
        let parts = needed(&self.manifest, scope)?.into_iter().map(|needed| Part {
            run: needed.run,
            info: needed.segment.info,
            whereabouts: Whereabouts::Unchecked,
        });
        Ok(ArtifactRows::new(&self.path, parts.collect(), scope.clone()))
    }
}
