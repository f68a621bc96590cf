//! Several handles that seal one epoch, all at once.

use std::sync::Arc;

use alluvium::{AssignmentVersion, Epoch, InstanceId, StateBackend as _, Vnode};
use alluvium_e2e::participant::{Answer, Refusal, Told, partials};
use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use tokio::sync::Barrier;

use crate::Shared;
use crate::parent::Parent;

pub(crate) async fn run(
    shared: &Shared,
    instances: &[InstanceId],
    vnodes: &[Vnode],
    parent: &Parent,
) -> Result<()> {
    let open = |instance: &InstanceId| shared.backend(instance.clone());
    let handles: Vec<_> = try_join_all(instances.iter().map(open))
        .await?
        .into_iter()
        .map(Arc::new)
        .collect();
    let writer = handles.first().context("nobody races")?;
    let all: Arc<[Vnode]> = shared.vnodes.vnodes().collect();
    parent.tell(&Told::Opened);
    loop {
        let Some(epoch) = epoch(parent)? else {
            parent.tell(&Told::Done);
            return Ok(());
        };
        let written = partials(writer.instance(), epoch, vnodes);
        writer
            .write_partials(epoch, AssignmentVersion::new(1), written)
            .await?;
        parent.tell(&Told::Wrote(epoch));
        // Everybody has written: now all seal.
        tokio::task::block_in_place(|| parent.line());
        let line = Arc::new(Barrier::new(handles.len()));
        let runners = handles.iter().map(|handle| {
            let (handle, line, all) = (Arc::clone(handle), Arc::clone(&line), Arc::clone(&all));
            tokio::spawn(async move {
                line.wait().await;
                let instance = handle.instance().clone();
                match handle.epoch_complete(epoch, &all).await {
                    Ok(true) => Answer::Sealed(instance),
                    Ok(false) => Answer::Refused(instance, Refusal::Other("not complete".to_owned())),
                    Err(error) => Answer::Refused(instance, Refusal::of(error)),
                }
            })
        });
        parent.tell(&Told::Raced(try_join_all(runners).await?));
    }
}

/// The epoch that the parent names; none when it has had enough.
fn epoch(parent: &Parent) -> Result<Option<Epoch>> {
    let line = tokio::task::block_in_place(|| parent.line());
    match line.trim() {
        "enough" => Ok(None),
        number => Ok(Some(Epoch::new(number.parse()?)?)),
    }
}
