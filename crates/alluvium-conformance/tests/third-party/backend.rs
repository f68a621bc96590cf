//! A backend in memory that every handle of a place shares: one lock over rounds by epoch.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use alluvium_core::{
    AssignmentVersion, BackendError, BackendOptions, Epoch, InstanceId, StateBackend, Table, Vnode,
    VnodeCount, check_partials, check_vnodes,
};
use async_trait::async_trait;
use bytes::Bytes;

/// What all handles of a place share.
#[derive(Default)]
struct Place {
    vnodes: Option<VnodeCount>,
    rounds: BTreeMap<Epoch, Round>,
    fence: AssignmentVersion,
    floor: Option<Epoch>,
}

#[derive(Default)]
struct Round {
    written: BTreeMap<Vnode, (AssignmentVersion, Bytes)>,
    seal: Option<Seal>,
}

struct Seal {
    committer: InstanceId,
    partials: BTreeMap<Vnode, Bytes>,
}

/// What one handle knows of assignment versions.
struct Versions {
    /// The highest that it was told of or has found stored.
    authoritative: AssignmentVersion,
    /// The highest that it has written with.
    written: AssignmentVersion,
}

/// A [`StateBackend`] that several handles share, and that lives as long as the process.
pub struct MapBackend {
    instance: InstanceId,
    vnodes: VnodeCount,
    place: Arc<Mutex<Place>>,
    /// `None` once it is closed. Taken before the lock of the place.
    versions: Mutex<Option<Versions>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MapBackend {
    /// One more handle of a place.
    ///
    /// # Errors
    ///
    /// Those of a name that no instance can have.
    pub fn open(place: &Path, options: BackendOptions) -> Result<Self, BackendError> {
        static PLACES: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Place>>>>> = LazyLock::new(Mutex::default);
        static NAMELESS: AtomicU64 = AtomicU64::new(0);
        let place = Arc::clone(lock(&PLACES).entry(place.to_owned()).or_default());
        let authoritative = lock(&place).fence;
        let nameless = || InstanceId::new(&format!("map-{}", NAMELESS.fetch_add(1, Ordering::Relaxed)));
        Ok(Self {
            instance: options.instance.map_or_else(nameless, Ok)?,
            vnodes: options.vnodes,
            place,
            versions: Mutex::new(Some(Versions {
                authoritative,
                written: authoritative,
            })),
        })
    }

    /// Calls with what this handle knows and with what is stored, one caller at a time.
    fn with<T>(
        &self,
        call: impl FnOnce(&mut Versions, &mut Place) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let mut versions = lock(&self.versions);
        let versions = versions
            .as_mut()
            .ok_or_else(|| BackendError::Invalid("the backend is closed".to_owned()))?;
        let mut place = lock(&self.place);
        match place.vnodes {
            Some(count) if count != self.vnodes => Err(BackendError::Invalid(format!(
                "the place has {count} vnodes, not {}",
                self.vnodes
            ))),
            _ => call(versions, &mut place),
        }
    }
}

impl Versions {
    fn speaks_for(&self) -> AssignmentVersion {
        self.authoritative.max(self.written)
    }

    fn check(&self, caller: AssignmentVersion, place: &Place) -> Result<(), BackendError> {
        let authoritative = self.speaks_for().max(place.fence);
        if caller < authoritative {
            return Err(BackendError::StaleVersion {
                caller,
                authoritative,
            });
        }
        Ok(())
    }
}

impl Place {
    /// The round of an epoch that was not pruned.
    fn round(&mut self, epoch: Epoch) -> Result<&mut Round, BackendError> {
        match self.floor {
            Some(floor) if epoch < floor => Err(BackendError::Pruned { epoch, floor }),
            _ => Ok(self.rounds.entry(epoch).or_default()),
        }
    }
}

#[async_trait]
impl StateBackend for MapBackend {
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
        check_partials(self.vnodes, &partials)?;
        self.with(|versions, place| {
            versions.check(version, place)?;
            place.vnodes = Some(self.vnodes);
            let round = place.round(epoch)?;
            for (vnode, bytes) in partials {
                match &round.seal {
                    Some(seal) if seal.partials.get(&vnode) != Some(&bytes) => {
                        return Err(BackendError::Sealed { epoch, vnode });
                    }
                    None if cfg!(feature = "broken") => {
                        round.written.entry(vnode).or_insert((version, bytes));
                    }
                    None => {
                        round.written.insert(vnode, (version, bytes));
                    }
                    Some(_) => {}
                }
            }
            versions.written = version;
            Ok(())
        })
    }

