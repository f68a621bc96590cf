//! What an epoch costs: every request, counted.

use super::*;
use crate::testing::{Log, Staged};

/// The kinds of requests, in their order.
fn kinds(log: &Log) -> Vec<String> {
    let kind = |request: &String| request.split(' ').next().unwrap().to_owned();
    log.take().iter().map(kind).collect()
}

#[tokio::test]
async fn one_node_writes_and_seals_an_epoch_with_four_requests() {
    let (store, log) = (Arc::new(InMemory::new()), Arc::new(Log::default()));
    let backend = try_open(Staged::over(&store, &log), "a").await.unwrap();
    assert_eq!(kinds(&log), ["GET", "LIST"], "to open it");
    backend.write_partials(e(1), v(1), partials("a")).await.unwrap();
    assert_eq!(kinds(&log), ["GET", "CREATE", "PUT"], "the first of all writes");
    for epoch in 2..5 {
        backend
            .write_partials(e(epoch), v(1), partials("a"))
            .await
            .unwrap();
        assert_eq!(kinds(&log), ["PUT"]);
        assert!(backend.epoch_complete(e(epoch), &vnodes()).await.unwrap());
        assert_eq!(kinds(&log), ["LIST", "CREATE", "GET"]);
    }
}

#[tokio::test]
async fn a_seal_reads_one_index_of_each_other_node_however_often_it_has_written() {
    let (store, log) = (Arc::new(InMemory::new()), Arc::new(Log::default()));
    let sealer = try_open(Staged::over(&store, &log), "sealer").await.unwrap();
    let [first, second] = <[_; 2]>::try_from(partials("x")).unwrap();
    sealer
        .write_partials(e(1), v(0), vec![first.clone()])
        .await
        .unwrap();
    for node in ["a", "b", "c"] {
        let node = open(&store, node).await;
        for partial in [first.clone(), second.clone(), first.clone()] {
            node.write_partials(e(1), v(0), vec![partial]).await.unwrap();
        }
    }
    log.take();
    assert!(sealer.epoch_complete(e(1), &vnodes()).await.unwrap());
    assert_eq!(kinds(&log), ["LIST", "GET", "GET", "GET", "CREATE", "GET"]);
}

#[tokio::test]
async fn who_asks_again_whether_an_epoch_is_complete_reads_no_index_twice() {
    let (store, log) = (Arc::new(InMemory::new()), Arc::new(Log::default()));
    let node = open(&store, "node").await;
    node.write_partials(e(1), v(0), partials("node")[..1].to_vec())
        .await
        .unwrap();
    let sealer = try_open(Staged::over(&store, &log), "sealer").await.unwrap();
    log.take();
    assert!(!sealer.epoch_complete(e(1), &vnodes()).await.unwrap());
    assert_eq!(kinds(&log), ["LIST", "GET", "GET"], "index and control object");
    assert!(!sealer.epoch_complete(e(1), &vnodes()).await.unwrap());
    assert_eq!(kinds(&log), ["LIST", "GET"], "control object");
}

#[tokio::test]
async fn a_sealed_epoch_is_looked_at_once_and_read_with_one_request_a_partial() {
    let (store, log) = (Arc::new(InMemory::new()), Arc::new(Log::default()));
    let writer = open(&store, "a").await;
    writer.write_partials(e(1), v(0), partials("a")).await.unwrap();
    assert!(writer.epoch_complete(e(1), &vnodes()).await.unwrap());
    let reader = try_open(Staged::over(&store, &log), "b").await.unwrap();
    log.take();
    reader.read_partial(Vnode::new(0), e(1)).await.unwrap();
    assert_eq!(
        kinds(&log),
        ["LIST", "GET", "GET", "GET"],
        "control object, seal, bytes"
    );
    reader.read_partial(Vnode::new(1), e(1)).await.unwrap();
    assert_eq!(kinds(&log), ["GET"]);
}

#[tokio::test]
async fn a_fence_is_raised_with_three_requests_and_raised_again_with_none() {
    let (store, log) = (Arc::new(InMemory::new()), Arc::new(Log::default()));
    open(&store, "a").await.fence(v(1)).await.unwrap();
    let backend = try_open(Staged::over(&store, &log), "b").await.unwrap();
    log.take();
    backend.fence(v(2)).await.unwrap();
    assert_eq!(kinds(&log), ["SWAP", "LIST", "SWAP"]);
    backend.fence(v(2)).await.unwrap();
    assert_eq!(kinds(&log), [""; 0]);
}

#[tokio::test]
async fn what_a_handle_has_sealed_it_writes_again_without_a_request() {
    let (store, log) = (Arc::new(InMemory::new()), Arc::new(Log::default()));
    let backend = try_open(Staged::over(&store, &log), "a").await.unwrap();
    backend.write_partials(e(1), v(0), partials("a")).await.unwrap();
    assert!(backend.epoch_complete(e(1), &vnodes()).await.unwrap());
    log.take();
    backend.write_partials(e(1), v(0), partials("a")).await.unwrap();
    let other = backend.write_partials(e(1), v(0), partials("other")).await;
    assert!(
        matches!(other, Err(BackendError::Sealed { vnode, .. }) if vnode.get() == 0),
        "{other:?}"
    );
    assert_eq!(kinds(&log), [""; 0]);
}

#[tokio::test]
async fn what_was_sealed_before_it_was_opened_a_handle_does_not_write_over() {
    let store = Arc::new(InMemory::new());
    let before = open(&store, "a").await;
    before.write_partials(e(1), v(0), partials("a")).await.unwrap();
    assert!(before.epoch_complete(e(1), &vnodes()).await.unwrap());
    let backend = open(&store, "a").await;
    backend.write_partials(e(1), v(0), partials("a")).await.unwrap();
    let other = backend.write_partials(e(1), v(0), partials("other")).await;
    assert!(matches!(other, Err(BackendError::Sealed { .. })), "{other:?}");
}
