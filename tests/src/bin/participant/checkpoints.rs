//! One checkpoint after the other, each on the one that `_latest` names, until it is killed.

use alluvium::checkpoint::{FileKind, FilePlace, Manifest};
use alluvium::{CheckpointError, Checkpointer as _, Epoch};
use alluvium_e2e::participant::Told;
use alluvium_e2e::participant::state::{self, LONGEST, OPERATOR, PARTITIONS, ROUND};
use alluvium_object_store::ObjectStoreCheckpointer;
use anyhow::{Context as _, Result};

use crate::Shared;
use crate::parent::Parent;

pub(crate) async fn run(shared: &Shared, prunes: bool, parent: &Parent) -> Result<()> {
    let checkpointer = shared.checkpointer();
    loop {
        if prunes {
            let done = checkpointer.prune(state::retention()).await?;
            parent.tell(&Told::Pruned(done.abandoned));
            // The parent looks at what is there now.
            tokio::task::block_in_place(|| parent.line());
        }
        for _ in 0..ROUND {
            take(&checkpointer, parent).await?;
        }
    }
}

/// Takes a checkpoint: of what changed, or of everything if there are deltas enough.
async fn take(checkpointer: &ObjectStoreCheckpointer, parent: &Parent) -> Result<()> {
    let base = match checkpointer.read_latest().await? {
        Some(latest) => Some(state::chain(checkpointer, latest).await?),
        None => None,
    };
    let epoch = match &base {
        Some((manifest, _)) => manifest.epoch.next().context("few epochs")?,
        None => Epoch::FIRST,
    };
    let base = base.filter(|(_, chain)| chain.checkpoints().len() < LONGEST);
    let id = checkpointer.begin().await?;
    parent.tell(&Told::Began(id));
    let kind = match base {
        Some(_) => FileKind::Delta,
        None => FileKind::Snapshot,
    };
    let files = (0..PARTITIONS).map(|partition| {
        let place = FilePlace {
            id,
            operator: OPERATOR,
            partition,
            kind,
        };
        (place, state::content(id, partition, kind))
    });
    let files = checkpointer.save_partitions_concurrent(files).await?;
    let mut manifest = Manifest::new(id, epoch, 0).operator(OPERATOR, files);
    manifest.parent_id = base.map(|(base, _)| base.id);
    checkpointer.save_manifest(&manifest).await?;
    match checkpointer.update_latest(id).await {
        Ok(()) => parent.tell(&Told::Announced(id, epoch)),
        Err(CheckpointError::Stale { .. }) => parent.tell(&Told::Outrun(id)),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
