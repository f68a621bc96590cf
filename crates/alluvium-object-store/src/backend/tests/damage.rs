//! What was damaged, deleted or put there by others is an error that names it, and never nothing.

use alluvium_core::ErrorKind;
use futures_util::TryStreamExt as _;
use object_store::ObjectStoreExt as _;

use super::*;

/// A state with a sealed epoch 1 and an open epoch 2, by `a`.
async fn state() -> Arc<InMemory> {
    let store = Arc::new(InMemory::new());
    let backend = open(&store, "a").await;
    backend.write_partials(e(1), v(0), partials("a")).await.unwrap();
    assert!(backend.epoch_complete(e(1), &vnodes()).await.unwrap());
    backend.write_partials(e(2), v(0), partials("a")).await.unwrap();
    store
}

/// The objects with this in their names.
async fn objects(store: &InMemory, with: &str) -> Vec<Path> {
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    let paths = all.into_iter().map(|object| object.location);
    let found: Vec<_> = paths.filter(|path| path.as_ref().contains(with)).collect();
    assert!(!found.is_empty(), "there is nothing with {with}");
    found
}

async fn object(store: &InMemory, with: &str) -> Path {
    objects(store, with).await.remove(0)
}

async fn read(store: &InMemory, path: &Path) -> Vec<u8> {
    store.get(path).await.unwrap().bytes().await.unwrap().into()
}

/// Checks that an error names an object.
fn names(error: &BackendError, object: &Path) {
    assert!(
        error.to_string().contains(object.as_ref()),
        "{error} is about {object}"
    );
}

const SEALED: &str = "epochs/00000000000000000001/partials";
const SEAL: &str = "epochs/00000000000000000001/seal";
const UNSEALED: &str = "epochs/00000000000000000002/partials";
const CONTROL: &str = "control.json";

#[tokio::test]
async fn an_object_that_a_seal_names_and_that_is_gone_is_missing() {
    let store = state().await;
    let path = object(&store, SEALED).await;
    // One that knows the seal, and one that does not.
    let before = open(&store, "b").await;
    assert!(owner(&before, e(1)).await.is_some());
    store.delete(&path).await.unwrap();
    for reader in [before, open(&store, "c").await] {
        let error = reader.read_partial(Vnode::new(0), e(1)).await.unwrap_err();
        assert!(matches!(error, BackendError::Missing { .. }), "{error:?}");
        names(&error, &path);
    }
}

