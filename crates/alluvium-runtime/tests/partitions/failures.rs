//! Work that fails, and leases that cannot be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::{ErrorKind, Scope};
use alluvium_runtime::{Action, Delivery, LogCursor, PartitionEvent, RestartPolicy, Worker, WorkerState};
use tokio::time::Instant;

use super::support::{LOOK, Place, TTL};
use crate::eventually::eventually;

#[tokio::test(start_paused = true)]
async fn a_partition_on_which_the_work_fails_is_given_back_and_tried_again_later() {
    let place = Place::of(2);
    place.fill(3);
    let (calls, events) = (Arc::new(AtomicU32::new(0)), place.effects.clone());
    let called = Arc::clone(&calls);
    let failed = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&failed);
    let partitions = place
        .builder(
            "first",
            Arc::new(place.leases.clone()),
            Arc::new(place.cursors.clone()),
        )
        .on_event(move |event| {
            if let PartitionEvent::Failed { partition, error, .. } = event {
                seen.lock()
                    .unwrap()
                    .push((Instant::now(), *partition, Arc::clone(error)));
            }
        })
        .start(move |assigned, worker| {
            let called = Arc::clone(&called);
            async move {
                match (assigned.partition, called.load(Ordering::SeqCst)) {
                    (1, 0) => {
                        called.store(1, Ordering::SeqCst);
                        Err("no table".into())
                    }
                    (1, 1) => {
                        called.store(2, Ordering::SeqCst);
                        panic!("no sense")
                    }
                    (1, 2) => {
                        called.store(3, Ordering::SeqCst);
                        let handler = async |_: Delivery| Err("no work".into());
                        Ok(worker.restart(RestartPolicy::Never).start(handler).await?)
                    }
                    _ => Ok(worker.start(async |_: Delivery| Ok(Action::Continue)).await?),
                }
            }
        })
        .unwrap();
    let mut status = partitions.watch_status();
    status
        .wait_for(|status| {
            let worker = |at: usize| {
                status
                    .held
                    .get(at)
                    .and_then(alluvium_runtime::HeldPartition::worker)
            };
            worker(0).is_some()
                && worker(1).is_some_and(|worker| worker.state == WorkerState::Idle)
                && calls.load(Ordering::SeqCst) == 3
        })
        .await
        .unwrap();
    let failed = failed.lock().unwrap();
    let kinds: Vec<(u32, ErrorKind)> = failed
        .iter()
        .map(|(_, partition, error)| (*partition, error.kind()))
        .collect();
    assert_eq!(kinds, [(1, ErrorKind::Unavailable); 3], "{failed:?}");
    assert!(
        failed.windows(2).all(|two| two[1].0 - two[0].0 >= LOOK / 2),
        "{failed:?}"
    );
    drop(events);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_wants_to_stop_stops_the_part_of_its_process() {
    let place = Place::of(3);
    place.fill(3);
    let partitions = place
        .builder(
            "first",
            Arc::new(place.leases.clone()),
            Arc::new(place.cursors.clone()),
        )
        .start(async |assigned, worker| {
            let action = match assigned.partition {
                1 => Action::Stop,
                _ => Action::Continue,
            };
            let handler = move |_: Delivery| async move { Ok(action) };
            Ok(worker.max_batch(1, 0).start(handler).await?)
        })
        .unwrap();
    let handle = partitions.watch_status();
    partitions.join().await.unwrap();
    assert!(handle.borrow().held.is_empty());
    // Another process has them at once, from behind what was committed.
    let begun = Instant::now();
    let other = place.process("other");
    other.until_works_on(3).await;
    assert!(begun.elapsed() < LOOK, "{:?}", begun.elapsed());
    eventually("the rest", || {
        let rest = place.effects.all();
        rest.iter().filter(|effect| effect.partition == 1).count() == 2
    })
    .await;
    other.partitions.stop_and_join().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_of_the_leases_changes_nothing() {
    let place = Place::of(4);
    let (first, second) = (place.process("first"), place.process("second"));
    first.until_works_on(2).await;
    second.until_works_on(2).await;
    let before = (first.acquisitions().len(), second.acquisitions().len());
    for _ in 0..20 {
        let looks = first.partitions.status().looks;
        first.wire.cut(true);
        second.wire.cut(true);
        first.until(|status| status.error.is_some()).await;
        // Shorter than a lease lasts: how long they are cut off is the failure itself.
        tokio::time::sleep(TTL / 4).await;
        first.wire.cut(false);
        second.wire.cut(false);
        first.until(|status| status.looks > looks + 2).await;
    }
    assert!(first.losses().is_empty() && second.losses().is_empty());
    assert_eq!((first.acquisitions().len(), second.acquisitions().len()), before);
    place.fill(3);
    eventually("the last message", || place.handled() == 12).await;
}

/// What does not come from the builder is no worker of the partition; the sharing does not mind.
#[tokio::test(start_paused = true)]
async fn a_worker_of_its_own_is_left_like_any_other() {
    let place = Place::of(1);
    place.fill(3);
    let log = place.log.clone();
    let partitions = place
        .builder(
            "first",
            Arc::new(place.leases.clone()),
            Arc::new(place.cursors.clone()),
        )
        .start(move |_, _| {
            let log = log.clone();
            async move {
                let cursor = LogCursor::builder(Arc::new(log), Scope::all());
                Ok(Worker::builder(cursor)
                    .start(async |_: Delivery| Ok(Action::Continue))
                    .await?)
            }
        })
        .unwrap();
    let mut status = partitions.watch_status();
    status
        .wait_for(|status| status.held.iter().any(|held| held.worker().is_some()))
        .await
        .unwrap();
    partitions.stop_and_join().await.unwrap();
}
