//! What is stored in binary: the index that an object with partials begins with, and the seal.

use std::ops::Range;

use alluvium_core::{AssignmentVersion, Digest, Epoch, InstanceId, Vnode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::frame::{FrameError, Framed};
use super::names::PartialsName;

/// What is known about the bytes of a partial, and in which object they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) vnode: Vnode,
    /// What it was written with.
    pub(super) version: AssignmentVersion,
    /// Which of the objects that the record names.
    pub(super) object: u32,
    /// Where its bytes begin, counted from the end of the object's index.
    pub(super) offset: u64,
    /// How many bytes.
    pub(super) length: u64,
    /// Their SHA-256.
    pub(super) digest: Digest,
}

impl Entry {
    /// Where its bytes are in an object of this name.
    pub(super) fn range(&self, name: &PartialsName) -> Range<u64> {
        let begin = u64::from(name.index_bytes) + self.offset;
        begin..begin + self.length
    }
}

/// The longest that an object can be, far beyond what any store takes. Places are below it, so sums of them are numbers.
const LONGEST: u64 = 1 << 48;

fn check_entries(entries: &[Entry], objects: usize) -> Result<(), FrameError> {
    if !entries.is_sorted_by(|one, next| one.vnode < next.vnode) {
        return Err(FrameError::Senseless("its vnodes do not rise"));
    }
    for entry in entries {
        if entry.object as usize >= objects {
            return Err(FrameError::Senseless("it names an object that it does not know"));
        }
        if entry.offset > LONGEST || entry.length > LONGEST {
            return Err(FrameError::Senseless("a partial lies where nothing can be"));
        }
    }
    Ok(())
}

/// What an object with partials begins with: every partial that its writer has written so far in the epoch, those in its
/// earlier objects too. So the newest object of a writer is all that needs to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// The earlier objects of this writer with partials that still count: their attempts and the lengths of their
    /// indexes, which with instance and writer make their names. Object 0 is the one that this index is in, and they
    /// are counted from 1.
    earlier: Vec<(u64, u32)>,
    /// Rising in the vnode.
    pub(super) entries: Vec<Entry>,
}

impl Index {
    /// An index of partials in this object, and of those `carried` over from the index of the writer's object before.
    pub(super) fn new(mut entries: Vec<Entry>, carried: Option<(&PartialsName, &Self)>) -> Self {
        let mut earlier = Vec::new();
        if let Some((name, index)) = carried {
            let mut places = vec![None; index.earlier.len() + 1];
            let written: std::collections::HashSet<_> = entries.iter().map(|entry| entry.vnode).collect();
            for entry in index
                .entries
                .iter()
                .filter(|entry| !written.contains(&entry.vnode))
            {
                let Some(place) = places.get_mut(entry.object as usize) else {
                    continue;
                };
                let place = *place.get_or_insert_with(|| {
                    earlier.push(index.parts(entry.object, name));
                    u32::try_from(earlier.len()).unwrap_or(u32::MAX)
                });
                entries.push(Entry {
                    object: place,
                    ..*entry
                });
            }
        }
        entries.sort_unstable_by_key(|entry| entry.vnode);
        Self { earlier, entries }
    }

    /// The name of the object that an entry names, of the index of the object of this name.
    pub(super) fn object(&self, entry: &Entry, name: &PartialsName) -> PartialsName {
        let (attempt, index_bytes) = self.parts(entry.object, name);
        PartialsName {
            attempt,
            index_bytes,
            ..name.clone()
        }
    }

    pub(super) fn entry(&self, vnode: Vnode) -> Option<&Entry> {
        find(&self.entries, vnode)
    }

    fn parts(&self, object: u32, name: &PartialsName) -> (u64, u32) {
        let earlier = (object as usize)
            .checked_sub(1)
            .and_then(|place| self.earlier.get(place));
        earlier.copied().unwrap_or((name.attempt, name.index_bytes))
    }
}

impl Framed for Index {
    const MAGIC: [u8; 8] = *b"alluvipt";

    fn check(&self) -> Result<(), FrameError> {
        check_entries(&self.entries, self.earlier.len() + 1)
    }
}

/// Who has committed an epoch, and exactly what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    /// Of this one attempt to seal, so that whoever lost the answer knows its own.
    token: Uuid,
    pub(super) epoch: Epoch,
    /// The stored fence that it was sealed under.
    pub(super) fence: AssignmentVersion,
    /// Who sealed it.
    pub(super) instance: InstanceId,
    objects: Vec<PartialsName>,
    /// Rising in the vnode.
    entries: Vec<Entry>,
}

impl Seal {
    /// A seal of these partials.
    pub(super) fn new(
        epoch: Epoch,
        fence: AssignmentVersion,
        instance: InstanceId,
        partials: impl IntoIterator<Item = (PartialsName, Entry)>,
    ) -> Self {
        let mut objects = Vec::new();
        let mut places = std::collections::HashMap::new();
        let mut entries: Vec<Entry> = partials
            .into_iter()
            .map(|(name, entry)| {
                let object = *places.entry(name).or_insert_with_key(|name| {
                    objects.push(name.clone());
                    u32::try_from(objects.len() - 1).unwrap_or(u32::MAX)
                });
                Entry { object, ..entry }
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.vnode);
        Self {
            token: Uuid::new_v4(),
            epoch,
            fence,
            instance,
            objects,
            entries,
        }
    }

    /// The partial of a vnode, if one belongs to the epoch, and the object that it is in.
    pub(super) fn partial(&self, vnode: Vnode) -> Option<(&PartialsName, &Entry)> {
        let entry = find(&self.entries, vnode)?;
        let name = self.objects.get(entry.object as usize)?;
        Some((name, entry))
    }
}

impl Framed for Seal {
    const MAGIC: [u8; 8] = *b"alluvisl";

    fn check(&self) -> Result<(), FrameError> {
        check_entries(&self.entries, self.objects.len())
    }
}

fn find(entries: &[Entry], vnode: Vnode) -> Option<&Entry> {
    let place = entries.binary_search_by_key(&vnode, |entry| entry.vnode).ok()?;
    entries.get(place)
}

#[cfg(test)]
mod tests;
