//! Raising the fence, and looking what is sealed then.

use alluvium::{AssignmentVersion, BackendError, InstanceId, StateBackend as _};
use alluvium_e2e::participant::{Refusal, Told};

use crate::Shared;
use crate::parent::Parent;

pub(crate) async fn run(shared: &Shared, instance: InstanceId, version: AssignmentVersion, parent: &Parent) {
    let told = match raise(shared, instance, version, parent).await {
        Ok(()) => Told::Done,
        Err(error) => Told::Refused(Refusal::of(error)),
    };
    parent.tell(&told);
}

async fn raise(
    shared: &Shared,
    instance: InstanceId,
    version: AssignmentVersion,
    parent: &Parent,
) -> Result<(), BackendError> {
    let backend = shared.backend(instance).await?;
    parent.tell(&Told::Opened);
    backend.fence(version).await?;
    parent.tell(&Told::Latest(backend.latest_complete().await?));
    Ok(())
}
