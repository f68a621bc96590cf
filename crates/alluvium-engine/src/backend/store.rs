//! What an [`EngineBackend`](super::EngineBackend) does, on the thread that it is called on.
//!
//! Whatever is decided by what is stored is decided under one lock, and committed before it is let go. Readers take an
//! engine's snapshot and no lock.

mod write;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use alluvium_core::{AssignmentVersion, BackendError, BackendOptions, Epoch, InstanceId, Vnode, VnodeCount};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;

use super::digest;
use super::layout::{self, Head, RecordError, Seal};
use super::report::Report;
use super::runs::{Meter, Runs};
use super::versions::Versions;
use super::view::View;
use crate::{Engine, Space, WriteBatch};

pub(super) use self::write::Writing;

/// How many keys a prune removes in one commit, so that its memory is bounded.
const SWEPT_AT_ONCE: usize = 65_536;

/// See the [module](self).
pub(super) struct Store {
    engine: Arc<dyn Engine>,
    report: Report,
    pub(super) instance: InstanceId,
    pub(super) vnodes: VnodeCount,
    pub(super) versions: Versions,
    /// The space of head, seals and records, made by the first write.
    space: OnceLock<Space>,
    runs: ArcSwap<Runs>,
    /// The seal that was read last: an epoch is read vnode by vnode.
    seal: ArcSwapOption<(Epoch, Seal)>,
    /// Held by the one who writes.
    writer: Mutex<Meter>,
}

impl Store {
    pub(super) fn open(engine: Arc<dyn Engine>, options: BackendOptions) -> Result<Self, BackendError> {
        let instance = match options.instance {
            Some(instance) => instance,
            None => InstanceId::new("local")?,
        };
        let mut store = Self {
            report: Report::of(engine.as_ref()),
            engine,
            instance,
            vnodes: options.vnodes,
            versions: Versions::default(),
            space: OnceLock::new(),
            runs: ArcSwap::default(),
            seal: ArcSwapOption::empty(),
            writer: Mutex::default(),
        };
        let mut runs = Runs::default();
        for name in store
            .engine
            .spaces()
            .map_err(|error| store.report.failed("list the spaces of", "", error))?
        {
            if name == layout::SPACE {
                store.space()?;
            } else if let Some(first) = layout::run_of(&name) {
                runs.insert(first, store.open_space(&name)?);
            }
        }
        store.runs = ArcSwap::from_pointee(runs);
        let view = store.view()?;
        let head = view.checked_head()?;
        store.versions = Versions::opened(head.fence);
        if let Some(floor) = head.floor {
            // What a kill has left of a prune.
            store.sweep(WriteBatch::default(), floor)?;
        }
        Ok(store)
    }

