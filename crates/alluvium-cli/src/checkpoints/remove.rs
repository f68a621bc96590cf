//! `alluvium checkpoints rm` and `prune`: what goes, and what is refused.

use alluvium::checkpoint::Pruned;
use alluvium::{CheckpointError, CheckpointId, RetentionPolicy};
use serde_json::json;

use super::store;
use crate::args::{PruneArgs, RmArgs};
use crate::error::Failure;
use crate::human::count;
use crate::output::{Output, human_bytes};

pub(super) async fn rm(args: &RmArgs, output: Output) -> Result<(), Failure> {
    let checkpointer = store::open(&args.store).await?;
    let listed = checkpointer.list_checkpoints().await?;
    let mut ids = args.checkpoints.clone();
    // What needs another goes before it.
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
    if let Some(id) = ids.iter().copied().find(|id| !listed.contains(id)) {
        return Err(CheckpointError::NotFound { id }.into());
    }
    for id in ids {
        checkpointer.delete_checkpoint(id).await?;
        if output.is_json() {
            output.object(&json!({ "removed": id }))?;
        } else {
            text(output, &[format!("removed {id}")])?;
        }
    }
    Ok(())
}

pub(super) async fn prune(args: &PruneArgs, output: Output) -> Result<(), Failure> {
    let checkpointer = store::open(&args.store).await?;
    let policy = RetentionPolicy::default()
        .keep(args.keep)
        .grace(args.grace)
        .dry_run(args.dry_run);
    let pruned = checkpointer.prune(policy).await?;
    if output.is_json() {
        return output.object(&json!({
            "dry_run": args.dry_run,
            "checkpoints": pruned.checkpoints,
            "abandoned": pruned.abandoned,
            "objects": pruned.objects,
            "bytes": pruned.bytes,
        }));
    }
    text(output, &told(&pruned, args.dry_run))
}

fn told(pruned: &Pruned, dry_run: bool) -> Vec<String> {
    let verb = if dry_run { "would remove" } else { "removed" };
    let line = |id: &CheckpointId, what: &str| format!("{verb} {id}{what}");
    let whole = pruned.checkpoints.iter().map(|id| line(id, ""));
    let abandoned = pruned
        .abandoned
        .iter()
        .map(|id| line(id, ", which was never completed"));
    let sum = format!(
        "{verb} {} and {} never completed: {}, {}",
        count(pruned.checkpoints.len(), "checkpoint", "checkpoints"),
        pruned.abandoned.len(),
        count(
            usize::try_from(pruned.objects).unwrap_or(usize::MAX),
            "object",
            "objects"
        ),
        human_bytes(pruned.bytes)
    );
    whole.chain(abandoned).chain([sum]).collect()
}

fn text(output: Output, told: &[String]) -> Result<(), Failure> {
    let mut lines = output.lines();
    for line in told {
        lines.text(line)?;
    }
    lines.finish()
}
