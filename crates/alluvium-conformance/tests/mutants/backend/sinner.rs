//! A backend in memory that several handles share: sound in a few lines, and with one sin if it is told to.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use alluvium_conformance::{BackendHarness, Capabilities};
use alluvium_core::{
    AssignmentVersion, BackendError, BackendOptions, Epoch, InstanceId, StateBackend, Table, Vnode,
    VnodeCount, check_partials, check_vnodes,
};
use async_trait::async_trait;
use bytes::Bytes;

/// What a backend can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sin {
    None,
    /// What is written is stored when the next write comes, or at a close.
    OneWriteBehind,
    /// What is there stays.
    FirstWriteWins,
    /// The lower version replaces the higher one.
    VersionsDoNotCount,
    /// What comes before the fault of a call is written.
    WritesUpToTheFault,
    /// An empty partial is taken for none.
    EmptyIsNone,
    /// Writes know no bound.
    NoBound,
    /// One partial is enough.
    CompleteIfAny,
    /// Another instance is told that all is well.
    EveryoneSeals,
    /// Looks whether an epoch is sealed, and seals it later.
    LooksThenSeals,
    /// What is sealed already is enough, whatever is asked for.
    MoreThanSealedIsFine,
    /// A sealed epoch can be written again.
    SealedIsOverwritten,
    /// A sealed epoch is read from what was written.
    ReadsPastTheSeal,
    /// The latest seal is taken for the highest.
    LatestIsLast,
    /// The fence lives as long as the handle.
    FenceInMemory,
    /// The fence can be lowered.
    FenceFalls,
    /// The fence is looked at, and the seal made later.
    LooksAtTheFenceThenSeals,
    /// What a handle is told is stored.
    ToldIsStored,
    /// What was written below the fence counts.
    OldPartialsCount,
    /// What was sealed below the fence is not read.
    FenceHidesTheSealed,
    /// Pruning takes the epoch itself too.
    PrunesOneMore,
    /// Pruning leaves the seals.
    PruneLeavesSeals,
    /// Pruned epochs can be written again.
    PrunedComesBack,
    /// What is open twice is two.
    NothingIsShared,
    /// Every handle without a name has the same one.
    NamelessAreOne,
    /// Another number of vnodes is taken.
    AnyVnodeCount,
    /// A closed backend answers.
    ClosedAnswers,
}

/// What is stored.
#[derive(Default)]
struct Stored {
    vnodes: Option<VnodeCount>,
    partials: BTreeMap<(Epoch, Vnode), (AssignmentVersion, Bytes)>,
    seals: BTreeMap<Epoch, (InstanceId, BTreeMap<Vnode, Bytes>)>,
    last_sealed: Option<Epoch>,
    fence: AssignmentVersion,
    floor: Option<Epoch>,
}

impl Stored {
    fn pruned(&self, epoch: Epoch) -> Result<(), BackendError> {
        match self.floor {
            Some(floor) if epoch < floor => Err(BackendError::Pruned { epoch, floor }),
            _ => Ok(()),
        }
    }
}

/// Opens backends with a sin, by default sound ones.
pub(super) struct Sinful(pub(super) Sin);

impl Default for Sinful {
    fn default() -> Self {
        Self(Sin::None)
    }
}

