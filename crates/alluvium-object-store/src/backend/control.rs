//! The control object: the fence, which seals are in force, and from which epoch on anything is kept.
//!
//! How raising the fence and sealing meet is described in the [backend](super). What this handle has read last it keeps:
//! fence and floor only rise, so a refusal by an older one is right, and a permission is checked against the stored one
//! by whoever needs it to hold.

mod record;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::{AssignmentVersion, BackendError, BoxError, Epoch, ErrorKind, VnodeCount};
use object_store::UpdateVersion;

pub(super) use self::record::Control;
use self::record::ControlError;
use super::listing::Listing;
use super::names::Layout;
use super::versions::Versions;
use crate::pointer::{Pointer, Swap};
use crate::store::{Object, Store};

/// The most bytes of the control object: the seals of hundreds of thousands of epochs.
const MOST_BYTES: u64 = 32 << 20;

/// How often something is tried again because others were faster. Each time somebody else has got further.
pub(super) const ROUNDS: usize = 64;

/// The control object, and what is known of it.
pub(super) struct ControlObject {
    pointer: Pointer,
    store: Store,
    layout: Layout,
    known: Mutex<Option<Arc<Known>>>,
    pub(super) versions: Versions,
}

/// The control object as it was at some time.
pub(super) struct Known {
    pub(super) control: Control,
    version: UpdateVersion,
}

impl ControlObject {
    pub(super) fn new(store: Store, layout: Layout) -> Self {
        Self {
            pointer: Pointer::new(store.clone(), layout.control(), MOST_BYTES),
            store,
            layout,
            known: Mutex::default(),
            versions: Versions::default(),
        }
    }

    /// What was read or written last; none if there was nothing yet.
    pub(super) fn known(&self) -> Option<Arc<Known>> {
        self.lock().clone()
    }

    /// What is stored now; none if there is nothing yet.
    pub(super) async fn read(&self) -> Result<Option<Arc<Known>>, BackendError> {
        let known_before = self.known().is_some();
        match self.pointer.read().await? {
            Some(object) => self.learn(&object).map(Some),
            None if known_before => Err(self.gone()),
            // Another call of this handle may have made it meanwhile.
            None => Ok(self.known()),
        }
    }

    /// What is stored now, decided; none if there is nothing yet.
    pub(super) async fn decided(&self) -> Result<Option<Arc<Known>>, BackendError> {
        let Some(mut known) = self.read().await? else {
            return Ok(None);
        };
        for _ in 0..ROUNDS {
            if known.control.is_decided() {
                return Ok(Some(known));
            }
            known = self.decide(&known).await?;
        }
        Err(self.contended())
    }

    /// What was read last, if that is decided, else what is stored now; none if there is nothing yet.
    pub(super) async fn known_decided(&self) -> Result<Option<Arc<Known>>, BackendError> {
        match self.known() {
            Some(known) if known.control.is_decided() => Ok(Some(known)),
            _ => self.decided().await,
        }
    }

    /// Makes the control object if there is none, and settles the number of vnodes if nobody has.
    pub(super) async fn for_writing(&self, count: VnodeCount) -> Result<Arc<Known>, BackendError> {
        let fixed = |known: &Arc<Known>| known.control.with_count(count).is_none();
        if let Some(known) = self.known().filter(fixed) {
            return Ok(known);
        }
        self.change(|control| Ok(control.with_count(count))).await
    }

    /// Raises the fence.
    pub(super) async fn raise(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        let mut known = self.change(|control| control.with_fence(version)).await?;
        for _ in 0..ROUNDS {
            if known.control.is_decided() {
                return Ok(());
            }
            known = self.decide(&known).await?;
        }
        Err(self.contended())
    }

    /// Raises the floor of pruning. Gives what it is then.
    pub(super) async fn raise_floor(&self, floor: Epoch) -> Result<Epoch, BackendError> {
        let known = self.change(|control| Ok(control.with_floor(floor))).await?;
        Ok(known.control.floor().unwrap_or(floor))
    }

