//! Requests end, are repeated where they may be, and say what is wrong.

use std::error::Error as _;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::ErrorKind;
use object_store::memory::InMemory;
use object_store::{Error, ObjectStoreExt as _};

use super::*;

const LIMIT: Duration = Duration::from_secs(1);

fn key() -> Path {
    Path::from("a/key")
}

/// Every request that reads, removes, or puts what never changes.
async fn every_request(store: &Store) -> Vec<StoreError> {
    let removed = store.remove(vec![key()]).await;
    let outcomes = [
        store.put(&key(), "content".into()).await.err(),
        store.get(&key(), 100).await.err(),
        store.get_range(&key(), 1..3).await.err(),
        store.size(&key()).await.err(),
        store.list(&Path::from("a")).await.err(),
        removed.failure,
    ];
    outcomes.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_once_is_repeated() {
    for fault in [Fault::Fail, Fault::LoseTheAnswer] {
        for call in 1..=6 {
            let faulty = FaultyStore::failing(Arc::new(InMemory::new()), call, fault);
            let store = Store::new(Arc::new(faulty), LIMIT);
            let errors = every_request(&store).await;
            assert!(errors.is_empty(), "{fault:?} at call {call}: {errors:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_good_is_given_up() {
    let faulty = FaultyStore::failing(Arc::new(InMemory::new()), 1, Fault::CrashBefore);
    let store = Store::new(Arc::new(faulty.clone()), LIMIT);
    let errors = every_request(&store).await;
    assert_eq!(errors.len(), 6, "{errors:?}");
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Transient));
    // Of a range that was refused, the size is asked for.
    assert_eq!(faulty.calls(), 6 * 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_answered_ends_and_is_not_repeated() {
    let faulty = FaultyStore::failing(Arc::new(InMemory::new()), 1, Fault::TimeOut);
    let store = Store::new(Arc::new(faulty.clone()), LIMIT);
    let begin = tokio::time::Instant::now();
    let error = store.get(&key(), 32 << 20).await.unwrap_err();
    assert_eq!(begin.elapsed(), LIMIT);
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(faulty.calls(), 1);
    let told = error.source().unwrap().to_string();
    assert!(told.contains("no answer within 1 s"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn many_bytes_have_more_time() {
    let store = Store::new(Arc::new(InMemory::new()), LIMIT);
    assert_eq!(store.time_for(0), LIMIT);
    assert_eq!(store.time_for(64 << 20), LIMIT + Duration::from_secs(64));
    assert!(store.time_for(u64::MAX) > LIMIT, "whatever is said");
}

#[tokio::test]
async fn what_is_not_there_is_none_and_what_ends_too_soon_is_damaged() {
    let memory = Arc::new(InMemory::new());
    let store = Store::new(Arc::clone(&memory) as _, LIMIT);
    assert!(store.get(&key(), 100).await.unwrap().is_none());
    assert!(store.get_range(&key(), 0..1).await.unwrap().is_none());
    assert!(store.get_range(&key(), 5..5).await.unwrap().is_none());
    assert_eq!(store.size(&key()).await.unwrap(), None);
    memory.put(&key(), "content".into()).await.unwrap();
    let range = store.get_range(&key(), 1..3).await.unwrap();
    assert_eq!(range.unwrap(), "on");
    assert_eq!(store.get_range(&key(), 5..5).await.unwrap().unwrap(), "");
    for (begin, end) in [(5, 8), (7, 8), (70, 80)] {
        let error = store.get_range(&key(), begin..end).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{begin}..{end}: {error:?}"
        );
    }
    let error = store.get(&key(), 6).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_removed_twice_is_gone() {
    let store = Store::new(Arc::new(InMemory::new()), LIMIT);
    store.put(&key(), "content".into()).await.unwrap();
    for _ in 0..2 {
        let removed = store.remove(vec![key()]).await;
        assert!(removed.failure.is_none());
        assert_eq!(removed.gone, HashSet::from([key()]));
    }
}

/// What the store said, in an error of its own as a listing has it: with the status in a source.
#[derive(Debug, thiserror::Error)]
#[error("Error performing list request")]
struct Listing(#[source] Answer);

#[derive(Debug, thiserror::Error)]
#[error("Server returned non-2xx status code: {0} Something: body")]
struct Answer(u16);

#[test]
fn errors_ask_for_what_helps() {
    let path = || "a/key".to_owned();
    let status = |status| Error::Generic {
        store: "S3",
        source: Listing(Answer(status)).into(),
    };
    let io = |kind| Error::Generic {
        store: "LocalStore",
        source: std::io::Error::from(kind).into(),
    };
    for (error, kind, says) in [
        (status(404), ErrorKind::NotFound, "make the bucket first"),
        (status(403), ErrorKind::Unavailable, "credentials"),
        (status(400), ErrorKind::Invalid, ""),
        (status(429), ErrorKind::Transient, ""),
        (status(503), ErrorKind::Transient, ""),
        (status(501), ErrorKind::Invalid, "conditional puts"),
        (io(std::io::ErrorKind::StorageFull), ErrorKind::Unavailable, ""),
        (io(std::io::ErrorKind::ConnectionReset), ErrorKind::Transient, ""),
        (
            Error::Unauthenticated {
                path: path(),
                source: "no".into(),
            },
            ErrorKind::Unavailable,
            "credentials",
        ),
        (
            Error::NotImplemented {
                operation: "put".into(),
                implementer: "this".into(),
            },
            ErrorKind::Invalid,
            "conditional puts",
        ),
    ] {
        let text = error.to_string();
        let Failure::Refused { kind: found, source } = Failure::of(error) else {
            panic!("{text}")
        };
        assert_eq!(found, kind, "{text}");
        assert!(source.to_string().contains(says), "{text}: {source}");
    }
}

/// What a service says of one object.
fn not_found(answer: &str) -> Error {
    Error::NotFound {
        path: key().to_string(),
        source: format!("Server returned non-2xx status code: 404 Not Found: {answer}").into(),
    }
}

#[test]
fn where_there_is_no_bucket_no_object_is_said_to_be_absent() {
    for code in ["NoSuchBucket", "ContainerNotFound"] {
        let failure = Failure::of(not_found(&format!("<Error><Code>{code}</Code></Error>")));
        assert!(!failure.is_not_found() && !failure.is_condition(), "{code}");
        assert!(failure.to_string().contains("make the bucket first"), "{failure}");
    }
    for code in ["NoSuchKey", "BlobNotFound"] {
        let failure = Failure::of(not_found(&format!("<Error><Code>{code}</Code></Error>")));
        assert_eq!(failure.not_found_path(), Some(key().as_ref()), "{code}");
    }
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn a_store_that_is_not_there_and_one_that_hangs_are_told_apart() {
    let open = |port: u16| {
        let options = [
            ("endpoint", &*format!("http://127.0.0.1:{port}")),
            ("access_key_id", "me"),
            ("secret_access_key", "mine"),
            ("disable_system_certificates", "true"),
            ("allow_http", "true"),
            ("timeout", "200ms"),
            ("max_retries", "0"),
        ]
        .into_iter()
        .collect::<crate::StoreOptions>()
        .environment(false);
        let (store, _) = crate::open_store("s3://bucket", &options).unwrap();
        Store::new(store, Duration::from_mins(1))
    };
    // It takes connections and says nothing; then its port is nobody's.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = open(hanging.local_addr().unwrap().port());
    let error = store.get(&key(), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    let said = error.source().unwrap().to_string();
    assert!(said.contains("gave up waiting"), "{said}");
    drop(hanging);
    let error = store.get(&key(), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    let said = error.source().unwrap().to_string();
    assert!(said.contains("cannot be reached: check its address"), "{said}");
}
