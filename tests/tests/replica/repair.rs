//! Logs that changed while nobody looked, or under a running replica: found before the first apply, and repaired.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{KvLog, Replica, ReplicaError, TableError};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{StateHome, open_table};
use alluvium_e2e::{NatsServer, Proxy};

const PATIENCE: Duration = Duration::from_mins(1);

/// Follows a bucket until it is caught up, and stops.
async fn follow_once(home: &StateHome, server: &NatsServer) {
    let (replica, _state) = home.replica(server, "b").await;
    replica.caught_up().await.unwrap();
    replica.shutdown().await.unwrap();
}

/// Follows a bucket until it is caught up, and compares.
async fn follow_and_compare(home: &StateHome, server: &NatsServer, bucket: &Bucket) {
    let (replica, _state) = home.replica(server, "b").await;
    replica.caught_up().await.unwrap();
    assert_eq!(home.rows(&replica), bucket.truth().await);
    let cursor = replica.status().cursor.unwrap();
    assert_eq!(cursor.sequence, bucket.last().await);
    replica.shutdown().await.unwrap();
}

async fn recreate(server: &NatsServer, bucket: &Bucket) -> Bucket {
    bucket.context.delete_key_value("b").await.unwrap();
    Bucket::create(server, "b").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_recreated_with_fewer_messages_is_reconciled() {
    let server = NatsServer::start().await;
    for engine in EngineKind::ALL {
        let bucket = Bucket::create(&server, "b").await;
        let home = StateHome::new(engine);
        for index in 0..50 {
            bucket.put(&format!("old{index}"), "x").await;
        }
        bucket.put("both", "old").await;
        follow_once(&home, &server).await;
        let bucket = recreate(&server, &bucket).await;
        bucket.put("both", "new").await;
        bucket.put("new", "1").await;
        follow_and_compare(&home, &server, &bucket).await;
        bucket.context.delete_key_value("b").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_recreated_with_more_messages_is_reconciled() {
    let server = NatsServer::start().await;
    for engine in EngineKind::ALL {
        let bucket = Bucket::create(&server, "b").await;
        let home = StateHome::new(engine);
        bucket.put("old", "x").await;
        bucket.put("both", "old").await;
        follow_once(&home, &server).await;
        let bucket = recreate(&server, &bucket).await;
        for index in 0..50 {
            bucket.put(&format!("new{index}"), "x").await;
        }
        bucket.put("both", "new").await;
        follow_and_compare(&home, &server, &bucket).await;
        bucket.context.delete_key_value("b").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_recreated_while_the_replica_is_cut_off_is_reconciled_in_place() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let home = StateHome::new(EngineKind::Fjall);
    for index in 0..50 {
        bucket.put(&format!("old{index}"), "x").await;
    }
    // The replica's way to the server is a proxy, which can be cut without the server knowing.
    let proxy = Proxy::start(server.port()).await;
    let (state, table) = open_table(&home.path(), EngineKind::Fjall).await;
    let client = async_nats::ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .connect(proxy.url())
        .await
        .unwrap();
    let log = KvLog::open(client, "b").await.unwrap();
    let replica = Replica::builder(Arc::new(log), table).start().await.unwrap();
    replica.caught_up().await.unwrap();
    let before = replica.status().cursor.unwrap();
    proxy.refuse(true);
    proxy.cut();
    let bucket = recreate(&server, &bucket).await;
    let last = bucket.put("new", "1").await;
    proxy.refuse(false);
    let mut status = replica.watch_status();
    let now_there = status.wait_for(|status| {
        status
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.log != before.log && cursor.sequence >= last)
    });
    match tokio::time::timeout(PATIENCE, now_there).await {
        Ok(Ok(_)) => {}
        other => panic!(
            "the new bucket was never followed: {other:?}, {:?}",
            replica.status()
        ),
    }
    assert_eq!(home.rows(&replica), bucket.truth().await);
    replica.shutdown().await.unwrap();
    drop(state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_deleted_under_a_running_replica_stops_it_with_an_error() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("a", "1").await;
    let home = StateHome::new(EngineKind::Memory);
    let (replica, _state) = home.replica(&server, "b").await;
    replica.caught_up().await.unwrap();
    bucket.context.delete_key_value("b").await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(10), replica.stopped())
        .await
        .expect("silent for ten seconds")
        .unwrap_err();
    assert!(error.to_string().contains("log"), "{error}");
    assert!(matches!(error, ReplicaError::Log(_)), "{error:?}");
    assert_eq!(replica.get("a").unwrap().unwrap().value, "1", "reads go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_ahead_of_its_log_is_found_and_reconciled() {
    for engine in EngineKind::ALL {
        let mut server = NatsServer::start().await;
        let bucket = Bucket::create(&server, "b").await;
        let home = StateHome::new(engine);
        bucket.put("kept", "1").await;
        bucket.put("both", "old").await;
        // The store as it is now comes back later: what follows is the tail that the server loses.
        server.kill().await;
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&server.store_dir(), copy.path());
        server.restart().await;
        for index in 0..20 {
            bucket.put(&format!("lost{index}"), "x").await;
        }
        bucket.put("both", "lost").await;
        follow_once(&home, &server).await;
        server.kill().await;
        fs::remove_dir_all(server.store_dir()).unwrap();
        copy_tree(copy.path(), &server.store_dir());
        server.restart().await;
        follow_and_compare(&home, &server, &bucket).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_lost_and_written_anew_past_the_cursor_is_found_by_the_message_at_the_cursor() {
    let mut server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let home = StateHome::new(EngineKind::Fjall);
    bucket.put("kept", "1").await;
    server.kill().await;
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&server.store_dir(), copy.path());
    server.restart().await;
    for index in 0..5 {
        bucket.put(&format!("lost{index}"), "x").await;
    }
    follow_once(&home, &server).await;
    server.kill().await;
    fs::remove_dir_all(server.store_dir()).unwrap();
    copy_tree(copy.path(), &server.store_dir());
    server.restart().await;
    // The log is longer than the cursor again, with other messages.
    for index in 0..50 {
        bucket.put(&format!("other{index}"), "y").await;
    }
    follow_and_compare(&home, &server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_whose_markers_are_gone_already_are_found() {
    let server = NatsServer::start().await;
    for engine in EngineKind::ALL {
        let bucket = Bucket::create(&server, "b").await;
        let home = StateHome::new(engine);
        for index in 0..20 {
            bucket.put(&format!("k{index}"), "x").await;
        }
        follow_once(&home, &server).await;
        for index in 0..20 {
            bucket.delete(&format!("k{index}")).await;
        }
        let kept = bucket.put("kept", "1").await;
        // All up to the last message goes, markers and all.
        let stream = bucket.context.get_stream("KV_b").await.unwrap();
        stream.purge().sequence(kept.get()).await.unwrap();
        follow_and_compare(&home, &server, &bucket).await;
        bucket.context.delete_key_value("b").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_is_cut_short_is_repaired_at_the_next_start() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let home = StateHome::new(EngineKind::Fjall);
    for index in 0..20 {
        bucket.put(&format!("k{index}"), "x").await;
    }
    follow_once(&home, &server).await;
    {
        // What a kill in the middle of a reconcile leaves: rows, one of them stale, and no cursor.
        let (state, _log, table) = home.parts(&server, "b").await;
        table.amend(&[]).unwrap();
        assert_eq!(table.cursor(), None);
        drop(state);
    }
    bucket.delete("k3").await;
    follow_and_compare(&home, &server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_another_bucket_is_refused_and_left_alone() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    Bucket::create(&server, "other").await;
    bucket.put("a", "1").await;
    let home = StateHome::new(EngineKind::Fjall);
    follow_once(&home, &server).await;
    let (state, log, table) = home.parts(&server, "other").await;
    let error = Replica::builder(log, table.clone()).start().await.unwrap_err();
    let ReplicaError::Table(error) = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**error, TableError::Mismatch { .. }), "{error}");
    assert!(
        error.to_string().contains("KV_b") && error.to_string().contains("KV_other"),
        "{error}"
    );
    assert!(table.get(b"a").unwrap().is_some());
    drop(state);
    follow_and_compare(&home, &server, &bucket).await;
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