    pub(super) fn read(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError> {
        let view = self.view()?;
        view.head.check_count(self.vnodes)?;
        if view.head.has_pruned(epoch) {
            return Ok(None);
        }
        let seal = self.seal(&view, epoch)?;
        let partial = match &seal {
            Some(seal) => seal.1.partial(vnode),
            None => view
                .partial(epoch, vnode)?
                .filter(|partial| partial.version >= view.head.fence),
        };
        let Some(partial) = partial else { return Ok(None) };
        let bytes = match self.runs.load().space(partial.run) {
            Some(space) => view.bytes(space, epoch, vnode, partial.slot)?,
            None => None,
        };
        let location = || {
            let run = layout::run_name(partial.run);
            self.report
                .location(&format!("space {run}, epoch {epoch}, vnode {vnode}"))
        };
        let Some(bytes) = bytes else {
            // A run that was pruned after the view was taken is no longer in the list.
            return if self.view()?.head.has_pruned(epoch) {
                Ok(None)
            } else if seal.is_some() {
                let location = location();
                Err(BackendError::Missing { epoch, location })
            } else {
                Err(corrupt(location(), RecordError::NoBytes))
            };
        };
        let digest = digest::of(&bytes);
        if !partial.is_of(bytes.len(), digest) {
            let error = RecordError::OtherBytes {
                found: bytes.len(),
                digest,
                expected: Box::new(partial),
            };
            return Err(corrupt(location(), error));
        }
        Ok(Some(bytes))
    }

    pub(super) fn seal_if_complete(
        &self,
        epoch: Epoch,
        mut vnodes: Vec<Vnode>,
    ) -> Result<bool, BackendError> {
        vnodes.sort_unstable();
        vnodes.dedup();
        let _writer = self.writer();
        let view = self.view()?;
        view.head.check_count(self.vnodes)?;
        let least = self.versions.check_seal(view.head.fence)?;
        view.head.check_floor(epoch)?;
        if let Some(seal) = self.seal(&view, epoch)? {
            let seal = &seal.1;
            if seal.instance != self.instance {
                return Err(BackendError::SplitBrainCommit {
                    epoch,
                    committer: seal.instance.clone(),
                    self_id: self.instance.clone(),
                });
            }
            return match vnodes.into_iter().find(|vnode| seal.partial(*vnode).is_none()) {
                Some(vnode) => Err(BackendError::Sealed { epoch, vnode }),
                None => Ok(true),
            };
        }
        let mut partials = Vec::with_capacity(vnodes.len());
        for found in view.partials(epoch)? {
            let (vnode, partial) = found?;
            if partial.version >= least && vnodes.binary_search(&vnode).is_ok() {
                partials.push((vnode, partial));
            }
        }
        if partials.len() < vnodes.len() {
            return Ok(false);
        }
        let seal = Seal::new(self.instance.clone(), partials);
        let mut batch = WriteBatch::with_capacity(1);
        batch.put(self.space()?, layout::seal_key(epoch), layout::encode(&seal));
        self.commit(batch, &format!("the seal of epoch {epoch}"))?;
        Ok(true)
    }

    pub(super) fn prune_before(&self, epoch: Epoch) -> Result<u64, BackendError> {
        let _writer = self.writer();
        let head = self.view()?.head;
        let floor = head.floor.map_or(epoch, |floor| floor.max(epoch));
        let mut batch = WriteBatch::default();
        if head.floor != Some(floor) {
            let head = Head {
                floor: Some(floor),
                ..head
            };
            batch.put(self.space()?, layout::HEAD, layout::encode(&head));
        }
        self.sweep(batch, floor)
    }

    /// Commits what is given and removes everything below the floor, the floor's record first: from then on nobody
    /// looks for what goes, in whatever order. Gives how many epochs went.
    fn sweep(&self, mut batch: WriteBatch, floor: Epoch) -> Result<u64, BackendError> {
        let mut epochs = BTreeSet::new();
        let newest = loop {
            let view = self.view()?;
            for key in view.keys_below(floor)?.take(SWEPT_AT_ONCE) {
                let key = key?;
                epochs.insert(view.epoch_of(&key)?);
                batch.remove(self.space()?, key);
            }
            if batch.is_empty() {
                break view.newest()?;
            }
            self.commit(std::mem::take(&mut batch), "what was pruned")?;
        };
        let mut runs = Runs::clone(&self.runs.load());
        let dead = runs.dead(floor, newest.is_none());
        let mut failures = Vec::new();
        for run in &dead {
            let name = layout::run_name(*run);
            match self.engine.drop_space(&name) {
                Ok(()) => runs.remove(*run),
                Err(error) => failures.push(self.report.failed("drop", &format!("space {name}"), error)),
            }
        }
        self.runs.store(Arc::new(runs));
        let failed = failures.len() as u64;
        match failures.into_iter().next() {
            Some(first) => Err(BackendError::PruneIncomplete {
                failed,
                found: dead.len() as u64,
                source: Box::new(first),
            }),
            None => Ok(epochs.len() as u64),
        }
    }

    pub(super) fn fence(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        let _writer = self.writer();
        let head = self.view()?.head;
        if version < head.fence {
            return Err(BackendError::StaleVersion {
                caller: version,
                authoritative: head.fence,
            });
        }
        if version > head.fence {
            let head = Head {
                fence: version,
                ..head
            };
            let mut batch = WriteBatch::with_capacity(1);
            batch.put(self.space()?, layout::HEAD, layout::encode(&head));
            self.commit(batch, "the fence")?;
        }
        self.versions.told(version);
        Ok(())
    }

    pub(super) fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        self.view()?.newest_sealed()
    }

    pub(super) fn close(&self) -> Result<(), BackendError> {
        self.engine
            .close()
            .map_err(|error| self.report.failed("close", "", error))
    }

    pub(super) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    fn view(&self) -> Result<View, BackendError> {
        View::take(self.engine.as_ref(), || {
            (self.space.get().copied(), self.seal.load_full())
        })
    }

    /// The seal of an epoch.
    fn seal(&self, view: &View, epoch: Epoch) -> Result<Option<Arc<(Epoch, Seal)>>, BackendError> {
        let seal = view.seal(epoch)?;
        if let Some(seal) = &seal {
            self.seal.store(Some(Arc::clone(seal)));
        }
        Ok(seal)
    }

    /// The space of head, seals and records, made if there is none yet.
    fn space(&self) -> Result<Space, BackendError> {
        match self.space.get() {
            Some(space) => Ok(*space),
            None => self
                .open_space(layout::SPACE)
                .map(|space| *self.space.get_or_init(|| space)),
        }
    }

    /// The space of a run, made if there is none yet. Only while the writer's lock is held.
    fn run_space(&self, first: Epoch) -> Result<Space, BackendError> {
        let runs = self.runs.load();
        if let Some(space) = runs.space(first) {
            return Ok(space);
        }
        let space = self.open_space(&layout::run_name(first))?;
        let mut runs = Runs::clone(&runs);
        runs.insert(first, space);
        // Before anything is written there, so that whoever sees a record finds its run.
        self.runs.store(Arc::new(runs));
        Ok(space)
    }

    fn open_space(&self, name: &str) -> Result<Space, BackendError> {
        let space = self.engine.space(name);
        space.map_err(|error| self.report.failed("open", &format!("space {name}"), error))
    }

    fn commit(&self, batch: WriteBatch, what: &str) -> Result<(), BackendError> {
        let committed = self.engine.commit(batch);
        committed.map_err(|error| self.report.failed("write", what, error))
    }

    /// A poisoned lock is fine: what it guards is a count that nothing depends on.
    fn writer(&self) -> MutexGuard<'_, Meter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a partial are not what its record says.
fn corrupt(location: String, error: RecordError) -> BackendError {
    BackendError::Corrupt {
        location,
        source: error.into(),
    }
}
