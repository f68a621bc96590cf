//! What the operations of a handle have in common: what it knows, and how it looks at an epoch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::{AssignmentVersion, BackendError, BoxError, Epoch, InstanceId, Vnode, VnodeCount};
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use object_store::path::Path;
use uuid::Uuid;

use super::cache::{Cache, Newest};
use super::choice::choose;
use super::control::{ControlObject, Known};
use super::frame::{self, FrameError, Framed, MOST_BYTES};
use super::listing::{Found, Listing};
use super::names::{Layout, PartialsName, SealName};
use super::options::ObjectStoreOptions;
use super::record::{Entry, Index, Seal};
use crate::store::Store;

/// How many indexes are read at a time.
const READS: usize = 16;

/// A handle of the backend.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) store: Store,
    pub(super) layout: Layout,
    pub(super) instance: InstanceId,
    pub(super) vnodes: VnodeCount,
    pub(super) control: ControlObject,
    /// The highest attempt that this handle has made or seen.
    attempts: AtomicU64,
    cache: Mutex<Cache>,
    closed: AtomicBool,
}

/// What an epoch is at one instant.
pub(super) enum Look {
    /// Nobody has written anything anywhere.
    Nothing,
    /// Everything that there was is to go.
    Pruned,
    Sealed(Arc<Seal>),
    Open {
        known: Arc<Known>,
        found: Found,
    },
}

impl Handle {
    pub(super) async fn open(
        store: Store,
        prefix: Path,
        options: ObjectStoreOptions,
    ) -> Result<Self, BackendError> {
        let instance = match options.backend.instance {
            Some(instance) => instance,
            None => InstanceId::new(&Uuid::new_v4().simple().to_string())?,
        };
        let layout = Layout::new(prefix);
        let handle = Self {
            control: ControlObject::new(store.clone(), layout.clone()),
            store,
            layout,
            instance,
            vnodes: options.backend.vnodes,
            attempts: AtomicU64::new(0),
            cache: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        handle.look_around().await?;
        Ok(handle)
    }

    /// Finds out what there is, and whether the store can be spoken to at all: a bucket that does not exist shows in the
    /// listing only.
    async fn look_around(&self) -> Result<(), BackendError> {
        let mut known = self.control.read().await?;
        let listing = Listing::of(&self.store, &self.layout, &self.layout.epochs()).await?;
        if known.is_none() && !listing.epochs.is_empty() {
            // Either somebody has just begun, or it was deleted.
            known = self.control.read().await?;
            if known.is_none() {
                return Err(self.control.gone());
            }
        }
        if let Some(known) = known {
            self.control.versions.told(known.control.fence());
        }
        self.saw_attempt(listing.last_attempt());
        self.cache().saw_seals(listing.seals().map(|(epoch, _)| epoch));
        listing.mention_foreign(&self.store);
        Ok(())
    }

    /// Checks that the handle is open.
    pub(super) fn check_open(&self) -> Result<(), BackendError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(BackendError::Invalid(
                "this backend was closed: open it again".to_owned(),
            ));
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        *self.cache() = Cache::default();
    }

