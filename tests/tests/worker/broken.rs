//! Streams that are deleted, created again and purged under a running worker, and servers that go away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium::{
    Action, Delivery, LogCursor, LogCursorError, LogError, MemoryCursorStore, OnLoss, Scope, StreamLog,
    Worker, WorkerError, WorkerEvent, WorkerState, WorkerStatus,
};
use alluvium_e2e::NatsServer;
use alluvium_e2e::worker::{STREAM, filled_stream};
use async_nats::jetstream;

/// What a worker is told of beside its work.
type Events = Arc<Mutex<Vec<WorkerEvent>>>;

async fn worker(server: &NatsServer, cursors: &MemoryCursorStore, on_break: OnLoss) -> (Worker, Events) {
    let log = StreamLog::open(server.client().await, STREAM).await.unwrap();
    let cursor = LogCursor::builder(Arc::new(log), Scope::all())
        .held_in(Arc::new(cursors.clone()), "clerk")
        .on_break(on_break);
    let events = Events::default();
    let seen = Arc::clone(&events);
    let worker = Worker::builder(cursor)
        .pauses(Duration::from_millis(10), Duration::from_millis(100))
        .on_event(move |event| seen.lock().unwrap().push(event.clone()))
        .start(async |_: Delivery| Ok(Action::Continue))
        .await
        .unwrap();
    (worker, events)
}

/// A worker that has handled a stream of a hundred messages, and stops when that breaks.
async fn through_100(server: &NatsServer, cursors: &MemoryCursorStore) -> Worker {
    let (worker, _) = worker(server, cursors, OnLoss::Stop).await;
    until(&worker, |status| status.handled == 100).await;
    worker
}

async fn publish_100(context: &jetstream::Context) {
    for _ in 0..100 {
        let sent = context.publish("orders.1", "1".into()).await.unwrap();
        sent.await.unwrap();
    }
}

async fn until(worker: &Worker, is: impl FnMut(&WorkerStatus) -> bool) {
    let mut status = worker.watch_status();
    let waited = tokio::time::timeout(Duration::from_mins(1), status.wait_for(is)).await;
    waited.expect("the worker gets there").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_stream_stops_it_and_one_made_again_is_another() {
    let server = NatsServer::start().await;
    let context = filled_stream(&server, 100).await;
    let cursors = MemoryCursorStore::new();
    let first = through_100(&server, &cursors).await;
    context.delete_stream(STREAM).await.unwrap();
    let error = first.join().await.unwrap_err();
    let WorkerError::Cursor(source) = &error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(&**source, LogCursorError::Log(LogError::NotFound { .. })),
        "{source:?}"
    );

    filled_stream(&server, 300).await;
    let log = Arc::new(StreamLog::open(server.client().await, STREAM).await.unwrap());
    let cursor = LogCursor::builder(log, Scope::all()).held_in(Arc::new(cursors.clone()), "clerk");
    let error = Worker::builder(cursor)
        .start(async |_: Delivery| Ok(Action::Continue))
        .await
        .unwrap_err();
    let WorkerError::Cursor(source) = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**source, LogCursorError::Lost { .. }), "{source:?}");

    let (second, events) = worker(&server, &cursors, OnLoss::Continue).await;
    until(&second, |status| status.handled == 300).await;
    assert_eq!(second.stop_and_join().await.unwrap().sequence.get(), 300);
    let events = events.lock().unwrap();
    assert!(matches!(&events[..], [WorkerEvent::Gaps(_)]), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_past_the_cursor_is_told() {
    let server = NatsServer::start().await;
    let context = filled_stream(&server, 100).await;
    let cursors = MemoryCursorStore::new();
    let first = through_100(&server, &cursors).await;
    first.stop_and_join().await.unwrap();

    let stream = context.get_stream(STREAM).await.unwrap();
    publish_100(&context).await;
    stream.purge().sequence(151).await.unwrap();
    let (second, events) = worker(&server, &cursors, OnLoss::Stop).await;
    until(&second, |status| status.committed.sequence.get() == 200).await;
    assert_eq!(second.status().handled, 50);
    let events = events.lock().unwrap();
    let [WorkerEvent::Gaps(gaps)] = &events[..] else {
        panic!("{events:?}")
    };
    let missing = &gaps.gaps[0].missing[0];
    assert_eq!(
        (missing.first.get(), missing.last.unwrap().get(), missing.certain),
        (101, 150, true)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_is_gone_on_with() {
    let mut server = NatsServer::start().await;
    filled_stream(&server, 100).await;
    let cursors = MemoryCursorStore::new();
    let worker = through_100(&server, &cursors).await;
    server.kill().await;
    server.restart().await;
    publish_100(&jetstream::new(server.client().await)).await;
    until(&worker, |status| {
        status.handled == 200 && status.state == WorkerState::Idle
    })
    .await;
    assert_eq!(worker.stop_and_join().await.unwrap().sequence.get(), 200);
}
