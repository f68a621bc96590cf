//! Whatever answer gets lost, a swap says truthfully what came of it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, Result};

use super::*;
use crate::testing::{Script, Staged};

fn pointer(store: Arc<dyn ObjectStore>) -> Pointer {
    let store = Store::new(store, Duration::from_secs(1));
    Pointer::new(store, Path::from("pointer"), 100)
}

async fn content(store: &InMemory) -> Bytes {
    let found = store.get(&Path::from("pointer")).await.unwrap();
    found.bytes().await.unwrap()
}

fn done(swap: Swap) -> UpdateVersion {
    match swap {
        Swap::Done(version) => version,
        Swap::Lost(there) => panic!("lost to {there:?}"),
    }
}

#[tokio::test]
async fn of_two_swaps_over_the_same_version_one_is_done() {
    let store = Arc::new(InMemory::new());
    let pointer = pointer(Arc::clone(&store) as _);
    assert!(pointer.read().await.unwrap().is_none());
    let first = done(pointer.swap(None, "first".into()).await.unwrap());
    let Swap::Lost(Some(there)) = pointer.swap(None, "other".into()).await.unwrap() else {
        panic!("it was there already");
    };
    assert_eq!(there.bytes, "first");
    let second = done(pointer.swap(Some(&first), "second".into()).await.unwrap());
    let Swap::Lost(Some(there)) = pointer.swap(Some(&first), "late".into()).await.unwrap() else {
        panic!("it was replaced already");
    };
    assert_eq!((there.bytes, &there.version), ("second".into(), &second));
    store.delete(&Path::from("pointer")).await.unwrap();
    let swap = pointer.swap(Some(&there.version), "late".into()).await.unwrap();
    assert!(matches!(swap, Swap::Lost(None)), "{swap:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fails_or_is_lost_is_settled_by_looking() {
    for fault in [Fault::Fail, Fault::LoseTheAnswer, Fault::TimeOut] {
        for call in 1..=3 {
            let store = Arc::new(InMemory::new());
            let faulty = FaultyStore::failing(Arc::clone(&store) as _, call, fault);
            let pointer = pointer(Arc::new(faulty));
            let mut version = None;
            for text in ["first", "second", "third"] {
                let swap = pointer.swap(version.as_ref(), text.into()).await.unwrap();
                version = Some(done(swap));
                assert_eq!(content(&store).await, text, "{fault:?} at call {call}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_is_an_error() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let store = Arc::new(InMemory::new());
        let faulty = FaultyStore::failing(Arc::clone(&store) as _, 1, fault);
        pointer(Arc::new(faulty))
            .swap(None, "first".into())
            .await
            .unwrap_err();
    }
}

#[tokio::test]
async fn an_object_of_another_size_is_not_read() {
    let store = Arc::new(InMemory::new());
    store
        .put(&Path::from("pointer"), vec![0; 101].into())
        .await
        .unwrap();
    let error = pointer(store).read().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

/// Refuses some puts though their conditions hold.
struct Refusing {
    /// Refuses those of which the request is one of these.
    puts: Mutex<Vec<&'static str>>,
    error: fn(String) -> Error,
}

#[async_trait]
impl Script for Refusing {
    async fn before(&self, request: &str) -> Result<()> {
        let mut puts = self.puts.lock().unwrap();
        if puts.first().is_some_and(|next| request.starts_with(next)) {
            puts.remove(0);
            return Err((self.error)(request.to_owned()));
        }
        Ok(())
    }
}

/// S3 answers a conflict to one of several conditional puts at once, whoever wins.
#[tokio::test(start_paused = true)]
async fn a_conflict_where_nothing_has_changed_is_tried_again() {
    let store = Arc::new(InMemory::new());
    let refusing = Arc::new(Refusing {
        puts: Mutex::new(vec!["CREATE", "CREATE"]),
        error: |path| Error::AlreadyExists {
            path,
            source: "ConditionalRequestConflict".into(),
        },
    });
    let pointer = pointer(Staged::over(&store, &refusing));
    done(pointer.swap(None, "first".into()).await.unwrap());
    assert_eq!(content(&store).await, "first");
}

/// Compares etags without their quotes, as Ceph does before version 17.
#[derive(Debug)]
struct BareEtags(InMemory);

impl std::fmt::Display for BareEtags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BareEtags")
    }
}

#[async_trait]
impl ObjectStore for BareEtags {
    async fn put_opts(
        &self,
        location: &Path,
        payload: object_store::PutPayload,
        mut options: object_store::PutOptions,
    ) -> Result<object_store::PutResult> {
        if let PutMode::Update(version) = &mut options.mode {
            let etag = version.e_tag.as_ref().unwrap();
            // In quotes it never matches.
            version.e_tag = Some(format!("\"{etag}\""));
        }
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: object_store::PutMultipartOptions,
    ) -> Result<Box<dyn object_store::MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: object_store::GetOptions,
    ) -> Result<object_store::GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: futures_util::stream::BoxStream<'static, Result<Path>>,
    ) -> futures_util::stream::BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> futures_util::stream::BoxStream<'static, Result<object_store::ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<object_store::ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: object_store::CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_wants_etags_without_quotes_gets_them() {
    let sound = InMemory::new();
    let faulty = FaultyStore::sound(Arc::new(BareEtags(sound.clone())));
    let pointer = pointer(Arc::new(faulty.clone()));
    let first = done(pointer.swap(None, "first".into()).await.unwrap());
    let second = done(pointer.swap(Some(&first), "second".into()).await.unwrap());
    assert_eq!(content(&sound).await, "second");
    let before = faulty.calls();
    done(pointer.swap(Some(&second), "third".into()).await.unwrap());
    assert_eq!(faulty.calls() - before, 1, "it is remembered");
    let swap = pointer.swap(Some(&first), "late".into()).await.unwrap();
    assert!(matches!(swap, Swap::Lost(Some(_))), "{swap:?}");
}
