//! What a worker does when all goes well.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AssignmentVersion, LogError, Sequence, Table as _};
use alluvium_engine::{EngineTable, TableCursorStore};
use alluvium_memory::MemoryEngine;
use alluvium_runtime::{Action, Delivery, LogCursor, Worker, WorkerState};

use crate::place::{NAME, Place};
use crate::seen::Seen;
use crate::support::{handler, number, numbers, until};

#[tokio::test]
async fn every_message_is_handled_in_order_and_committed() {
    let place = Place::of(2_500);
    let seen = Seen::default();
    let record = seen.clone();
    let worker = place
        .worker()
        .start(handler!(
            [record] | delivery | {
                record.extend(numbers(&delivery));
                Ok(Action::Continue)
            }
        ))
        .await
        .unwrap();
    until(&worker, |status| status.handled == 2_500).await;
    assert_eq!(worker.lag().await.unwrap(), 0);
    place.add(1);
    let status = until(&worker, |status| {
        status.handled == 2_501 && status.state == WorkerState::Idle
    })
    .await;
    assert_eq!(
        (status.committed.sequence, status.parked, status.restarts),
        (Sequence::new(2_501), 0, 0)
    );
    let cursor = worker.stop_and_join().await.unwrap();
    assert_eq!(cursor.sequence.get(), 2_501);
    assert_eq!(place.stored().await, Some(2_501));
    assert_eq!(seen.all(), (1..=2_501).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_second_worker_goes_on_where_the_first_was_stopped() {
    let place = Place::of(10);
    let stop_at_4 = async |delivery: Delivery| {
        Ok(if numbers(&delivery) == [4] {
            Action::Stop
        } else {
            Action::Continue
        })
    };
    let first = place.worker().max_batch(1, 1).start(stop_at_4).await.unwrap();
    assert_eq!(first.join().await.unwrap().sequence.get(), 4);

    let seen = Seen::default();
    let record = seen.clone();
    let second = place.worker().start(handler!(
        [record] | delivery | {
            record.push(numbers(&delivery));
            Ok(Action::StopWithRollback)
        }
    ));
    assert_eq!(second.await.unwrap().join().await.unwrap().sequence.get(), 4);
    assert_eq!(seen.all(), [[5, 6, 7, 8, 9, 10]]);
    assert_eq!(place.stored().await, Some(4), "what was rolled back comes again");
}

#[tokio::test]
async fn a_blocking_handler_is_given_the_same() {
    let place = Place::of(100);
    let seen = Seen::default();
    let record = seen.clone();
    let worker = place
        .worker()
        .start_blocking(move |delivery| {
            std::thread::sleep(Duration::from_millis(1));
            record.extend(delivery.into_iter().map(number));
            Ok(if delivery.messages().len() < 100 {
                Action::Continue
            } else {
                Action::Stop
            })
        })
        .await
        .unwrap();
    until(&worker, |status| status.handled == 100).await;
    assert_eq!(worker.stop_and_join().await.unwrap().sequence.get(), 100);
    assert_eq!(seen.all(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_evidence_names_the_delivery() {
    let place = Place::of(7);
    let seen = Seen::default();
    let record = seen.clone();
    let worker = place
        .worker()
        .max_batch(5, usize::MAX)
        .assignment(AssignmentVersion::new(9));
    let worker = worker.start(handler!(
        [record] | delivery | {
            record.push(delivery.evidence().clone());
            Ok(Action::Continue)
        }
    ));
    let worker = worker.await.unwrap();
    until(&worker, |status| status.handled == 7).await;
    let seen = seen.all();
    let told: Vec<_> = seen
        .iter()
        .map(|it| (it.first.get(), it.last.get(), it.attempt))
        .collect();
    assert_eq!(told, [(1, 5, 1), (6, 7, 1)]);
    assert!(
        seen.iter()
            .all(|it| it.worker == NAME && it.log.name == "ORDERS" && it.assignment.get() == 9)
    );
}

/// Rows and cursor are one commit: with failures in between, each message counts once.
#[tokio::test]
async fn rows_in_the_cursors_table_are_written_exactly_once() {
    let place = Place::of(1_000);
    let table = Arc::new(EngineTable::open(Arc::new(MemoryEngine::in_memory()), "sums").unwrap());
    let store = TableCursorStore::new(Arc::clone(&table) as _);
    let cursor = LogCursor::builder(Arc::new(place.log.clone()), alluvium_core::Scope::all());
    let calls = Seen::default();
    let (reader, counter) = (Arc::clone(&table), calls.clone());
    let worker = Worker::builder(cursor.held_in(Arc::new(store), "sums"))
        .pauses(Duration::from_millis(1), Duration::from_millis(1))
        .max_batch(37, usize::MAX)
        .restart(alluvium_runtime::RestartPolicy::Bounded {
            max_restarts: u32::MAX,
            within: Duration::MAX,
        });
    let worker = worker.start(handler!(
        [reader, counter] | delivery | {
            counter.push(());
            let sum = reader
                .get(b"sum")?
                .map_or(0, |row| std::str::from_utf8(&row.value).unwrap().parse().unwrap());
            let sum: u64 = delivery.iter().map(number).sum::<u64>() + sum;
            delivery.put("sum", sum.to_string());
            let first = delivery.evidence().first;
            delivery.put(format!("seen.{first}"), "");
            if first > Sequence::FIRST {
                delivery.delete("seen.1");
            }
            match counter.all().len() % 5 {
                1 => Err("every fifth fails".into()),
                3 => panic!("every fifth panics"),
                _ => Ok(Action::Continue),
            }
        }
    ));
    let worker = worker.await.unwrap();
    let status = until(&worker, |status| status.handled == 1_000).await;
    assert!(status.restarts >= 10, "{status:?}");
    assert_eq!(table.get(b"sum").unwrap().unwrap().value, "500500");
    assert_eq!(table.cursor().unwrap().sequence.get(), 1_000);
    let seen = |first: u64| table.get(format!("seen.{first}").as_bytes()).unwrap().is_some();
    assert!(!seen(1), "the next delivery has removed it");
    assert!(seen(38) && !seen(39), "deliveries of 37 messages");
}

#[tokio::test]
async fn how_far_it_lags_is_the_logs_answer() {
    let place = Place::of(3);
    let worker = place
        .worker()
        .start(async |_: Delivery| std::future::pending().await)
        .await
        .unwrap();
    until(&worker, |status| status.state == WorkerState::Working).await;
    assert_eq!(worker.lag().await.unwrap(), 3);
    place.add(1);
    assert_eq!(worker.lag().await.unwrap(), 4);
    place.log.replace();
    let error = worker.lag().await.unwrap_err();
    assert!(matches!(error, LogError::Replaced { .. }), "{error:?}");
}
