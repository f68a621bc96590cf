//! Writing partials: one PUT.

use std::iter;
use std::sync::Arc;

use alluvium_core::{AssignmentVersion, BackendError, Digest, Epoch, ErrorKind, Vnode};
use bytes::Bytes;
use uuid::Uuid;

use super::cache::Newest;
use super::choice::replaces;
use super::frame;
use super::handle::Handle;
use super::names::PartialsName;
use super::record::{Entry, Index, Seal};
use crate::digest;

impl Handle {
    pub(super) async fn write(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: Vec<(Vnode, Bytes)>,
    ) -> Result<(), BackendError> {
        let known = self.control.for_writing(self.vnodes).await?;
        known.control.check_count(self.vnodes)?;
        self.control.versions.check_write(version)?;
        known.control.check_floor(epoch)?;
        let digests = digest::of_each(&partials).await;
        let seal_seen = self.cache().has_seen_seal(epoch);
        if seal_seen {
            if let Some(seal) = self.seal(epoch).await? {
                return check_same(&seal, &partials, &digests);
            }
            // The look may have found that the epoch was pruned, or who is in force.
            self.control.versions.check_write(version)?;
            if let Some(known) = self.control.known() {
                known.control.check_floor(epoch)?;
            }
        }
        let before = self.cache().take_own(epoch);
        if let Some((name, index)) = &before
            && let Err(stale) = check_newest(index, version, &partials)
        {
            let unchanged = (name.clone(), Arc::clone(index));
            self.cache().give_own(epoch, unchanged);
            return Err(stale);
        }
        // Dropped half-way, or failed, the run of writes is not continued: what may be there is another writer's then.
        let newest = self.put(epoch, version, &partials, &digests, before).await?;
        self.cache().give_own(epoch, newest);
        self.control.versions.written(version);
        Ok(())
    }

    /// Puts one object, with what the one before it has, if there is one.
    async fn put(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: &[(Vnode, Bytes)],
        digests: &[Digest],
        before: Option<Newest>,
    ) -> Result<Newest, BackendError> {
        let mut length = 0;
        let entries = partials.iter().zip(digests).map(|((vnode, bytes), digest)| {
            let offset = length;
            length += bytes.len() as u64;
            Entry {
                vnode: *vnode,
                version,
                object: 0,
                offset,
                length: bytes.len() as u64,
                digest: *digest,
            }
        });
        let before = before.as_ref();
        let index = Index::new(
            entries.collect(),
            before.map(|(name, index)| (name, index.as_ref())),
        );
        let index_bytes = frame::encode(&index).map_err(|error| BackendError::Invalid(error.to_string()))?;
        let name = PartialsName {
            attempt: self.next_attempt(),
            instance: self.instance.clone(),
            writer: before.map_or_else(Uuid::new_v4, |(name, _)| name.writer),
            index_bytes: u32::try_from(index_bytes.len()).unwrap_or(u32::MAX),
        };
        let size = u64::from(name.index_bytes) + length;
        let bytes = partials.iter().map(|(_, bytes)| bytes.clone());
        let payload = iter::once(index_bytes.into())
            .chain(bytes.filter(|bytes| !bytes.is_empty()))
            .collect();
        let path = self.layout.partials(epoch, &name);
        let put = self.store.put(&path, payload).await.map_err(BackendError::from);
        if let Err(error) = put {
            // The answer may be lost, and the object not.
            let is_there = error.kind() == ErrorKind::Transient
                && matches!(self.store.size(&path).await, Ok(Some(there)) if there == size);
            if !is_there {
                return Err(error);
            }
        }
        Ok((name, Arc::new(index)))
    }
}

/// Checks that nothing newer of this handle would be replaced: only somebody who was replaced would do that.
fn check_newest(
    index: &Index,
    version: AssignmentVersion,
    partials: &[(Vnode, Bytes)],
) -> Result<(), BackendError> {
    let there = partials.iter().filter_map(|(vnode, _)| index.entry(*vnode));
    match there.map(|entry| entry.version).max() {
        Some(newer) if !replaces(version, newer) => Err(BackendError::StaleVersion {
            caller: version,
            authoritative: newer,
        }),
        _ => Ok(()),
    }
}

/// Checks that an epoch is sealed with these partials.
fn check_same(seal: &Seal, partials: &[(Vnode, Bytes)], digests: &[Digest]) -> Result<(), BackendError> {
    let same = |vnode, length, digest| {
        let sealed = seal.partial(vnode);
        sealed.is_some_and(|(_, entry)| entry.length == length && entry.digest == digest)
    };
    let mut partials = partials.iter().zip(digests);
    let other = partials.find(|((vnode, bytes), digest)| !same(*vnode, bytes.len() as u64, **digest));
    match other {
        Some(((vnode, _), _)) => Err(BackendError::Sealed {
            epoch: seal.epoch,
            vnode: *vnode,
        }),
        None => Ok(()),
    }
}