    async fn read_partial(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError> {
        check_vnodes(self.vnodes, [vnode])?;
        self.with(|_, place| {
            let Some(round) = place.rounds.get(&epoch) else {
                return Ok(None);
            };
            if let Some(seal) = &round.seal {
                return Ok(seal.partials.get(&vnode).cloned());
            }
            let written = round.written.get(&vnode);
            let counts = written.filter(|(version, _)| *version >= place.fence);
            Ok(counts.map(|(_, bytes)| bytes.clone()))
        })
    }

    async fn epoch_complete(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<bool, BackendError> {
        check_vnodes(self.vnodes, vnodes.iter().copied())?;
        self.with(|versions, place| {
            versions.check(versions.speaks_for(), place)?;
            let fence = place.fence;
            let round = place.round(epoch)?;
            if let Some(seal) = &round.seal {
                if seal.committer != self.instance {
                    return Err(BackendError::SplitBrainCommit {
                        epoch,
                        committer: seal.committer.clone(),
                        self_id: self.instance.clone(),
                    });
                }
                return match vnodes.iter().find(|vnode| !seal.partials.contains_key(vnode)) {
                    Some(vnode) => Err(BackendError::Sealed { epoch, vnode: *vnode }),
                    None => Ok(true),
                };
            }
            let partials: Option<BTreeMap<_, _>> = vnodes
                .iter()
                .map(|vnode| {
                    let (version, bytes) = round.written.get(vnode)?;
                    (*version >= fence).then(|| (*vnode, bytes.clone()))
                })
                .collect();
            round.seal = partials.map(|partials| Seal {
                committer: self.instance.clone(),
                partials,
            });
            Ok(round.seal.is_some())
        })
    }

    async fn prune_before(&self, epoch: Epoch) -> Result<u64, BackendError> {
        self.with(|_, place| {
            let kept = place.rounds.split_off(&epoch);
            let pruned = std::mem::replace(&mut place.rounds, kept);
            place.floor = place.floor.max(Some(epoch));
            Ok(pruned.values().filter(|round| !round.written.is_empty()).count() as u64)
        })
    }

    fn set_authoritative_version(&self, version: AssignmentVersion) {
        if let Some(versions) = lock(&self.versions).as_mut() {
            versions.authoritative = versions.authoritative.max(version);
        }
    }

    fn authoritative_version(&self) -> AssignmentVersion {
        let versions = lock(&self.versions);
        versions
            .as_ref()
            .map_or(AssignmentVersion::OFF, |versions| versions.authoritative)
    }

    async fn fence(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        self.with(|versions, place| {
            if version < place.fence {
                return Err(BackendError::StaleVersion {
                    caller: version,
                    authoritative: place.fence,
                });
            }
            place.fence = version;
            versions.authoritative = versions.authoritative.max(version);
            Ok(())
        })
    }

    async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        self.with(|_, place| {
            let mut sealed = place.rounds.iter().filter(|(_, round)| round.seal.is_some());
            Ok(sealed.next_back().map(|(epoch, _)| *epoch))
        })
    }

    async fn open_table(&self, _: &str) -> Result<Arc<dyn Table>, BackendError> {
        Err(BackendError::Unsupported {
            what: "live tables",
            backend: "map",
        })
    }

    async fn close(&self) -> Result<(), BackendError> {
        *lock(&self.versions) = None;
        Ok(())
    }
}
