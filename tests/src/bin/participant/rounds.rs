//! One epoch after the other, written and sealed, until somebody refuses.

use std::ops::RangeInclusive;

use alluvium::{AssignmentVersion, BackendError, Epoch, InstanceId, StateBackend, Vnode};
use alluvium_e2e::participant::{Refusal, Told, partials};
use anyhow::{Result, ensure};

use crate::Shared;
use crate::parent::Parent;

pub(crate) async fn run(
    shared: &Shared,
    instance: InstanceId,
    version: AssignmentVersion,
    epochs: RangeInclusive<Epoch>,
    parent: &Parent,
) -> Result<()> {
    let told = match rounds(shared, instance, version, epochs, parent).await {
        Ok(()) => Told::Done,
        Err(error) => Told::Refused(Refusal::of(error.downcast::<BackendError>()?)),
    };
    parent.tell(&told);
    Ok(())
}

async fn rounds(
    shared: &Shared,
    instance: InstanceId,
    version: AssignmentVersion,
    epochs: RangeInclusive<Epoch>,
    parent: &Parent,
) -> Result<()> {
    let vnodes: Vec<Vnode> = shared.vnodes.vnodes().collect();
    let backend = shared.backend(instance.clone()).await?;
    parent.tell(&Told::Opened);
    let mut next = Some(*epochs.start());
    while let Some(epoch) = next.filter(|epoch| epochs.contains(epoch)) {
        match backend
            .write_partials(epoch, version, partials(&instance, epoch, &vnodes))
            .await
        {
            Ok(()) => parent.tell(&Told::Wrote(epoch)),
            // Somebody has sealed it with something else: the seal says who.
            Err(BackendError::Sealed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let complete = backend.epoch_complete(epoch, &vnodes).await?;
        ensure!(
            complete,
            "epoch {epoch} is not complete, and every vnode was written"
        );
        parent.tell(&Told::Sealed(epoch));
        next = epoch.next();
    }
    Ok(())
}
