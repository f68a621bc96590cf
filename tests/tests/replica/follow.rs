//! A replica against a real server: reading, waiting, hooks, subscriptions, status.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium::{
    Change, DeleteReason, KeyRange, Operation, Replica, ReplicaError, Scope, Sequence, State,
    SubscriptionError, TableError,
};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::StateHome;
use alluvium_e2e::{NatsServer, wait};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_equals_its_bucket_and_goes_on_from_its_cursor() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for engine in EngineKind::ALL {
        let home = StateHome::new(engine);
        bucket.put("a", "1").await;
        bucket.put("b.c", "2").await;
        bucket.delete("a").await;
        bucket.put("empty", "").await;
        {
            let (replica, _state) = home.replica(&server, "b").await;
            replica.caught_up().await.unwrap();
            assert_eq!(home.rows(&replica), bucket.truth().await, "{engine}");
            assert_eq!(replica.get("empty").unwrap().unwrap().value, "");
            assert!(replica.get("a").unwrap().is_none());
            replica.shutdown().await.unwrap();
        }
        let last = bucket.put("d", "4").await;
        let (replica, _state) = home.replica(&server, "b").await;
        replica.wait_for(last).await.unwrap();
        assert_eq!(home.rows(&replica), bucket.truth().await, "{engine}");
        assert_eq!(
            replica.status().changes,
            1,
            "{engine} read more than what was new"
        );
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_for_reads_your_own_writes() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let home = StateHome::new(EngineKind::Memory);
    let (replica, _state) = home.replica(&server, "b").await;
    for index in 0..200 {
        let sequence = bucket.put("counter", &index.to_string()).await;
        replica.wait_for(sequence).await.unwrap();
        let entry = replica.get("counter").unwrap().unwrap();
        assert_eq!(
            (entry.value.as_ref(), entry.sequence),
            (index.to_string().as_bytes(), sequence)
        );
    }
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_for_ends_when_the_replica_does() {
    let server = NatsServer::start().await;
    Bucket::create(&server, "b").await;
    let home = StateHome::new(EngineKind::Memory);
    let (replica, _state) = home.replica(&server, "b").await;
    let replica = Arc::new(replica);
    let waiting = tokio::spawn({
        let replica = Arc::clone(&replica);
        async move { replica.wait_for(Sequence::new(1_000)).await }
    });
    replica.caught_up().await.unwrap();
    replica.stop();
    assert!(matches!(waiting.await.unwrap(), Err(ReplicaError::ShutDown)));
    assert_eq!(replica.status().state, State::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_persisted_cursor_means_that_the_hook_has_returned() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for index in 0..500 {
        bucket.put(&format!("k{}", index % 50), &index.to_string()).await;
    }
    let poison = bucket.put("poison", "x").await;
    let last = bucket.put("after", "y").await;
    for engine in EngineKind::ALL {
        for panics in [false, true] {
            let home = StateHome::new(engine);
            let seen = Arc::new(Mutex::new(Vec::new()));
            let healed = Arc::new(AtomicBool::new(false));
            let hook = |seen: &Arc<Mutex<Vec<Sequence>>>, healed: &Arc<AtomicBool>| {
                let (seen, healed) = (Arc::clone(seen), Arc::clone(healed));
                move |batch: &alluvium::Batch| {
                    let poisoned = batch.changes.iter().any(|change| change.key == "poison");
                    if poisoned && !healed.load(Ordering::Relaxed) {
                        assert!(!panics, "the hook cannot stand the poison");
                        return Err("the hook cannot stand the poison".into());
                    }
                    seen.lock()
                        .unwrap()
                        .extend(batch.changes.iter().map(|change| change.sequence));
                    Ok(())
                }
            };
            let (state, log, table) = home.parts(&server, "b").await;
            let replica = Replica::builder(log.clone(), table.clone())
                .on_batch(hook(&seen, &healed))
                .start()
                .await
                .unwrap();
            let error = replica.stopped().await.unwrap_err();
            match &error {
                ReplicaError::HookPanicked { first, last, message } if panics => {
                    assert!(
                        *first <= poison && poison <= *last && message.contains("poison"),
                        "{error}"
                    );
                }
                ReplicaError::Hook { first, last, .. } if !panics => {
                    assert!(*first <= poison && poison <= *last, "{error}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(replica.status().state, State::Failed);
            // Nothing that the hook did not return for is applied.
            let cursor = table.cursor().map_or(Sequence::ZERO, |cursor| cursor.sequence);
            assert_eq!(seen.lock().unwrap().last().copied().unwrap_or_default(), cursor);
            assert!(cursor < poison && table.get(b"after").unwrap().is_none());

            healed.store(true, Ordering::Relaxed);
            let replica = Replica::builder(log, table)
                .on_batch(hook(&seen, &healed))
                .start()
                .await
                .unwrap();
            replica.wait_for(last).await.unwrap();
            assert_eq!(home.rows(&replica), bucket.truth().await);
            let seen = seen.lock().unwrap().clone();
            assert!(
                seen.is_sorted_by(|a, b| a < b),
                "a change was skipped over or given twice without a crash"
            );
            assert!(seen.contains(&poison) && seen.last() == Some(&last));
            replica.shutdown().await.unwrap();
            drop(state);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_get_what_was_applied_and_are_told_what_they_missed() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let home = StateHome::new(EngineKind::Memory);
    let (replica, _state) = home.replica(&server, "b").await;
    replica.caught_up().await.unwrap();
    let (mut prompt, mut slow) = (replica.subscribe(), replica.subscribe());
    let put = bucket.put("a", "1").await;
    // A bucket of one message a key forgets the put with the delete: whoever has not received it by then never does.
    replica.wait_for(put).await.unwrap();
    let deleted = bucket.delete("a").await;
    let mut changes: Vec<Change> = Vec::new();
    while changes.len() < 2 {
        changes.extend(prompt.next().await.unwrap().changes.iter().cloned());
    }
    assert_eq!(
        (changes[0].sequence, changes[0].value().unwrap().as_ref()),
        (put, b"1".as_ref())
    );
    assert_eq!(
        (changes[1].sequence, &changes[1].operation),
        (deleted, &Operation::Delete(DeleteReason::Deleted))
    );
    // One batch each, because each is waited for.
    for index in 0..100 {
        let sequence = bucket.put("b", &index.to_string()).await;
        replica.wait_for(sequence).await.unwrap();
    }
    let missed = slow.next().await.unwrap_err();
    assert!(
        matches!(missed, SubscriptionError::Lagged { missed } if missed > 0),
        "{missed:?}"
    );
    slow.next().await.unwrap();
    replica.shutdown().await.unwrap();
    let end = async { while prompt.next().await != Err(SubscriptionError::Closed) {} };
    tokio::time::timeout(PATIENCE, end)
        .await
        .expect("the subscription never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_holds_its_keys_and_no_others_and_stays_what_it_is() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for key in ["routes.eu", "routes.eu.west", "flags.beta", "certs.a", "routes"] {
        bucket.put(key, key).await;
    }
    let home = StateHome::new(EngineKind::Fjall);
    let scope = Scope::of(["routes.>", "flags.*"]).unwrap();
    let (state, log, table) = home.parts(&server, "b").await;
    let replica = Replica::builder(log.clone(), table.clone())
        .scope(scope.clone())
        .start()
        .await
        .unwrap();
    // What is out of scope is waited past, not for.
    let out_of_scope = bucket.put("certs.b", "x").await;
    let in_scope = bucket.put("flags.gamma", "y").await;
    assert!(out_of_scope < in_scope);
    replica.wait_for(in_scope).await.unwrap();
    let mut truth = bucket.truth().await;
    truth.retain(|key, _| scope.matches(key));
    assert_eq!(truth.len(), 4);
    assert_eq!(home.rows(&replica), truth);
    replica.shutdown().await.unwrap();

    let refused = Replica::builder(log, table)
        .scope(Scope::all())
        .start()
        .await
        .unwrap_err();
    let ReplicaError::Table(error) = &refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(**error, TableError::Mismatch { .. }), "{error}");
    drop(state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_stands_still_while_the_replica_goes_on() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let first = bucket.put("a", "old").await;
    for engine in EngineKind::ALL {
        let home = StateHome::new(engine);
        let (replica, _state) = home.replica(&server, "b").await;
        replica.wait_for(first).await.unwrap();
        let snapshot = replica.snapshot().unwrap();
        let before: Vec<_> = snapshot
            .scan(&KeyRange::all())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let last = bucket.put("a", "new").await;
        replica.wait_for(last).await.unwrap();
        let after: Vec<_> = snapshot
            .scan(&KeyRange::all())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(before, after);
        assert!(snapshot.cursor().unwrap().sequence < last);
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_change_index_begins_after_the_first_fill() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let filled = bucket.put("a", "1").await;
    let home = StateHome::new(EngineKind::Fjall);
    let (state, log, table) = home.parts(&server, "b").await;
    let replica = Replica::builder(log, table.clone())
        .track_changes(true)
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    wait::until(PATIENCE, "the change index is on", || {
        table.stats().unwrap().changes_floor == Some(filled)
    })
    .await;
    let last = bucket.delete("a").await;
    replica.wait_for(last).await.unwrap();
    let changes: Vec<Change> = replica
        .snapshot()
        .unwrap()
        .changes_since(filled)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].sequence, changes[0].value()), (last, None));
    replica.shutdown().await.unwrap();
    drop(state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_is_told_and_comes_back() {
    let mut server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("a", "1").await;
    let home = StateHome::new(EngineKind::Memory);
    let (state, log, table) = home.parts(&server, "b").await;
    let replica = Replica::builder(log, table)
        .bounds_every(Duration::from_millis(200))
        .stalled_after(Duration::from_millis(500))
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    server.kill().await;
    let mut status = replica.watch_status();
    tokio::time::timeout(PATIENCE, status.wait_for(|status| status.state == State::Stalled))
        .await
        .expect("never said to be stalled")
        .unwrap();
    assert!(replica.status().error.is_some());
    assert_eq!(replica.get("a").unwrap().unwrap().value, "1", "reads go on");
    server.restart().await;
    let last = bucket.put("a", "2").await;
    tokio::time::timeout(PATIENCE, replica.wait_for(last))
        .await
        .expect("never came back")
        .unwrap();
    tokio::time::timeout(PATIENCE, status.wait_for(|status| status.state == State::Live))
        .await
        .expect("never live again")
        .unwrap();
    replica.shutdown().await.unwrap();
    drop(state);
}
