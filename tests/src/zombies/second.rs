//! The second participant, which takes the zombie's place, and what readers have to find.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium::{AssignmentVersion, BackendError, Epoch, InstanceId, StateBackend, Vnode};

use crate::participant::{Place, partial, partials};

/// The assignment version that the second participant has.
pub(super) const VERSION: AssignmentVersion = AssignmentVersion::new(2);

/// The second participant's handle.
pub(super) struct Second {
    pub(super) backend: Arc<dyn StateBackend>,
    vnodes: Vec<Vnode>,
}

impl Second {
    /// Opens it now.
    pub(super) async fn open(place: &Place) -> Self {
        Self {
            backend: place.open("second").await,
            vnodes: place.vnodes(),
        }
    }

    pub(super) async fn fence(&self) {
        self.backend.fence(VERSION).await.expect("the fence is raised");
    }

    /// Writes an epoch that is nobody else's.
    pub(super) async fn write(&self, epoch: Epoch) {
        self.try_write(epoch)
            .await
            .expect("the second's epoch is written");
    }

    /// Seals an epoch that is nobody else's.
    pub(super) async fn seal(&self, epoch: Epoch) {
        let complete = self.try_seal(epoch).await.expect("the second's epoch is sealed");
        assert!(
            complete,
            "epoch {epoch} is not complete, and every vnode was written"
        );
    }

    /// Finds that an epoch is the zombie's: what differs is refused, and so is the seal.
    pub(super) async fn finds_sealed(&self, epoch: Epoch, committer: &InstanceId) {
        let written = self.try_write(epoch).await;
        assert!(
            matches!(written, Ok(()) | Err(BackendError::Sealed { .. })),
            "epoch {epoch} is sealed, and a write of something else ended with {written:?}"
        );
        let sealed = self.try_seal(epoch).await;
        assert!(
            matches!(&sealed, Err(BackendError::SplitBrainCommit { committer: found, .. }) if found == committer),
            "epoch {epoch} was sealed by {committer}, and sealing it again ended with {sealed:?}"
        );
    }

    async fn try_write(&self, epoch: Epoch) -> Result<(), BackendError> {
        let written = partials(self.backend.instance(), epoch, &self.vnodes);
        self.backend.write_partials(epoch, VERSION, written).await
    }

    async fn try_seal(&self, epoch: Epoch) -> Result<bool, BackendError> {
        self.backend.epoch_complete(epoch, &self.vnodes).await
    }
}

/// Whose partials readers have to find in each epoch; in every other one, and in those of nobody, none.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    pub(super) partials: BTreeMap<u64, InstanceId>,
    pub(super) latest_complete: Option<Epoch>,
}

impl Truth {
    /// An epoch is sealed with what this instance wrote, and none after it is.
    pub(super) fn set(&mut self, epoch: Epoch, owner: &InstanceId) {
        self.partials.insert(epoch.get(), owner.clone());
        self.latest_complete = Some(epoch);
    }

    /// Reads every vnode of every epoch up to the last one that anybody writes, and holds it to the truth.
    pub(super) async fn check(&self, reader: &dyn StateBackend, last: Epoch, when: &str) {
        let who = reader.instance();
        let mut next = Some(Epoch::FIRST);
        while let Some(epoch) = next.filter(|epoch| *epoch <= last) {
            for vnode in reader.vnode_count().vnodes() {
                let owner = self.partials.get(&epoch.get());
                let wanted = owner.map(|owner| partial(owner, epoch, vnode));
                let found = reader
                    .read_partial(vnode, epoch)
                    .await
                    .unwrap_or_else(|error| panic!("{when}, {who} reads epoch {epoch}: {error:?}"));
                assert_eq!(
                    found, wanted,
                    "{when}, {who} reads vnode {vnode} of epoch {epoch}"
                );
            }
            next = epoch.next();
        }
        let latest = reader.latest_complete().await.expect("the latest epoch is read");
        assert_eq!(latest, self.latest_complete, "{when}, {who}: the latest epoch");
    }
}
