//! `alluvium artifacts prune`: what goes.

use alluvium::RetentionPolicy;
use alluvium::artifact::PrunedArtifacts;
use serde_json::json;

use super::catalog::{Pointer, none, pointer};
use super::open;
use crate::args::PruneArtifactsArgs;
use crate::error::Failure;
use crate::human::count;
use crate::output::{Output, human_bytes};

pub(super) async fn run(args: &PruneArtifactsArgs, output: Output) -> Result<(), Failure> {
    let transport = open(&args.store).await?;
    let key = &args.key;
    // A key that was mistyped is told, and not pruned of nothing.
    if matches!(pointer(transport.as_ref(), key).await?, Pointer::None)
        && transport.history(key).await?.is_empty()
        && transport.packs(key).await?.is_empty()
    {
        return Err(none(&args.store.store, key, None));
    }
    let policy = RetentionPolicy::default()
        .keep(args.keep)
        .grace(args.grace)
        .dry_run(args.dry_run);
    let pruned = transport.prune(key, policy).await?;
    if output.is_json() {
        return output.object(&json!({
            "dry_run": args.dry_run,
            "artifacts": pruned.manifests,
            "packs": pruned.packs,
            "objects": pruned.objects,
            "bytes": pruned.bytes,
        }));
    }
    let mut lines = output.lines();
    for line in told(&pruned, args.dry_run) {
        lines.text(&line)?;
    }
    lines.finish()
}

fn told(pruned: &PrunedArtifacts, dry_run: bool) -> Vec<String> {
    let verb = if dry_run { "would remove" } else { "removed" };
    let artifacts = pruned.manifests.iter().map(|id| format!("{verb} {id}"));
    let packs = pruned.packs.iter().map(|id| format!("{verb} pack {id}"));
    let sum = format!(
        "{verb} {} and {}: {}, {}",
        count(pruned.manifests.len(), "artifact", "artifacts"),
        count(pruned.packs.len(), "pack", "packs"),
        count(
            usize::try_from(pruned.objects).unwrap_or(usize::MAX),
            "object",
            "objects"
        ),
        human_bytes(pruned.bytes)
    );
    artifacts.chain(packs).chain([sum]).collect()
}
