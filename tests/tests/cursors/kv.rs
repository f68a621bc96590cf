//! The conformance suite on a bucket, and what only a bucket can do.

use std::path::Path;
use std::sync::Arc;

use alluvium::{CursorStore, CursorStoreError, ErrorKind, KvCursorStore, cursor_store::cursor_key};
use alluvium_conformance::CursorStoreHarness;
use async_nats::jetstream;
use async_trait::async_trait;
use bytes::Bytes;

use crate::support::{at, connect, cursors};

/// A bucket for each place.
#[derive(Default)]
struct InBucket;

fn bucket(dir: &Path) -> String {
    let name = dir
        .parent()
        .and_then(Path::file_name)
        .expect("a place of its own");
    let name = name.to_string_lossy();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[async_trait]
impl CursorStoreHarness for InBucket {
    async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
        let builder = KvCursorStore::builder(connect().await, bucket(dir));
        Ok(Arc::new(builder.create(1).open().await?))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let context = jetstream::new(connect().await);
        let store = context.get_key_value(bucket(dir)).await.unwrap();
        let key = format!("cursor.{}", cursor_key(name, '=').unwrap());
        store.put(key, bytes).await.unwrap();
    }
}

alluvium_conformance::cursor_store_suite!(InBucket, in_process);

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told() {
    let error = KvCursorStore::open(connect().await, "nowhere").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    for wrong in ["", "a.b", "a b", "*"] {
        let error = KvCursorStore::open(connect().await, wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
}

/// Whoever deletes the key, by whatever client, removes the cursor.
#[tokio::test]
async fn what_an_operator_deletes_is_removed() {
    let cursors = cursors("deleted").await;
    let context = jetstream::new(connect().await);
    let bucket = context.get_key_value("deleted").await.unwrap();
    for (sequence, purge) in [(1, false), (2, true)] {
        let held = cursors.hold("mailer").await.unwrap();
        held.save(&at(sequence)).await.unwrap();
        if purge {
            bucket.purge("cursor.mailer").await.unwrap();
        } else {
            bucket.delete("cursor.mailer").await.unwrap();
        }
        assert_eq!(cursors.load("mailer").await.unwrap(), None);
        assert!(matches!(
            held.save(&at(9)).await,
            Err(CursorStoreError::Fenced { .. })
        ));
        assert!(cursors.list().await.unwrap().is_empty());
    }
}

/// A bucket that is deleted and made again has none of the cursors, and nobody who held one.
#[tokio::test]
async fn a_bucket_made_again_fences_everybody() {
    let cursors_before = cursors("again").await;
    let held = cursors_before.hold("mailer").await.unwrap();
    held.save(&at(1)).await.unwrap();
    let context = jetstream::new(connect().await);
    context.delete_key_value("again").await.unwrap();
    let kind = held.save(&at(2)).await.unwrap_err().kind();
    assert_ne!(kind, ErrorKind::Corrupt);
    let _again = cursors("again").await;
    assert!(matches!(
        held.save(&at(2)).await,
        Err(CursorStoreError::Fenced { .. })
    ));
    assert_eq!(cursors_before.load("mailer").await.unwrap(), None);
}

/// A name that is held and was never saved is no record, and other keys of the bucket are none either.
#[tokio::test]
async fn only_records_are_listed() {
    let cursors = cursors("listed").await;
    let context = jetstream::new(connect().await);
    let bucket = context.get_key_value("listed").await.unwrap();
    for foreign in ["lease.mailer", "cursor", "cursor.A", "cursor.a.b", "x"] {
        bucket.put(foreign, "something".into()).await.unwrap();
    }
    let _held = cursors.hold("never saved").await.unwrap();
    cursors.hold("ä").await.unwrap().save(&at(1)).await.unwrap();
    cursors.hold("b").await.unwrap().save(&at(1)).await.unwrap();
    assert_eq!(cursors.list().await.unwrap(), ["b", "ä"]);
}