    /// A higher attempt than any that was made or seen here.
    pub(super) fn next_attempt(&self) -> u64 {
        self.attempts.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn saw_attempt(&self, attempt: u64) {
        self.attempts.fetch_max(attempt, Ordering::AcqRel);
    }

    /// A poisoned lock is fine: what it guards saves requests, and nothing depends on it.
    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of an epoch.
    pub(super) async fn list(&self, epoch: Epoch) -> Result<Found, BackendError> {
        let found = Listing::of_epoch(&self.store, &self.layout, epoch).await?;
        self.saw_attempt(found.last_attempt());
        if !found.seals.is_empty() {
            self.cache().saw_seals([epoch]);
        }
        Ok(found)
    }

    /// Looks at an epoch. The control object is read after the listing: an older one could take a void seal for one that
    /// is in force.
    pub(super) async fn look(&self, epoch: Epoch) -> Result<Look, BackendError> {
        let found = self.list(epoch).await?;
        let Some(known) = self.control.decided().await? else {
            return Ok(Look::Nothing);
        };
        known.control.check_count(self.vnodes)?;
        if known.control.has_pruned(epoch) {
            self.cache().forget_below(known.control.floor().unwrap_or(epoch));
            return Ok(Look::Pruned);
        }
        match known.control.seal_of(epoch, &found.seals) {
            Some(fence) => Ok(match self.load_seal(epoch, fence).await? {
                Some(seal) => Look::Sealed(seal),
                None => Look::Pruned,
            }),
            None => Ok(Look::Open { known, found }),
        }
    }

    /// The seal that is in force of an epoch; none if the epoch was pruned.
    pub(super) async fn seal(&self, epoch: Epoch) -> Result<Option<Arc<Seal>>, BackendError> {
        let cached = self.cache().seal(epoch);
        match cached {
            Some(seal) => Ok(Some(seal)),
            None => match self.look(epoch).await? {
                Look::Sealed(seal) => Ok(Some(seal)),
                Look::Nothing | Look::Pruned | Look::Open { .. } => Ok(None),
            },
        }
    }

    /// Reads the seal that is in force of an epoch, made under this fence; none if the epoch was pruned.
    pub(super) async fn load_seal(
        &self,
        epoch: Epoch,
        fence: AssignmentVersion,
    ) -> Result<Option<Arc<Seal>>, BackendError> {
        let path = self.layout.seal(epoch, SealName { fence });
        let Some(object) = self.store.get(&path, MOST_BYTES).await? else {
            return self.gone_or_pruned(epoch, &path).await.map(|()| None);
        };
        let seal: Seal = self.decode(&path, &object.bytes)?;
        if (seal.epoch, seal.fence) != (epoch, fence) {
            let error = FrameError::Senseless("it is the seal of something else");
            return Err(self.damaged(&path, error));
        }
        let seal = Arc::new(seal);
        self.cache().sealed(&seal);
        Ok(Some(seal))
    }

    /// An object that a sealed epoch needs is not there: that is fine only if the epoch was pruned.
    ///
    /// # Errors
    ///
    /// [`BackendError::Missing`] if it was not.
    pub(super) async fn gone_or_pruned(&self, epoch: Epoch, path: &Path) -> Result<(), BackendError> {
        if self.was_pruned(epoch).await? {
            return Ok(());
        }
        Err(BackendError::Missing {
            epoch,
            location: self.store.location(path),
        })
    }

    /// Whether an epoch was pruned by now.
    pub(super) async fn was_pruned(&self, epoch: Epoch) -> Result<bool, BackendError> {
        let known = self.control.read().await?;
        let floor = known.and_then(|known| known.control.floor());
        if let Some(floor) = floor {
            self.cache().forget_below(floor);
        }
        Ok(floor.is_some_and(|floor| epoch < floor))
    }

    /// Which of the partials that there are count, of wanted vnodes.
    pub(super) async fn choose(
        &self,
        epoch: Epoch,
        found: &Found,
        least: AssignmentVersion,
        is_wanted: impl Fn(Vnode) -> bool,
    ) -> Result<HashMap<Vnode, (PartialsName, Entry)>, BackendError> {
        let indexes: Vec<Newest> = stream::iter(found.newest().cloned())
            .map(|name| self.index(epoch, name))
            .buffered(READS)
            .try_filter_map(future::ok)
            .try_collect()
            .await?;
        self.cache().keep_indexes(epoch, &indexes);
        let is_there = |name: &PartialsName, entry: &Entry| found.reaches(name, entry.range(name).end);
        let chosen = choose(least, &indexes, is_wanted, is_there);
        Ok(chosen.into_iter().collect())
    }

    /// The index of an object; none if it is gone since it was listed.
    async fn index(&self, epoch: Epoch, name: PartialsName) -> Result<Option<Newest>, BackendError> {
        let cached = self.cache().index(epoch, &name);
        if let Some(index) = cached {
            return Ok(Some((name, index)));
        }
        let path = self.layout.partials(epoch, &name);
        let length = u64::from(name.index_bytes);
        if length > MOST_BYTES {
            return Err(self.damaged(&path, FrameError::TooLong));
        }
        let Some(bytes) = self.store.get_range(&path, 0..length).await? else {
            return Ok(None);
        };
        let index: Index = self.decode(&path, &bytes)?;
        Ok(Some((name, Arc::new(index))))
    }

    fn decode<T: Framed>(&self, path: &Path, bytes: &[u8]) -> Result<T, BackendError> {
        frame::decode(bytes).map_err(|error| self.damaged(path, error))
    }

    fn damaged(&self, path: &Path, error: FrameError) -> BackendError {
        let location = self.store.location(path);
        match error {
            FrameError::Newer { .. } => BackendError::Invalid(format!("{location}: {error}")),
            other => corrupt(location, other),
        }
    }
}

pub(super) fn corrupt(location: String, error: impl Into<BoxError>) -> BackendError {
    BackendError::Corrupt {
        location,
        source: error.into(),
    }
}
