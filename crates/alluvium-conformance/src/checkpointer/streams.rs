//! Files as streams: of any length, and in pieces of any size.

use std::io;

use alluvium_core::CheckpointError;
use alluvium_core::checkpoint::{ByteStream, Manifest, PartitionFile};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::place::{Handle, SEVERAL_PARTS, epoch, snapshot, with_place};
use crate::support::refused;
use crate::{CheckpointerHarness, Random};

/// These bytes in pieces of so many.
fn pieces(bytes: &Bytes, of: usize) -> Vec<io::Result<Bytes>> {
    let starts = (0..bytes.len()).step_by(of);
    let piece = |start| bytes.slice(start..bytes.len().min(start + of));
    starts.map(|start| Ok(piece(start))).collect()
}

fn streamed(pieces: Vec<io::Result<Bytes>>) -> ByteStream<io::Error> {
    stream::iter(pieces).boxed()
}

async fn load_stream(handle: &Handle, file: &PartitionFile) -> Result<Vec<u8>, CheckpointError> {
    let loaded = handle.load_stream(file).await?;
    let append = async |mut all: Vec<u8>, piece: Bytes| {
        all.extend(piece);
        Ok(all)
    };
    loaded.try_fold(Vec::new(), append).await
}

async fn assert_comes_back(handle: &Handle, file: &PartitionFile, bytes: &Bytes) {
    assert_eq!(file.size, bytes.len() as u64);
    assert!(
        handle.load(file).await.unwrap() == *bytes,
        "it came back otherwise"
    );
    assert!(
        load_stream(handle, file).await.unwrap() == *bytes,
        "it streamed otherwise"
    );
}

/// A stream is saved as the same bytes at once are.
pub fn m_a_stream_is_what_its_bytes_are(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let id = handle.begin().await.unwrap();
        let bytes = Bytes::from(Random::new(1).bytes(10_000));
        let at_once = handle.save(snapshot(id, "op", 0), bytes.clone()).await.unwrap();
        for of in [1, 999, 10_000] {
            let mut pieces = pieces(&bytes, of);
            // A piece of nothing is nothing.
            pieces.insert(0, Ok(Bytes::new()));
            pieces.push(Ok(Bytes::new()));
            let saved = handle
                .save_stream(snapshot(id, "op", 0), streamed(pieces))
                .await
                .unwrap();
            assert_eq!(saved, at_once);
            assert_comes_back(&handle, &saved, &bytes).await;
        }
    });
}

/// A file of no bytes is one.
pub fn m_an_empty_file_is_there(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let id = handle.begin().await.unwrap();
        let base = handle.save_snapshot(id, "op", 0, Bytes::new()).await.unwrap();
        let streamed = streamed(vec![]);
        let other = handle.save_stream(snapshot(id, "op", 1), streamed).await.unwrap();
        let manifest = Manifest::new(id, epoch(1), 0).operator("op", vec![base, other]);
        handle.save_manifest(&manifest).await.unwrap();
        handle.update_latest(id).await.unwrap();
        for file in manifest.files() {
            assert_comes_back(&handle, file, &Bytes::new()).await;
        }
    });
}

/// A file of several parts comes back, given at once or as a stream.
pub fn m_a_file_of_several_parts_comes_back(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        let bytes = Bytes::from(Random::new(2).bytes(SEVERAL_PARTS));
        let at_once = handle.save_snapshot(id, "op", 0, bytes.clone()).await.unwrap();
        // Pieces that end where no part does.
        let pieces = streamed(pieces(&bytes, 3_000_001));
        let streamed = handle.save_stream(snapshot(id, "op", 1), pieces).await.unwrap();
        assert_eq!(streamed.sha256, at_once.sha256);
        let manifest = Manifest::new(id, epoch(1), 0).operator("op", vec![at_once, streamed]);
        handle.save_manifest(&manifest).await.unwrap();
        let other = place.open().await;
        for file in manifest.files() {
            assert_comes_back(&other, file, &bytes).await;
        }
    });
}

/// A stream that ends with an error, early or late, leaves nothing, and its file can be saved after all.
pub fn m_a_stream_that_fails_leaves_nothing(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        let bytes = Bytes::from(Random::new(3).bytes(SEVERAL_PARTS));
        for sound in [0, 1, 5] {
            let mut pieces = pieces(&bytes, 4 << 20);
            pieces.truncate(sound);
            pieces.push(Err(io::Error::other("the partition cannot be read")));
            pieces.push(Ok("what comes after an error".into()));
            refused!(
                handle.save_stream(snapshot(id, "op", 0), streamed(pieces)).await,
                CheckpointError::Storage { source, .. }
                    if source.to_string().contains("the partition cannot be read")
            );
            assert_eq!(place.paths().await, [""; 0], "after {sound} pieces");
        }
        let saved = handle.save(snapshot(id, "op", 0), "whole".into()).await.unwrap();
        assert_comes_back(&handle, &saved, &"whole".into()).await;
        // What was there stays, as far as a failed stream goes.
        let fails = streamed(vec![Ok("half".into()), Err(io::Error::other("again"))]);
        refused!(
            handle.save_stream(snapshot(id, "op", 0), fails).await,
            CheckpointError::Storage { .. }
        );
        assert_comes_back(&handle, &saved, &"whole".into()).await;
    });
}
