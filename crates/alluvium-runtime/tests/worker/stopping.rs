//! A worker that is to stop finishes what it has in hand, or leaves it for the next.

use std::time::Duration;

use alluvium_core::ErrorKind;
use alluvium_runtime::{Action, Delivery, Worker, WorkerError, WorkerState};
use tokio::sync::Semaphore;

use crate::failing::Failing;
use crate::place::{NAME, Place};
use crate::seen::Seen;
use crate::support::{handler, idle, until};

#[tokio::test]
async fn the_delivery_in_hand_is_finished_and_no_other_taken() {
    static GATE: Semaphore = Semaphore::const_new(0);
    let place = Place::of(4);
    let worker = place
        .worker()
        .max_batch(2, usize::MAX)
        .start(async |_: Delivery| {
            GATE.acquire().await?.forget();
            Ok(Action::Continue)
        });
    let worker = worker.await.unwrap();
    until(&worker, |status| status.state == WorkerState::Working).await;
    worker.stop();
    GATE.add_permits(10);
    assert_eq!(worker.join().await.unwrap().sequence.get(), 2);
    assert_eq!(place.stored().await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_by_the_deadline_comes_again() {
    let place = Place::of(4);
    let cancelled = Seen::default();
    let record = cancelled.clone();
    let worker = place
        .worker()
        .shutdown_deadline(Duration::from_secs(20))
        .start(handler!(
            [record] | _delivery | {
                struct OnDrop(Seen<()>);
                impl Drop for OnDrop {
                    fn drop(&mut self) {
                        self.0.push(());
                    }
                }
                let _told = OnDrop(record.clone());
                std::future::pending().await
            }
        ));
    let worker = worker.await.unwrap();
    until(&worker, |status| status.state == WorkerState::Working).await;
    let stopped = tokio::time::Instant::now();
    assert_eq!(
        worker.stop_and_join().await.unwrap().sequence.get(),
        0,
        "that is no error"
    );
    assert_eq!(stopped.elapsed().as_secs(), 20);
    assert_eq!(cancelled.all().len(), 1, "nothing of the handler runs any more");
    assert_eq!(place.stored().await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn it_stops_in_the_middle_of_a_pause() {
    let place = Place::of(1);
    let worker = place
        .worker()
        .pauses(Duration::from_hours(1), Duration::from_hours(1));
    let worker = worker
        .start(async |_: Delivery| Err("never".into()))
        .await
        .unwrap();
    until(&worker, |status| status.state == WorkerState::Restarting).await;
    let stopped = tokio::time::Instant::now();
    assert_eq!(worker.stop_and_join().await.unwrap().sequence.get(), 0);
    assert!(stopped.elapsed() < Duration::from_secs(1));
}

/// The pause before a save is tried again is over when the worker is to stop; it is tried once more then.
#[tokio::test(start_paused = true)]
async fn it_stops_between_two_attempts_to_save() {
    for done in [false, true] {
        let place = Place::of(2);
        // The beginning is stored by somebody for whom nothing fails.
        drop(place.cursor().open().await.unwrap());
        let (store, mut failures) = Failing::new(&place.store, done);
        let hour = Duration::from_hours(1);
        let cursor = place.cursor().held_in(store, NAME);
        let worker = idle(Worker::builder(cursor).pauses(hour, hour)).await;
        failures.wait_for(|failures| *failures == 1).await.unwrap();
        let stopped = tokio::time::Instant::now();
        let error = worker.stop_and_join().await.unwrap_err();
        assert!(stopped.elapsed() < Duration::from_secs(1), "done: {done}");
        assert!(matches!(error, WorkerError::Save { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert_eq!(*failures.borrow(), 2, "done: {done}");
        assert_eq!(place.stored().await, Some(if done { 2 } else { 0 }));
    }
}

#[tokio::test]
async fn a_handle_that_is_dropped_stops_it() {
    let place = Place::of(1);
    let worker = idle(place.worker()).await;
    let mut status = worker.watch_status();
    drop(worker);
    status
        .wait_for(|status| status.state == WorkerState::Stopped)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_worker_whose_runtime_is_gone_says_so() {
    let place = Place::of(1);
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let start = place
        .worker()
        .start(async |_: Delivery| std::future::pending().await);
    let worker = {
        let _inside = other.enter();
        start.await.unwrap()
    };
    other.shutdown_background();
    let error = worker.join().await.unwrap_err();
    assert!(matches!(error, WorkerError::Cancelled), "{error:?}");
}