    /// It was there, or what it is the control of is, and it is not.
    pub(super) fn gone(&self) -> BackendError {
        self.corrupt(ControlError::Gone)
    }

    /// Others were faster all the time.
    pub(super) fn contended(&self) -> BackendError {
        BackendError::Storage {
            doing: "agree with others on",
            location: self.pointer.location(),
            kind: ErrorKind::Transient,
            source: "others have changed it all the time".into(),
        }
    }

    /// Changes the control object, if `change` gives another one. What it decides must hold for any newer one that it
    /// gives no other one for.
    async fn change(
        &self,
        change: impl Fn(&Control) -> Result<Option<Control>, BackendError>,
    ) -> Result<Arc<Known>, BackendError> {
        // What is known may be old: then the swap says so, and gives what there is.
        let mut known = match self.known() {
            Some(known) => Some(known),
            None => self.read().await?,
        };
        for _ in 0..ROUNDS {
            if let Some(undecided) = known.as_ref().filter(|known| !known.control.is_decided()) {
                known = Some(self.decide(undecided).await?);
                continue;
            }
            let (next, base) = match &known {
                Some(known) => (change(&known.control)?, Some(known)),
                None => (change(&Control::default())?, None),
            };
            known = match (next, base) {
                (Some(next), _) => self.swap(base, next).await?,
                (None, Some(known)) => return Ok(Arc::clone(known)),
                (None, None) => self.swap(None, Control::default()).await?,
            };
        }
        Err(self.contended())
    }

    /// Decides which seals are in force after the fence was raised, unless somebody else does it first. A seal that was
    /// there before the fence was raised is in the listing. Of one that came later it is a matter of luck, but of one
    /// luck for all: the swap has one winner.
    async fn decide(&self, undecided: &Arc<Known>) -> Result<Arc<Known>, BackendError> {
        let seals = Listing::of(&self.store, &self.layout, &self.layout.epochs()).await?;
        let decided = undecided.control.decided(seals.seals());
        self.swap(Some(undecided), decided)
            .await?
            .ok_or_else(|| self.gone())
    }

    /// Swaps once. Gives what is there then, whoever's it is.
    async fn swap(
        &self,
        over: Option<&Arc<Known>>,
        next: Control,
    ) -> Result<Option<Arc<Known>>, BackendError> {
        let content = record::encode(&next).map_err(|error| self.corrupt(error))?;
        let over = over.map(|known| &known.version);
        match self.pointer.swap(over, content.into()).await? {
            Swap::Done(version) => Ok(Some(self.keep(Known {
                control: next,
                version,
            }))),
            Swap::Lost(Some(object)) => self.learn(&object).map(Some),
            Swap::Lost(None) if over.is_some() => Err(self.gone()),
            Swap::Lost(None) => Ok(None),
        }
    }

    fn learn(&self, object: &Object) -> Result<Arc<Known>, BackendError> {
        let control = record::decode(&object.bytes).map_err(|error| self.corrupt(error))?;
        let version = object.version.clone();
        Ok(self.keep(Known { control, version }))
    }

    /// Keeps what was read or written, unless something newer is known by now. Gives the newer one.
    fn keep(&self, found: Known) -> Arc<Known> {
        self.versions.found(found.control.fence());
        let mut known = self.lock();
        match known.as_ref() {
            Some(newer) if newer.control.revision > found.control.revision => Arc::clone(newer),
            _ => Arc::clone(known.insert(Arc::new(found))),
        }
    }

    fn corrupt(&self, error: ControlError) -> BackendError {
        let location = self.pointer.location();
        match error {
            ControlError::Newer { .. } => BackendError::Invalid(format!("{location}: {error}")),
            other => BackendError::Corrupt {
                location,
                source: BoxError::from(other),
            },
        }
    }

    /// A poisoned lock is fine: what it guards is replaced as a whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ControlObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlObject({})", self.pointer.location())
    }
}