#[async_trait]
impl BackendHarness for Sinful {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        static PLACES: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Stored>>>>> = LazyLock::new(Mutex::default);
        static NAMELESS: AtomicU64 = AtomicU64::new(0);
        let stored = match self.0 {
            Sin::NothingIsShared => Arc::default(),
            _ => Arc::clone(PLACES.lock().unwrap().entry(dir.to_owned()).or_default()),
        };
        let fence = stored.lock().unwrap().fence;
        let instance = match options.instance {
            Some(instance) => instance,
            None if self.0 == Sin::NamelessAreOne => InstanceId::new("nameless")?,
            None => InstanceId::new(&format!("nameless-{}", NAMELESS.fetch_add(1, Ordering::Relaxed)))?,
        };
        Ok(Arc::new(Sinner {
            sin: self.0,
            instance,
            vnodes: options.vnodes,
            stored,
            known: Mutex::new(fence),
            spoken: Mutex::new(fence),
            held_back: Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

type Writing = (Epoch, AssignmentVersion, Vec<(Vnode, Bytes)>);

struct Sinner {
    sin: Sin,
    instance: InstanceId,
    vnodes: VnodeCount,
    stored: Arc<Mutex<Stored>>,
    /// The highest version that was told or found.
    known: Mutex<AssignmentVersion>,
    /// The highest version that this handle speaks for.
    spoken: Mutex<AssignmentVersion>,
    held_back: Mutex<Option<Writing>>,
    closed: AtomicBool,
}

impl Sinner {
    fn is(&self, sin: Sin) -> bool {
        self.sin == sin
    }

    fn stored(&self) -> Result<MutexGuard<'_, Stored>, BackendError> {
        if self.closed.load(Ordering::Acquire) && !self.is(Sin::ClosedAnswers) {
            return Err(BackendError::Invalid("it is closed".to_owned()));
        }
        let stored = self.stored.lock().unwrap();
        match stored.vnodes {
            Some(count) if count != self.vnodes && !self.is(Sin::AnyVnodeCount) => Err(
                BackendError::Invalid(format!("it has {count} vnodes, not {}", self.vnodes)),
            ),
            _ => Ok(stored),
        }
    }

    fn speaks_for(&self) -> AssignmentVersion {
        let known = *self.known.lock().unwrap();
        known.max(*self.spoken.lock().unwrap())
    }

    fn not_stale(&self, stored: &Stored, caller: AssignmentVersion) -> Result<(), BackendError> {
        let mut authoritative = self.speaks_for();
        if !self.is(Sin::FenceInMemory) {
            authoritative = authoritative.max(stored.fence);
        }
        if caller < authoritative && !self.is(Sin::VersionsDoNotCount) {
            return Err(BackendError::StaleVersion {
                caller,
                authoritative,
            });
        }
        Ok(())
    }

    fn check(&self, partials: &[(Vnode, Bytes)]) -> Result<(), BackendError> {
        match check_partials(self.vnodes, partials) {
            Err(BackendError::TooLarge { .. }) if self.is(Sin::NoBound) => Ok(()),
            checked => checked,
        }
    }

    fn write(&self, stored: &mut Stored, (epoch, version, partials): Writing) -> Result<(), BackendError> {
        let sealed = stored
            .seals
            .get(&epoch)
            .filter(|_| !self.is(Sin::SealedIsOverwritten));
        if let Some((_, seal)) = sealed {
            let other = partials
                .iter()
                .find(|(vnode, bytes)| seal.get(vnode) != Some(bytes));
            return other.map_or(Ok(()), |(vnode, _)| {
                Err(BackendError::Sealed { epoch, vnode: *vnode })
            });
        }
        stored.vnodes = Some(self.vnodes);
        for (vnode, bytes) in partials {
            if self.is(Sin::EmptyIsNone) && bytes.is_empty() {
                continue;
            }
            if let Some((_, seal)) = stored.seals.get_mut(&epoch) {
                seal.insert(vnode, bytes.clone());
            }
            let there = stored.partials.get(&(epoch, vnode));
            let replaces = there.is_none_or(|(before, _)| {
                !self.is(Sin::FirstWriteWins) && (version >= *before || self.is(Sin::VersionsDoNotCount))
            });
            if replaces {
                stored.partials.insert((epoch, vnode), (version, bytes));
            }
        }
        Ok(())
    }

    /// What would be sealed; `None` if something is missing.
    fn counted(&self, stored: &Stored, epoch: Epoch, vnodes: &[Vnode]) -> Option<BTreeMap<Vnode, Bytes>> {
        let counts = |version: AssignmentVersion| version >= stored.fence || self.is(Sin::OldPartialsCount);
        let found = vnodes.iter().map(|vnode| {
            let (version, bytes) = stored.partials.get(&(epoch, *vnode))?;
            counts(*version).then(|| (*vnode, bytes.clone()))
        });
        if self.is(Sin::CompleteIfAny) {
            let any: BTreeMap<_, _> = found.flatten().collect();
            return (!any.is_empty()).then_some(any);
        }
        found.collect()
    }

    /// What an epoch that is sealed has to say to this instance.
    fn sealed(&self, stored: &Stored, epoch: Epoch, vnodes: &[Vnode]) -> Option<Result<bool, BackendError>> {
        let (committer, seal) = stored.seals.get(&epoch)?;
        if *committer != self.instance && !self.is(Sin::EveryoneSeals) {
            return Some(Err(BackendError::SplitBrainCommit {
                epoch,
                committer: committer.clone(),
                self_id: self.instance.clone(),
            }));
        }
        let outside = vnodes.iter().find(|vnode| !seal.contains_key(*vnode));
        Some(match outside {
            Some(vnode) if !self.is(Sin::MoreThanSealedIsFine) => {
                Err(BackendError::Sealed { epoch, vnode: *vnode })
            }
            _ => Ok(true),
        })
    }
}

#[async_trait]
impl StateBackend for Sinner {
    fn instance(&self) -> &InstanceId {
        &self.instance
    }

    fn vnode_count(&self) -> VnodeCount {
        self.vnodes
    }

    async fn write_partials(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: Vec<(Vnode, Bytes)>,
    ) -> Result<(), BackendError> {
        let mut stored = self.stored()?;
        if let Err(error) = self.check(&partials) {
            let fine = |partial: &(Vnode, Bytes)| self.vnodes.check(partial.0).is_ok();
            if self.is(Sin::WritesUpToTheFault) {
                let written = partials.into_iter().take_while(fine).collect();
                self.write(&mut stored, (epoch, version, written))?;
            }
            return Err(error);
        }
        stored.pruned(epoch)?;
        self.not_stale(&stored, version)?;
        let mut writing = Some((epoch, version, partials));
        if self.is(Sin::OneWriteBehind) {
            std::mem::swap(&mut writing, &mut *self.held_back.lock().unwrap());
        }
        if let Some(writing) = writing {
            self.write(&mut stored, writing)?;
        }
        let mut spoken = self.spoken.lock().unwrap();
        *spoken = version.max(*spoken);
        Ok(())
    }

    async fn read_partial(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError> {
        let stored = self.stored()?;
        check_vnodes(self.vnodes, [vnode])?;
        if stored.pruned(epoch).is_err() {
            return Ok(None);
        }
        let written = stored.partials.get(&(epoch, vnode));
        let behind_the_fence = written.filter(|(version, _)| *version >= stored.fence);
        Ok(match stored.seals.get(&epoch) {
            Some(_) if self.is(Sin::ReadsPastTheSeal) => written.map(|(_, bytes)| bytes.clone()),
            Some((_, seal)) if !self.is(Sin::FenceHidesTheSealed) => seal.get(&vnode).cloned(),
            _ => behind_the_fence.map(|(_, bytes)| bytes.clone()),
        })
    }

    async fn epoch_complete(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<bool, BackendError> {
        let counted = {
            let stored = self.stored()?;
            check_vnodes(self.vnodes, vnodes.iter().copied())?;
            stored.pruned(epoch)?;
            self.not_stale(&stored, self.speaks_for())?;
            if let Some(answer) = self.sealed(&stored, epoch, vnodes) {
                return answer;
            }
            self.counted(&stored, epoch, vnodes)
        };
        let Some(mut counted) = counted else {
            return Ok(false);
        };
        if matches!(self.sin, Sin::LooksThenSeals | Sin::LooksAtTheFenceThenSeals) {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let mut stored = self.stored()?;
        if !self.is(Sin::LooksThenSeals)
            && let Some(answer) = self.sealed(&stored, epoch, vnodes)
        {
            return answer;
        }
        if !self.is(Sin::LooksAtTheFenceThenSeals) {
            // Somebody may have raised it since.
            self.not_stale(&stored, self.speaks_for())?;
            match self.counted(&stored, epoch, vnodes) {
                Some(now) => counted = now,
                None => return Ok(false),
            }
        }
        stored.seals.insert(epoch, (self.instance.clone(), counted));
        stored.last_sealed = Some(epoch);
        Ok(true)
    }

    async fn prune_before(&self, epoch: Epoch) -> Result<u64, BackendError> {
        let mut stored = self.stored()?;
        let goes = |number: Epoch| number < epoch || (self.is(Sin::PrunesOneMore) && number == epoch);
        let mut gone: Vec<Epoch> = stored.partials.keys().map(|(number, _)| *number).collect();
        gone.extend(stored.seals.keys());
        gone.retain(|number| goes(*number));
        gone.sort_unstable();
        gone.dedup();
        stored.partials.retain(|(number, _), _| !goes(*number));
        if !self.is(Sin::PruneLeavesSeals) {
            stored.seals.retain(|number, _| !goes(*number));
        }
        if !self.is(Sin::PrunedComesBack) {
            stored.floor = stored.floor.max(Some(epoch));
        }
        Ok(gone.len() as u64)
    }

    fn set_authoritative_version(&self, version: AssignmentVersion) {
        let mut known = self.known.lock().unwrap();
        *known = version.max(*known);
        if self.is(Sin::ToldIsStored) {
            self.stored.lock().unwrap().fence = *known;
        }
    }

    fn authoritative_version(&self) -> AssignmentVersion {
        *self.known.lock().unwrap()
    }

    async fn fence(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        let mut stored = self.stored()?;
        if version < stored.fence && !self.is(Sin::FenceFalls) {
            return Err(BackendError::StaleVersion {
                caller: version,
                authoritative: stored.fence,
            });
        }
        let mut known = self.known.lock().unwrap();
        *known = if self.is(Sin::FenceFalls) {
            version
        } else {
            version.max(*known)
        };
        if !self.is(Sin::FenceInMemory) {
            stored.fence = version;
        }
        Ok(())
    }

    async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        let stored = self.stored()?;
        if self.is(Sin::LatestIsLast) {
            return Ok(stored.last_sealed);
        }
        Ok(stored.seals.keys().next_back().copied())
    }

    async fn open_table(&self, _: &str) -> Result<Arc<dyn Table>, BackendError> {
        Err(BackendError::Unsupported {
            what: "live tables",
            backend: "sinner",
        })
    }

    async fn close(&self) -> Result<(), BackendError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if let Some(writing) = self.held_back.lock().unwrap().take() {
            self.write(&mut self.stored.lock().unwrap(), writing)?;
        }
        Ok(())
    }
}
