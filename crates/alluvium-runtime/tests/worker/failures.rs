//! Handlers that fail, panic and do not return.

use std::sync::mpsc;
use std::time::Duration;

use alluvium_core::{BoxError, ErrorKind, Retention};
use alluvium_runtime::{
    Action, Delivery, HandlerError, LogCursorError, OnLoss, RestartPolicy, Worker, WorkerError, WorkerEvent,
    WorkerState,
};

use crate::place::Place;
use crate::seen::Seen;
use crate::support::{handler, idle, numbers, until};

#[tokio::test]
async fn after_a_failure_it_goes_on_from_the_last_commit() {
    let place = Place::of(6);
    let (seen, events) = (Seen::default(), Seen::default());
    let record = seen.clone();
    let worker = place.worker().max_batch(2, usize::MAX).on_event(events.call());
    let worker = worker.start(handler!(
        [record] | delivery | {
            let attempt = delivery.evidence().attempt;
            record.push((numbers(&delivery), attempt));
            match (numbers(&delivery)[0], attempt) {
                (3, 1) => Err("not now".into()),
                (3, 2) => panic!("not {}", "now"),
                _ => Ok(Action::Continue),
            }
        }
    ));
    let worker = worker.await.unwrap();
    let status = until(&worker, |status| status.handled == 6).await;
    assert_eq!((status.restarts, status.commits), (2, 3));
    let last = status.last_failure.unwrap();
    assert!(
        matches!(&*last, HandlerError::Panicked { message } if message == "not now"),
        "{last:?}"
    );
    let expected = [([1, 2], 1), ([3, 4], 1), ([3, 4], 2), ([3, 4], 3), ([5, 6], 1)];
    assert_eq!(
        seen.all(),
        expected.map(|(numbers, attempt)| (numbers.to_vec(), attempt))
    );
    assert_eq!(events.names(), ["restarting", "restarting"]);
    let WorkerEvent::Restarting { on, error, .. } = &events.all()[0] else {
        panic!("told above")
    };
    assert_eq!((on.first.get(), on.last.get(), on.attempt), (3, 4, 1));
    assert_eq!(std::error::Error::source(error).unwrap().to_string(), "not now");
}

#[tokio::test]
async fn when_it_fails_too_often_it_stops_where_it_was() {
    let bounded = RestartPolicy::Bounded {
        max_restarts: 3,
        within: Duration::from_hours(1),
    };
    for (policy, calls) in [(RestartPolicy::Never, 1), (RestartPolicy::Once, 2), (bounded, 4)] {
        let place = Place::of(4);
        let (seen, events) = (Seen::default(), Seen::default());
        let record = seen.clone();
        let worker = place
            .worker()
            .max_batch(2, usize::MAX)
            .restart(policy)
            .on_event(events.call());
        let worker = worker.start(handler!(
            [record] | delivery | {
                if numbers(&delivery) == [1, 2] {
                    return Ok(Action::Continue);
                }
                record.push(());
                Err(BoxError::from("never"))
            }
        ));
        let error = worker.await.unwrap().join().await.unwrap_err();
        let WorkerError::Handler { on, restarts, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((on.first.get(), *restarts), (3, calls - 1), "{policy:?}");
        assert_eq!(seen.all().len() as u64, calls, "{policy:?}");
        assert_eq!(events.names().last(), Some(&"budget exhausted"));
        assert_eq!(place.stored().await, Some(2), "{policy:?}");
    }
}

#[tokio::test]
async fn an_async_handler_that_takes_too_long_is_cancelled_and_called_again() {
    let place = Place::of(3);
    let worker = place.worker().handler_timeout(Duration::from_millis(20));
    let worker = worker.start(async |delivery: Delivery| {
        if delivery.evidence().attempt == 1 {
            std::future::pending::<()>().await;
        }
        Ok(Action::Continue)
    });
    let worker = worker.await.unwrap();
    let status = until(&worker, |status| status.handled == 3).await;
    assert!(matches!(
        &*status.last_failure.unwrap(),
        HandlerError::TimedOut(_)
    ));
    assert_eq!(status.restarts, 1);
}

#[tokio::test]
async fn a_blocking_handler_that_looks_up_is_called_again() {
    let place = Place::of(3);
    let worker = place.worker().handler_timeout(Duration::from_millis(20));
    let worker = worker.start_blocking(|delivery| {
        while delivery.evidence().attempt == 1 && !delivery.is_cancelled() {
            std::thread::yield_now();
        }
        if delivery.is_cancelled() {
            return Err("cancelled".into());
        }
        Ok(Action::Continue)
    });
    let worker = worker.await.unwrap();
    let status = until(&worker, |status| status.handled == 3).await;
    assert_eq!(status.restarts, 1);
}

#[tokio::test]
async fn a_blocking_handler_that_does_not_return_stops_the_worker() {
    let place = Place::of(3);
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let worker = place.worker().handler_timeout(Duration::from_millis(20));
    let worker = worker.start_blocking(move |_| {
        blocked.lock().unwrap().recv().unwrap_err();
        Ok(Action::Continue)
    });
    let worker = worker.await.unwrap();
    let error = worker.join().await.unwrap_err();
    assert!(matches!(error, WorkerError::Stuck { .. }), "{error:?}");
    assert_eq!(place.stored().await, Some(0));
    drop(release);
}

#[tokio::test]
async fn what_is_called_with_events_may_panic() {
    let place = Place::of(3);
    let worker = place.worker().on_event(|event| panic!("{event:?}"));
    let worker = worker.start(async |delivery: Delivery| match delivery.evidence().attempt {
        1 => Err("once".into()),
        _ => Ok(Action::Continue),
    });
    let worker = worker.await.unwrap();
    until(&worker, |status| status.handled == 3).await;
    worker.stop_and_join().await.unwrap();
}

#[tokio::test]
async fn what_retention_took_is_told_and_what_broke_stops_it() {
    let place = Place::of(2);
    let events = Seen::default();
    let first = idle(place.worker().on_event(events.call())).await;
    until(&first, |status| status.handled == 2).await;
    first.stop_and_join().await.unwrap();

    place.log.set_retention(Retention {
        max_messages: Some(3),
        ..Retention::default()
    });
    place.add(6);
    place.log.evict_before(alluvium_core::Sequence::new(6));
    let second = idle(place.worker().on_event(events.call())).await;
    until(&second, |status| status.committed.sequence.get() == 8).await;
    assert_eq!(events.names(), ["gaps"]);
    let WorkerEvent::Gaps(gaps) = &events.all()[0] else {
        panic!("told above")
    };
    let missing = &gaps.gaps[0].missing[0];
    assert_eq!((missing.first.get(), missing.last.unwrap().get()), (3, 5));

    place.log.replace();
    let error = second.join().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let WorkerError::Cursor(source) = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**source, LogCursorError::Lost { .. }), "{source:?}");
    assert_eq!(place.stored().await, Some(8), "the last position stands");

    let cursor = place.cursor().on_break(OnLoss::Continue);
    let third = idle(Worker::builder(cursor).on_event(events.call())).await;
    place.add(1);
    let status = until(&third, |status| {
        status.handled == 1 && status.state == WorkerState::Idle
    })
    .await;
    assert_eq!(status.committed.sequence.get(), 1);
    assert_eq!(events.names(), ["gaps", "gaps"]);
}