#[tokio::test]
async fn an_adopted_seal_that_is_gone_is_missing() {
    let store = state().await;
    open(&store, "b").await.fence(v(1)).await.unwrap();
    let path = object(&store, SEAL).await;
    store.delete(&path).await.unwrap();
    let reader = open(&store, "c").await;
    let error = reader.read_partial(Vnode::new(0), e(1)).await.unwrap_err();
    assert!(matches!(error, BackendError::Missing { .. }), "{error:?}");
    names(&error, &path);
    assert_eq!(reader.latest_complete().await.unwrap(), Some(e(1)));
    let error = reader.epoch_complete(e(1), &vnodes()).await.unwrap_err();
    assert!(matches!(error, BackendError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn bytes_that_are_others_are_corrupt() {
    for with in [SEALED, UNSEALED] {
        let store = state().await;
        let path = object(&store, with).await;
        let mut bytes = read(&store, &path).await;
        *bytes.last_mut().unwrap() ^= 1;
        store.put(&path, bytes.clone().into()).await.unwrap();
        let epoch = if with == SEALED { e(1) } else { e(2) };
        let reader = open(&store, "b").await;
        let last = *vnodes().last().unwrap();
        let error = reader.read_partial(last, epoch).await.unwrap_err();
        assert!(matches!(error, BackendError::Corrupt { .. }), "{error:?}");
        names(&error, &path);
        assert!(reader.read_partial(Vnode::new(0), epoch).await.unwrap().is_some());
        // And with an end that is missing.
        bytes.truncate(bytes.len() - 3);
        store.put(&path, bytes.into()).await.unwrap();
        match reader.read_partial(last, epoch).await {
            Err(error @ BackendError::Corrupt { .. }) => names(&error, &path),
            // Before the seal, what is not there as a whole was never written.
            other => assert!(with == UNSEALED && matches!(other, Ok(None)), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_index_that_is_damaged_is_corrupt_and_seals_nothing() {
    let store = state().await;
    let path = object(&store, UNSEALED).await;
    let whole = read(&store, &path).await;
    for place in [0, 9, 20, 60] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        store.put(&path, bytes.into()).await.unwrap();
        let backend = open(&store, "b").await;
        let error = backend.read_partial(Vnode::new(0), e(2)).await.unwrap_err();
        names(&error, &path);
        let error = backend.epoch_complete(e(2), &vnodes()).await.unwrap_err();
        names(&error, &path);
        assert_eq!(backend.latest_complete().await.unwrap(), Some(e(1)));
    }
}

#[tokio::test]
async fn a_seal_that_is_damaged_or_of_something_else_is_corrupt() {
    let store = state().await;
    let path = object(&store, SEAL).await;
    let whole = read(&store, &path).await;
    let cut = whole[..whole.len() / 2].to_vec();
    let foreign = b"not ours at all".to_vec();
    for bytes in [Vec::new(), cut, foreign] {
        store.put(&path, bytes.into()).await.unwrap();
        let error = open(&store, "b")
            .await
            .read_partial(Vnode::new(0), e(1))
            .await
            .unwrap_err();
        assert!(matches!(error, BackendError::Corrupt { .. }), "{error:?}");
        names(&error, &path);
    }
    // That of another epoch.
    let other = Path::from(path.as_ref().replace("00001/", "00002/"));
    store.put(&other, whole.into()).await.unwrap();
    let error = open(&store, "b")
        .await
        .read_partial(Vnode::new(0), e(2))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Corrupt { .. }), "{error:?}");
    names(&error, &other);
}

#[tokio::test]
async fn a_control_object_that_is_damaged_gone_or_none_of_ours_is_told_at_open() {
    let store = state().await;
    let path = object(&store, CONTROL).await;
    let whole = read(&store, &path).await;
    let open = || try_open(Arc::clone(&store) as _, "b");
    for bytes in [
        Vec::new(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        whole[..whole.len() - 9].to_vec(),
    ] {
        store.put(&path, bytes.into()).await.unwrap();
        let error = open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        names(&error, &path);
    }
    let newer = String::from_utf8(whole.clone())
        .unwrap()
        .replacen("\"format\": 1", "\"format\": 2", 1);
    store.put(&path, newer.into()).await.unwrap();
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(error.to_string().contains("newer Alluvium"), "{error}");
    store.delete(&path).await.unwrap();
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    names(&error, &path);
    store.put(&path, whole.into()).await.unwrap();
    assert!(owner(&open().await.unwrap(), e(1)).await.is_some());
}

#[tokio::test]
async fn a_control_object_that_vanishes_is_not_made_anew() {
    let store = state().await;
    let backend = open(&store, "a").await;
    let path = object(&store, CONTROL).await;
    store.delete(&path).await.unwrap();
    for error in [
        backend.epoch_complete(e(2), &vnodes()).await.unwrap_err(),
        backend.fence(v(1)).await.unwrap_err(),
        backend.prune_before(e(2)).await.unwrap_err(),
        backend.read_partial(Vnode::new(0), e(2)).await.unwrap_err(),
        backend.latest_complete().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        names(&error, &path);
    }
}

#[tokio::test]
async fn what_others_have_put_there_is_neither_read_nor_removed() {
    let store = state().await;
    let sealed = object(&store, SEALED).await;
    let beside = |name: &str| Path::from(format!("{}/{name}", sealed.as_ref().rsplit_once('/').unwrap().0));
    let foreign = [
        beside("notes.txt"),
        beside("seal-0"),
        beside("partials-1-2-3-x"),
        Path::from("state/epochs/latest"),
        Path::from("state/readme"),
        Path::from("statement"),
    ];
    for path in &foreign {
        store.put(path, "not ours".into()).await.unwrap();
    }
    let backend = open(&store, "b").await;
    assert!(owner(&backend, e(1)).await.is_some());
    assert_eq!(backend.latest_complete().await.unwrap(), Some(e(1)));
    assert_eq!(backend.prune_before(e(3)).await.unwrap(), 2);
    for path in &foreign {
        assert_eq!(read(&store, path).await, b"not ours", "{path}");
    }
    let left: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(
        left.len(),
        foreign.len() + 1,
        "the control object, and what is not ours"
    );
}

#[tokio::test]
async fn the_garbage_of_zombies_is_pruned_with_their_epochs() {
    let store = state().await;
    let seal = object(&store, SEAL).await;
    let void = Path::from(
        seal.as_ref()
            .replace("seal-00000000000000000000", "seal-00000000000000000007"),
    );
    store.put(&void, "void".into()).await.unwrap();
    let backend = open(&store, "b").await;
    assert!(
        owner(&backend, e(1)).await.is_some(),
        "a void seal is not looked at"
    );
    assert_eq!(backend.prune_before(e(2)).await.unwrap(), 1);
    let left: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_spoken_to_is_told_at_open() {
    use alluvium_conformance::{Fault, FaultyStore};

    for fault in [Fault::TimeOut, Fault::CrashBefore] {
        for call in 1..=2 {
            let store = FaultyStore::failing(Arc::new(InMemory::new()), call, fault);
            let error = try_open(Arc::new(store), "a").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient, "{fault:?}: {error:?}");
        }
    }
}
