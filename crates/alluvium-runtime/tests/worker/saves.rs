//! Cursors that cannot be saved.

use std::sync::Arc;

use alluvium_core::ErrorKind;
use alluvium_engine::FileCursorStore;
use alluvium_runtime::{Action, Delivery, Worker, WorkerError, WorkerState};

use crate::place::{NAME, Place};
use crate::seen::Seen;
use crate::support::{idle, until};

#[tokio::test]
async fn who_comes_second_fences_the_first_and_no_position_is_lost() {
    let place = Place::of(3);
    let events = Seen::default();
    let first = idle(place.worker().on_event(events.call())).await;
    until(&first, |status| status.handled == 3).await;

    let second = idle(place.worker()).await;
    place.add(1);
    let error = first.join().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
    let WorkerError::Save { at, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(at.last.get(), 4);
    assert_eq!(events.names(), ["save failed"]);
    until(&second, |status| status.committed.sequence.get() == 4).await;
    assert_eq!(second.stop_and_join().await.unwrap().sequence.get(), 4);
}

#[tokio::test]
async fn a_directory_that_vanishes_stops_the_worker_at_the_last_commit() {
    let place = Place::of(3);
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let worker = || async {
        let store = FileCursorStore::open(&state).unwrap();
        idle(Worker::builder(place.cursor().held_in(Arc::new(store), NAME))).await
    };
    let first = worker().await;
    until(&first, |status| {
        status.handled == 3 && status.state == WorkerState::Idle
    })
    .await;

    std::fs::rename(&state, directory.path().join("elsewhere")).unwrap();
    place.add(1);
    let status = until(&first, |status| status.state == WorkerState::Failed).await;
    assert_eq!(status.committed.sequence.get(), 3);
    let error = first.join().await.unwrap_err();
    assert!(matches!(error, WorkerError::Save { .. }), "{error:?}");

    std::fs::rename(directory.path().join("elsewhere"), &state).unwrap();
    until(&worker().await, |status| status.committed.sequence.get() == 4).await;
}

#[tokio::test]
async fn rows_where_there_is_no_table_stop_the_worker() {
    let place = Place::of(1);
    let worker = place.worker().start(async |delivery: Delivery| {
        delivery.put("key", "value");
        Ok(Action::Continue)
    });
    let error = worker.await.unwrap().join().await.unwrap_err();
    assert!(matches!(error, WorkerError::Save { .. }), "{error:?}");
    assert_eq!(place.stored().await, Some(0));
}
