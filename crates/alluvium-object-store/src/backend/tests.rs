//! The backend on a store in memory. What every backend promises, the conformance kit tests; here is what is this
//! one's own: what it costs, and what holds whatever comes in between.

mod cost;
mod damage;
mod interleavings;
mod prune;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AssignmentVersion, BackendError, Epoch, InstanceId, StateBackend, Vnode, VnodeCount};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::{ObjectStoreBackend, ObjectStoreOptions};

fn e(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

const fn v(number: u64) -> AssignmentVersion {
    AssignmentVersion::new(number)
}

/// The vnodes of these tests.
fn vnodes() -> Vec<Vnode> {
    VnodeCount::new(2).unwrap().vnodes().collect()
}

/// What somebody writes: a partial for each vnode.
fn partials(by: &str) -> Vec<(Vnode, Bytes)> {
    let partial = |vnode: Vnode| (vnode, format!("{vnode} by {by}").into());
    vnodes().into_iter().map(partial).collect()
}

async fn try_open(store: Arc<dyn ObjectStore>, instance: &str) -> Result<ObjectStoreBackend, BackendError> {
    let options = ObjectStoreOptions::default()
        .instance(InstanceId::new(instance)?)
        .vnodes(VnodeCount::new(2)?)
        .request_timeout(Duration::from_secs(1));
    ObjectStoreBackend::open(store, Path::from("state"), options).await
}

async fn open(store: &Arc<InMemory>, instance: &str) -> ObjectStoreBackend {
    try_open(Arc::clone(store) as _, instance).await.unwrap()
}

/// Whose partials an epoch has; none if it has none.
async fn owner(backend: &ObjectStoreBackend, epoch: Epoch) -> Option<String> {
    let mut owners = Vec::new();
    for vnode in vnodes() {
        let read = backend.read_partial(vnode, epoch).await.unwrap();
        owners.push(read.map(|bytes| String::from_utf8(bytes.into()).unwrap()));
    }
    let owners: Vec<_> = owners
        .iter()
        .map(|text| {
            text.as_ref()
                .map(|text| text.split_once(" by ").unwrap().1.to_owned())
        })
        .collect();
    assert!(owners.windows(2).all(|pair| pair[0] == pair[1]), "{owners:?}");
    owners.into_iter().next().unwrap()
}

#[tokio::test]
async fn handles_without_a_name_are_never_the_same_instance() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let open =
        || ObjectStoreBackend::open(Arc::clone(&store), Path::default(), ObjectStoreOptions::default());
    let (one, other) = (open().await.unwrap(), open().await.unwrap());
    assert_ne!(one.instance(), other.instance());
}

#[tokio::test]
async fn nothing_is_stored_before_the_first_write() {
    use futures_util::TryStreamExt as _;

    let store = Arc::new(InMemory::new());
    let backend = open(&store, "reader").await;
    assert_eq!(owner(&backend, e(1)).await, None);
    assert_eq!(backend.latest_complete().await.unwrap(), None);
    assert!(!backend.epoch_complete(e(1), &vnodes()).await.unwrap());
    let there: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(there.is_empty(), "{there:?}");
}

#[tokio::test]
async fn a_write_goes_on_where_others_are_at_the_same_time() {
    let store = Arc::new(InMemory::new());
    let backend = Arc::new(open(&store, "a").await);
    let writes = partials("a").into_iter().map(|(vnode, bytes)| {
        let backend = Arc::clone(&backend);
        tokio::spawn(async move { backend.write_partial(vnode, e(1), v(0), bytes).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    assert!(backend.epoch_complete(e(1), &vnodes()).await.unwrap());
    assert_eq!(owner(&open(&store, "b").await, e(1)).await.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_restart_writes_after_what_it_finds() {
    let store = Arc::new(InMemory::new());
    for round in ["first", "second", "third"] {
        let backend = open(&store, "a").await;
        for text in [format!("{round} once"), format!("{round} twice")] {
            backend.write_partials(e(1), v(0), partials(&text)).await.unwrap();
            let other = open(&store, "b").await;
            assert_eq!(owner(&other, e(1)).await, Some(text));
        }
    }
}

#[tokio::test]
async fn a_closed_handle_does_nothing_and_closes_again() {
    let backend = open(&Arc::new(InMemory::new()), "a").await;
    backend.close().await.unwrap();
    backend.close().await.unwrap();
    let refused = [
        backend.write_partials(e(1), v(0), partials("a")).await.err(),
        backend.read_partial(Vnode::new(0), e(1)).await.err(),
        backend.epoch_complete(e(1), &vnodes()).await.err(),
        backend.prune_before(e(1)).await.err(),
        backend.fence(v(1)).await.err(),
        backend.latest_complete().await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(BackendError::Invalid(_))), "{error:?}");
    }
}
