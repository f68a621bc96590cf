//! What was written comes back: whole, in ranges, in parts, under any key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload};

use super::{key, payload, rounds};
use crate::store::StoreServer;

/// Who reads while somebody writes sees one content or the next one.
///
/// # Panics
///
/// If it is not so.
pub async fn a_content_is_never_seen_half(server: &dyn StoreServer) {
    const LENGTH: usize = 1 << 20;
    let store = server.store();
    let key = key("half", "overwritten");
    let content = |byte: u8| PutPayload::from(vec![byte; LENGTH]);
    store.put(&key, content(0)).await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, key, ended) = (server.store(), key.clone(), Arc::clone(&ended));
        async move {
            for round in 1..=rounds() {
                store.put(&key, content(round.to_le_bytes()[0])).await.unwrap();
            }
            ended.store(true, Ordering::Release);
        }
    });
    while !ended.load(Ordering::Acquire) && !writer.is_finished() {
        let bytes = store.get(&key).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len(), LENGTH);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "two contents in one");
    }
    writer.await.unwrap();
}

/// A part of an object is read without the rest of it.
///
/// # Panics
///
/// If it is not so.
pub async fn ranges_are_what_was_asked_for(server: &dyn StoreServer) {
    let store = server.store();
    let key = key("ranges", "object");
    let content: Bytes = (0..=255u8).cycle().take(100_000).collect();
    store.put(&key, content.clone().into()).await.unwrap();
    for range in [0..1, 0..100_000, 4_096..70_001, 99_999..100_000] {
        let place = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(store.get_range(&key, range).await.unwrap(), content.slice(place));
    }
    let options = GetOptions {
        range: Some(GetRange::Offset(99_000)),
        ..GetOptions::default()
    };
    let got = store.get_opts(&key, options).await.unwrap();
    assert_eq!((got.range.clone(), got.meta.size), (99_000..100_000, 100_000));
    assert_eq!(got.bytes().await.unwrap(), content.slice(99_000..));
    let ranges = store.get_ranges(&key, &[10..20, 90_000..90_010]).await.unwrap();
    assert_eq!(ranges, [content.slice(10..20), content.slice(90_000..90_010)]);
    let beyond = store.get_range(&key, 100_000..100_001).await;
    assert!(beyond.is_err(), "{beyond:?}");
}

/// What is uploaded in parts is one object, and is not there before it is complete, or if it never is.
///
/// # Panics
///
/// If it is not so.
pub async fn parts_become_one_object(server: &dyn StoreServer) {
    const PART: usize = 5 << 20;
    let store = server.store();
    let parted = key("parts", "complete");
    let parts: Vec<Bytes> = [(1, PART), (2, PART), (3, 1_000)]
        .map(|(byte, length)| vec![byte; length].into())
        .to_vec();
    let mut upload = store.put_multipart(&parted).await.unwrap();
    let sent: Vec<_> = parts
        .iter()
        .map(|part| upload.put_part(part.clone().into()))
        .collect();
    for part in sent {
        part.await.unwrap();
    }
    assert!(matches!(store.head(&parted).await, Err(Error::NotFound { .. })));
    upload.complete().await.unwrap();
    let whole = store.get(&parted).await.unwrap().bytes().await.unwrap();
    assert!(
        whole == parts.concat(),
        "the parts came together as something else"
    );

    let left = key("parts", "aborted");
    let mut upload = store.put_multipart(&left).await.unwrap();
    upload.put_part(parts[0].clone().into()).await.unwrap();
    upload.abort().await.unwrap();
    assert!(matches!(store.head(&left).await, Err(Error::NotFound { .. })));
}

/// Keys hold what they like, one may go on where another ends, and a content may be empty.
///
/// # Panics
///
/// If it is not so.
pub async fn keys_are_what_they_are(server: &dyn StoreServer) {
    let store = server.store();
    let keys = [
        "a",
        "a/b",
        "a b+c",
        "ä/日本",
        "100%",
        "a=b&c",
        "~dots..",
        "CAPITALS",
        "capitals",
    ];
    for name in keys {
        let key = Path::from(format!("keys/{name}"));
        store.put(&key, payload(name)).await.unwrap();
    }
    for name in keys {
        let key = Path::from(format!("keys/{name}"));
        let content = store.get(&key).await.unwrap().bytes().await.unwrap();
        assert_eq!(content, name.as_bytes(), "{key}");
    }
    let empty = key("keys", "empty");
    store.put(&empty, PutPayload::new()).await.unwrap();
    assert_eq!(store.head(&empty).await.unwrap().size, 0);
    assert!(store.get(&empty).await.unwrap().bytes().await.unwrap().is_empty());
}
