//! How partials, seals and the head are laid out in their spaces: names, keys, records.

use alluvium_core::{
    AssignmentVersion, BackendError, Digest, Epoch, InstanceId, KeyRange, Vnode, VnodeCount,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The space of everything but the bytes of partials.
pub(super) const SPACE: &str = "partials";
/// The key of the [`Head`].
pub(super) const HEAD: &[u8] = b"\x00head";

/// Begins the key of every seal.
const SEAL: u8 = 1;
/// Begins the key of every partial's record.
const RECORD: u8 = 2;

/// The space of the run of epochs that begins with this one.
pub(super) fn run_name(first: Epoch) -> String {
    format!("{SPACE}.{first}")
}

/// The first epoch of the run that a space is of; `None` for any other space.
pub(super) fn run_of(space: &str) -> Option<Epoch> {
    let number = space.strip_prefix(SPACE)?.strip_prefix('.')?;
    let first = Epoch::new(number.parse().ok()?).ok()?;
    // "partials.01" would be another space.
    (run_name(first) == space).then_some(first)
}

pub(super) fn seal_key(epoch: Epoch) -> Bytes {
    newest_first(SEAL, epoch)
}

pub(super) fn record_key(epoch: Epoch, vnode: Vnode) -> Bytes {
    [&newest_first(RECORD, epoch)[..], &vnode.get().to_be_bytes()]
        .concat()
        .into()
}

/// The key of a partial's bytes in the space of its run.
pub(super) fn bytes_key(epoch: Epoch, vnode: Vnode, slot: Slot) -> Bytes {
    let numbers = [&epoch.get().to_be_bytes()[..], &vnode.get().to_be_bytes()];
    [numbers[0], numbers[1], &[slot.0]].concat().into()
}

/// Every seal.
pub(super) fn seals() -> KeyRange {
    KeyRange::prefix([SEAL])
}

/// The seals of every epoch below this one.
pub(super) fn seals_below(floor: Epoch) -> KeyRange {
    below(SEAL, floor)
}

/// The records of every partial.
pub(super) fn records() -> KeyRange {
    KeyRange::prefix([RECORD])
}

/// The records of an epoch's partials.
pub(super) fn records_of(epoch: Epoch) -> KeyRange {
    KeyRange::prefix(newest_first(RECORD, epoch))
}

/// The records of the partials of every epoch below this one.
pub(super) fn records_below(floor: Epoch) -> KeyRange {
    below(RECORD, floor)
}

/// The epoch of a seal's or record's key.
pub(super) fn epoch_of(key: &[u8]) -> Result<Epoch, RecordError> {
    let number = key.get(1..).and_then(|rest| rest.first_chunk());
    number
        .and_then(|number| Epoch::new(!u64::from_be_bytes(*number)).ok())
        .ok_or(RecordError::Key)
}

/// The vnode of a record's key.
pub(super) fn vnode_of(key: &[u8]) -> Result<Vnode, RecordError> {
    let number = key.get(9..).and_then(|rest| rest.try_into().ok());
    number
        .map(|number| Vnode::new(u32::from_be_bytes(number)))
        .ok_or(RecordError::Key)
}

/// Scans only go forward, and it is the newest epoch that is looked for: so the newest comes first.
fn newest_first(tag: u8, epoch: Epoch) -> Bytes {
    [&[tag][..], &(!epoch.get()).to_be_bytes()].concat().into()
}

fn below(tag: u8, floor: Epoch) -> KeyRange {
    // Behind everything of the floor itself.
    let after = !(floor.get() - 1);
    KeyRange::of([&[tag][..], &after.to_be_bytes()].concat()..vec![tag + 1])
}

/// What holds for the whole state. Absent until the first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: u16,
    /// Fixed by the first write of partials.
    pub(super) vnodes: Option<VnodeCount>,
    /// The fence.
    pub(super) fence: AssignmentVersion,
    /// The first epoch that was not pruned.
    pub(super) floor: Option<Epoch>,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            format: FORMAT,
            vnodes: None,
            fence: AssignmentVersion::OFF,
            floor: None,
        }
    }
}

