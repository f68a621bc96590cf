//! The state that participants take checkpoints of. The checkpoint's name tells every byte: so a mixture of two is found.

use std::num::NonZeroU32;
use std::time::Duration;

use alluvium::checkpoint::{Chain, FileKind, Manifest};
use alluvium::{CheckpointError, CheckpointId, Checkpointer, RetentionPolicy};
use alluvium_object_store::CheckpointerOptions;
use bytes::Bytes;

/// The one operator, of a name that has to be encoded.
pub const OPERATOR: &str = "count/per key";
/// Its partitions.
pub const PARTITIONS: u32 = 4;
/// The one that is uploaded in parts when it is whole.
const LARGE: u32 = 3;
/// As small as S3 lets the parts of an upload be.
const PART: u64 = 5 << 20;
/// How many checkpoints a participant takes between two prunes.
pub const ROUND: usize = 2;
/// How many checkpoints a chain has at most.
pub const LONGEST: usize = 3;

/// What all handles are opened with.
pub fn options() -> CheckpointerOptions {
    CheckpointerOptions::default().part_bytes(PART)
}

/// What every prune keeps: the newest two, and nothing else for any time.
pub fn retention() -> RetentionPolicy {
    let keep = NonZeroU32::MIN.saturating_add(1);
    RetentionPolicy::default().keep(keep).grace(Duration::ZERO)
}

/// The state of a partition: no other checkpoint or partition has the same.
pub fn content(id: CheckpointId, partition: u32, kind: FileKind) -> Bytes {
    let length = match kind {
        FileKind::Snapshot if partition == LARGE => 1_000 + usize::try_from(PART).unwrap_or(usize::MAX),
        // In one of them nothing changes, ever.
        FileKind::Delta if partition == 0 => 0,
        FileKind::Snapshot | FileKind::Delta => 500,
    };
    let line = format!("{kind:?} of partition {partition} as checkpoint {id} has it. ");
    let mut bytes = line.repeat(length.div_ceil(line.len())).into_bytes();
    bytes.truncate(length);
    bytes.into()
}

/// A manifest, and the chain that restores its checkpoint.
///
/// # Errors
///
/// Whatever a manifest of the chain cannot be loaded for.
pub async fn chain(
    checkpointer: &dyn Checkpointer,
    id: CheckpointId,
) -> Result<(Manifest, Chain), CheckpointError> {
    let manifest = checkpointer.load_manifest(id).await?;
    let mut chain = Chain::new(&manifest);
    while let Some(needed) = chain.needs() {
        chain.add(&checkpointer.load_manifest(needed).await?)?;
    }
    Ok((manifest, chain))
}
