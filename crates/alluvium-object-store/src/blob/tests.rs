//! Contents come back as they were, whatever their size, and nothing is left of what failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use futures_util::{TryStreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::digest::{self, Hasher};
use crate::testing::{Log, Staged};

const PART: u64 = 1_000;

fn blobs(store: Arc<dyn object_store::ObjectStore>) -> Blobs {
    let options = BlobOptions {
        part_bytes: PART,
        parts_in_flight: 3,
    };
    Blobs::new(Store::new(store, Duration::from_secs(30)), options)
}

fn content(length: usize) -> Bytes {
    (0..=250).cycle().take(length).collect()
}

/// Pieces of odd lengths.
fn pieces(content: &Bytes, length: usize) -> Vec<Result<Bytes, io::Error>> {
    content
        .chunks(length)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect()
}

async fn write(
    blobs: &Blobs,
    path: &Path,
    pieces: Vec<Result<Bytes, io::Error>>,
) -> Result<Written, UploadError<io::Error>> {
    let mut parts = blobs.parts(stream::iter(pieces));
    let first = parts.next().await.map_err(UploadError::Source)?;
    blobs.upload::<Hasher, _, _>(path, first, parts).await
}

async fn read(blobs: &Blobs, path: &Path, size: u64) -> Result<Option<Bytes>, crate::store::StoreError> {
    let pieces: Vec<Option<Bytes>> = blobs.read(path.clone(), size).try_collect().await?;
    let pieces: Option<Vec<Bytes>> = pieces.into_iter().collect();
    Ok(pieces.map(|pieces| pieces.concat().into()))
}

#[tokio::test]
async fn a_content_of_any_size_comes_back() {
    let blobs = blobs(Arc::new(InMemory::new()));
    let path = Path::from("blob");
    for length in [1, 999, 1_000, 1_001, 2_000, 10_500] {
        for piece in [1, 333, 1_000, 4_096] {
            let content = content(length);
            let written = write(&blobs, &path, pieces(&content, piece)).await.unwrap();
            assert_eq!(written.size, length as u64);
            assert_eq!(written.mark, digest::of(&content));
            assert_eq!(read(&blobs, &path, written.size).await.unwrap(), Some(content));
        }
    }
}

#[tokio::test]
async fn parts_are_of_one_length_and_no_byte_is_copied() {
    let blobs = blobs(Arc::new(InMemory::new()));
    let content = content(2_500);
    let mut parts = blobs.parts(stream::iter([Ok::<_, io::Error>(content.clone())]));
    let mut lengths = Vec::new();
    loop {
        let part = parts.next().await.unwrap();
        lengths.push(part.length);
        assert_eq!(
            part.pieces[0].as_ptr(),
            content[1_000 * (lengths.len() - 1)..].as_ptr()
        );
        if parts.is_last(&part) {
            break;
        }
    }
    assert_eq!(lengths, [1_000, 1_000, 500]);
}

#[tokio::test]
async fn what_is_not_there_or_of_another_size_is_told() {
    let blobs = blobs(Arc::new(InMemory::new()));
    let path = Path::from("blob");
    for size in [0, 1, 1_500] {
        assert_eq!(read(&blobs, &path, size).await.unwrap(), None);
    }
    write(&blobs, &path, pieces(&content(1_500), 100)).await.unwrap();
    for size in [0, 1, 999, 1_499, 1_501, 2_500] {
        let error = read(&blobs, &path, size).await.unwrap_err();
        assert_eq!(error.kind(), alluvium_core::ErrorKind::Corrupt, "{size}: {error}");
    }
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing() {
    let store = Arc::new(InMemory::new());
    let blobs = blobs(store.clone());
    let path = Path::from("blob");
    let mut pieces = pieces(&content(2_500), 100);
    pieces.push(Err(io::Error::other("the disk is gone")));
    let error = write(&blobs, &path, pieces).await.unwrap_err();
    assert!(matches!(error, UploadError::Source(_)), "{error:?}");
    assert_eq!(blobs.store().size(&path).await.unwrap(), None);
}

/// Each call of an upload of three parts, in each way that it can fail.
#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_anywhere_is_told_and_one_whose_answer_is_lost_is_settled() {
    let content = content(2_500);
    let path = Path::from("blob");
    let sound = FaultyStore::sound(Arc::new(InMemory::new()));
    let written = write(&blobs(Arc::new(sound.clone())), &path, pieces(&content, 700))
        .await
        .unwrap();
    // Begin, three parts, end.
    assert_eq!(sound.calls(), 5);
    let mut settled = 0;
    for call in 1..=sound.calls() {
        for fault in Fault::ALL {
            let inner = Arc::new(InMemory::new());
            let store = FaultyStore::failing(inner.clone(), call, fault);
            let told = write(&blobs(Arc::new(store)), &path, pieces(&content, 700)).await;
            match told {
                Ok(told) => {
                    settled += 1;
                    assert_eq!(told, written, "{call} {fault:?}");
                    let there = read(&blobs(inner), &path, written.size).await.unwrap();
                    assert_eq!(there.as_ref(), Some(&content), "{call} {fault:?}");
                }
                Err(error) => assert!(
                    matches!(error, UploadError::Store(_)),
                    "{call} {fault:?}: {error:?}"
                ),
            }
        }
    }
    // A beginning is tried again, an end whose answer was lost is found to be done.
    assert!(settled >= 3, "{settled}");
}

#[tokio::test]
async fn one_part_is_one_request_and_more_are_few() {
    let log = Arc::new(Log::default());
    let store = Staged::over(&Arc::new(InMemory::new()), &log);
    let blobs = blobs(store);
    let path = Path::from("blob");
    let content = content(2_500);
    let written = write(&blobs, &path, pieces(&content, 100)).await.unwrap();
    log.take();
    read(&blobs, &path, written.size).await.unwrap();
    assert_eq!(log.take(), ["GET blob"; 3]);
}
