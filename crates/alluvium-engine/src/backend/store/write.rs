//! Writing partials.

use alluvium_core::{AssignmentVersion, BackendError, Epoch, Vnode};
use bytes::Bytes;

use super::Store;
use crate::WriteBatch;
use crate::backend::digest::{are_large, of_each, of_each_beside};
use crate::backend::layout::{self, Head, Partial, Seal};
use crate::backend::view::View;

/// What is to be written.
pub(in crate::backend) struct Writing {
    pub(in crate::backend) epoch: Epoch,
    pub(in crate::backend) version: AssignmentVersion,
    pub(in crate::backend) partials: Vec<(Vnode, Bytes)>,
}

impl Store {
    pub(in crate::backend) fn write(&self, writing: &Writing) -> Result<(), BackendError> {
        let Writing { epoch, version, .. } = *writing;
        let mut meter = self.writer();
        let view = self.view()?;
        view.head.check_count(self.vnodes)?;
        self.versions.check_write(version, view.head.fence)?;
        view.head.check_floor(epoch)?;
        if let Some(seal) = self.seal(&view, epoch)? {
            writing.check_same(&seal.1)?;
        } else {
            let newest = view.newest()?;
            // Most writes are of an epoch that has nothing yet.
            let replaced = if newest.is_some_and(|newest| epoch <= newest) {
                view.replaced(epoch, version, &writing.partials)?
            } else {
                vec![None; writing.partials.len()]
            };
            let run = self.runs.load().place(epoch, view.head.floor, newest, &meter);
            self.put(writing, &replaced, run, &view)?;
            meter.count(run, epoch, writing.bytes());
        }
        self.versions.written(version);
        Ok(())
    }

    /// Commits partials to a run: the bytes, and then, or in the same commit, their records.
    fn put(
        &self,
        writing: &Writing,
        replaced: &[Option<Partial>],
        run: Epoch,
        view: &View,
    ) -> Result<(), BackendError> {
        let epoch = writing.epoch;
        let what = format!("epoch {epoch}");
        let run_space = self.run_space(run)?;
        let slot =
            |replaced: &Option<Partial>| replaced.map_or_else(Default::default, |old| old.slot.other());

        let partials = || writing.partials.iter().zip(replaced);
        let mut batch = WriteBatch::with_capacity(3 * replaced.len() + 1);
        for ((vnode, bytes), old) in partials() {
            batch.put(
                run_space,
                layout::bytes_key(epoch, *vnode, slot(old)),
                bytes.clone(),
            );
        }
        let digests = if are_large(&writing.partials) {
            // To take their digests is as much work as to commit them, so both go on at once. Until there is a record
            // nobody sees the bytes, and those of a kill or a failure in between go with their run.
            let bytes = std::mem::take(&mut batch);
            let (digests, committed) = of_each_beside(&writing.partials, || self.commit(bytes, &what));
            committed?;
            digests
        } else {
            of_each(&writing.partials)
        };
        let space = self.space()?;
        if view.head.vnodes.is_none() {
            let head = Head {
                vnodes: Some(self.vnodes),
                ..view.head
            };
            batch.put(space, layout::HEAD, layout::encode(&head));
        }
        for (((vnode, bytes), old), digest) in partials().zip(digests) {
            let partial = Partial {
                version: writing.version,
                run,
                slot: slot(old),
                length: bytes.len() as u64,
                digest,
            };
            batch.put(space, layout::record_key(epoch, *vnode), partial.encode());
            if let Some(old) = old
                && let Some(old_space) = self.runs.load().space(old.run)
            {
                batch.remove(old_space, layout::bytes_key(epoch, *vnode, old.slot));
            }
        }
        self.commit(batch, &what)
    }
}

impl Writing {
    /// Checks that an epoch was sealed with these partials.
    fn check_same(&self, seal: &Seal) -> Result<(), BackendError> {
        let digests = of_each(&self.partials);
        for ((vnode, bytes), digest) in self.partials.iter().zip(digests) {
            let sealed = seal.partial(*vnode);
            if !sealed.is_some_and(|sealed| sealed.is_of(bytes.len(), digest)) {
                let (epoch, vnode) = (self.epoch, *vnode);
                return Err(BackendError::Sealed { epoch, vnode });
            }
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.partials.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}
