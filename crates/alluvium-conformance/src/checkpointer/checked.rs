//! Obligation 2: not a byte is handed out that was not saved.

use alluvium_core::CheckpointError;
use alluvium_core::checkpoint::{Manifest, PartitionFile};
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::place::{Handle, Place, SEVERAL_PARTS, epoch, snapshot, with_place};
use crate::support::refused;
use crate::{CheckpointerHarness, Random};

/// Files of several lengths, in a complete checkpoint.
async fn files(handle: &Handle) -> Vec<PartitionFile> {
    let id = handle.begin().await.unwrap();
    let mut files = Vec::new();
    for (partition, length) in (0..).zip([1, 1_000, SEVERAL_PARTS]) {
        let bytes = Random::new(length as u64).bytes(length).into();
        files.push(handle.save(snapshot(id, "op", partition), bytes).await.unwrap());
    }
    let manifest = Manifest::new(id, epoch(1), 0).operator("op", files.clone());
    handle.save_manifest(&manifest).await.unwrap();
    files
}

/// What loading says, both at once and as a stream.
async fn loads(handle: &Handle, file: &PartitionFile) -> [Result<(), CheckpointError>; 2] {
    let streamed = match handle.load_stream(file).await {
        Ok(stream) => stream.try_for_each(async |_| Ok(())).await,
        Err(error) => Err(error),
    };
    [handle.load(file).await.map(drop), streamed]
}

/// Puts something else in the place of a file, and gives what loading it says.
async fn damaged(
    place: &Place<'_>,
    handle: &Handle,
    file: &PartitionFile,
    bytes: Bytes,
) -> [Result<(), CheckpointError>; 2] {
    let sound = place.get(&file.path).await;
    place.put(&file.path, bytes).await;
    let outcomes = loads(handle, file).await;
    place.put(&file.path, sound).await;
    outcomes
}

/// A single bit, at the beginning, at the end, or where a part ends.
pub fn o2_a_flipped_bit_is_found(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        for file in files(&handle).await {
            let sound = place.get(&file.path).await;
            let mut places = vec![0, sound.len() / 2, sound.len() - 1];
            places.extend((sound.len() > 8 << 20).then_some(8 << 20));
            for at in places {
                let mut bytes = sound.to_vec();
                bytes[at] ^= 0x10;
                for outcome in damaged(place, &handle, &file, bytes.into()).await {
                    refused!(
                        outcome,
                        CheckpointError::IntegrityMismatch { path, expected, actual }
                            if *path == file.path && *expected == file.sha256 && actual != expected
                    );
                }
            }
            // It is as it was.
            for outcome in loads(&handle, &file).await {
                outcome.unwrap();
            }
        }
    });
}

/// Whatever is shorter or longer, by one byte or by all of them.
pub fn o2_another_length_is_found(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        for file in files(&handle).await {
            let sound = place.get(&file.path).await;
            for length in [0, sound.len() / 2, sound.len() - 1] {
                for outcome in damaged(place, &handle, &file, sound.slice(..length)).await {
                    refused!(outcome, CheckpointError::Corrupt { path, .. } if path.contains(&file.path));
                }
            }
            let longer = [&sound[..], b"x"].concat();
            for outcome in damaged(place, &handle, &file, longer.into()).await {
                refused!(outcome, CheckpointError::Corrupt { path, .. } if path.contains(&file.path));
            }
        }
    });
}

/// Something in the place of a file that was empty.
pub fn o2_what_was_empty_stays_empty(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        let file = handle.save(snapshot(id, "op", 0), Bytes::new()).await.unwrap();
        for outcome in damaged(place, &handle, &file, "x".into()).await {
            refused!(outcome, CheckpointError::Corrupt { path, .. } if path.contains(&file.path));
        }
        place.remove(&file.path).await;
        for outcome in loads(&handle, &file).await {
            refused!(outcome, CheckpointError::Missing { path } if *path == file.path);
        }
    });
}

/// A file that is gone is named, and not taken for an empty one.
pub fn o2_a_missing_file_is_named(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        for file in files(&handle).await {
            place.remove(&file.path).await;
            for outcome in loads(&handle, &file).await {
                refused!(outcome, CheckpointError::Missing { path } if *path == file.path);
            }
        }
    });
}