impl Head {
    /// Checks that the state is of this many vnodes.
    pub(super) fn check_count(&self, count: VnodeCount) -> Result<(), BackendError> {
        match self.vnodes {
            Some(stored) if stored != count => Err(BackendError::Invalid(format!(
                "the state is of {stored} vnodes, not of {count}: open it with {stored}, or use another one"
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn has_pruned(&self, epoch: Epoch) -> bool {
        self.floor.is_some_and(|floor| epoch < floor)
    }

    /// Checks that an epoch was not pruned.
    pub(super) fn check_floor(&self, epoch: Epoch) -> Result<(), BackendError> {
        match self.floor {
            Some(floor) if epoch < floor => Err(BackendError::Pruned { epoch, floor }),
            _ => Ok(()),
        }
    }
}

/// Which of the two places of a partial's bytes: those that replace others are never written over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Slot(u8);

impl Slot {
    /// The other one.
    pub(super) const fn other(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// What is known about the bytes of a partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partial {
    /// What it was written with.
    pub(super) version: AssignmentVersion,
    /// The run that it lies in: with slot, epoch and vnode, its location.
    pub(super) run: Epoch,
    pub(super) slot: Slot,
    /// How many bytes.
    pub(super) length: u64,
    /// Their SHA-256.
    pub(super) digest: Digest,
}

impl Partial {
    pub(super) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("numbers and bytes always encode")
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        rmp_serde::from_slice(bytes).map_err(RecordError::Undecodable)
    }

    /// Whether these are its bytes.
    pub(super) fn is_of(&self, length: usize, digest: Digest) -> bool {
        self.length == length as u64 && self.digest == digest
    }
}

/// Who has committed an epoch, and exactly what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    format: u16,
    /// Who sealed it.
    pub(super) instance: InstanceId,
    /// Rising in the vnode.
    partials: Vec<(Vnode, Partial)>,
}

impl Seal {
    /// A seal of these partials, rising in the vnode.
    pub(super) fn new(instance: InstanceId, partials: Vec<(Vnode, Partial)>) -> Self {
        Self {
            format: FORMAT,
            instance,
            partials,
        }
    }

    /// The partial of a vnode, if one belongs to the epoch.
    pub(super) fn partial(&self, vnode: Vnode) -> Option<Partial> {
        let place = self.partials.binary_search_by_key(&vnode, |(vnode, _)| *vnode);
        place.ok().map(|place| self.partials[place].1)
    }
}

/// The format that is written. It covers all records and keys: every write is preceded by a look at the head.
const FORMAT: u16 = 1;

/// Why something stored makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("the key is none of a partial or seal")]
    Key,
    #[error("the record cannot be decoded")]
    Undecodable(#[source] rmp_serde::decode::Error),
    #[error(
        "it has format {found}, this Alluvium reads up to {FORMAT}: use the newer Alluvium that wrote it"
    )]
    Newer { found: u16 },
    #[error("there is no record of how many vnodes there are, though there are partials")]
    NoHead,
    #[error("the record is there, the bytes are not")]
    NoBytes,
    #[error("{found} bytes with SHA-256 {digest}, not {} with {}", expected.length, expected.digest)]
    OtherBytes {
        found: usize,
        digest: Digest,
        expected: Box<Partial>,
    },
}

/// A head or a seal as it is stored: MessagePack with named fields, so that a reader can skip what it does not know.
pub(super) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(record).expect("plain structs of numbers and strings always encode")
}

/// Reads what [`encode`] wrote.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    // The format first, alone: a newer record may not decode as this one.
    #[derive(Deserialize)]
    struct Formatted {
        format: u16,
    }
    let Formatted { format: found } = rmp_serde::from_slice(bytes).map_err(RecordError::Undecodable)?;
    if found > FORMAT {
        return Err(RecordError::Newer { found });
    }
    rmp_serde::from_slice(bytes).map_err(RecordError::Undecodable)
}

#[cfg(test)]
mod tests;
