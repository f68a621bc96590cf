//! What is poisonous goes where it blocks nobody.

use std::time::Duration;

use alluvium_runtime::{Action, Delivery, Handler, Parked, RestartPolicy, WorkerError};

use crate::place::Place;
use crate::seen::Seen;
use crate::support::{handler, numbers, until};

/// Fails on a delivery with any of these in it; keeps what it did not fail on.
fn fails_on(poison: &'static [u64], handled: &Seen<Vec<u64>>) -> impl Handler + use<> {
    let handled = handled.clone();
    handler!(
        [handled] | delivery | {
            if numbers(&delivery).iter().any(|number| poison.contains(number)) {
                return Err("poison".into());
            }
            handled.push(numbers(&delivery));
            Ok(Action::Continue)
        }
    )
}

#[tokio::test]
async fn only_what_is_at_fault_is_parked() {
    let place = Place::of(50);
    let (handled, parked, events) = (Seen::default(), Seen::default(), Seen::default());
    let (record, to) = (handled.clone(), parked.clone());
    let poison = [7_u64, 8, 50];
    let worker = place
        .worker()
        .max_batch(20, usize::MAX)
        .restart(RestartPolicy::Bounded {
            max_restarts: 4,
            within: Duration::from_hours(1),
        })
        .park_after(3, move |it: Parked| {
            let to = to.clone();
            async move {
                to.push((it.message.sequence.get(), it.evidence.attempt));
                Ok(())
            }
        })
        .on_event(events.call())
        .start(handler!(
            [record] | delivery | {
                if numbers(&delivery).iter().any(|number| poison.contains(number)) {
                    return Err("poison".into());
                }
                record.extend(numbers(&delivery));
                Ok(Action::Continue)
            }
        ))
        .await
        .unwrap();
    let status = until(&worker, |status| {
        status.committed.sequence.get() == 50 && status.parked == 3
    })
    .await;
    assert_eq!(status.handled, 47);
    assert_eq!(parked.all(), [(7, 3), (8, 3), (50, 3)]);
    let expected: Vec<u64> = (1..=50).filter(|number| !poison.contains(number)).collect();
    assert_eq!(handled.all(), expected, "each once, in order");
    assert_eq!(events.names().iter().filter(|name| **name == "parked").count(), 3);
    worker.stop_and_join().await.unwrap();
    assert_eq!(place.stored().await, Some(50));
}

#[tokio::test]
async fn what_cannot_be_parked_is_tried_again() {
    let place = Place::of(3);
    let asked = Seen::default();
    let record = asked.clone();
    let handled = Seen::default();
    let on_two = fails_on(&[2], &handled);
    let worker = place
        .worker()
        .park_after(1, move |it: Parked| {
            record.push(it.evidence.attempt);
            let asked = record.all().len();
            async move {
                if asked < 3 {
                    Err("the depot is closed".into())
                } else {
                    Ok(())
                }
            }
        })
        .start(on_two)
        .await
        .unwrap();
    until(&worker, |status| status.committed.sequence.get() == 3).await;
    assert_eq!(
        asked.all(),
        [1, 2, 3],
        "the message is given to the handler again, too"
    );
    assert_eq!(handled.all().concat(), [1, 3]);
}

#[tokio::test]
async fn a_closed_depot_exhausts_the_budget_too() {
    let place = Place::of(3);
    let worker = place
        .worker()
        .restart(RestartPolicy::Once)
        .park_after(1, async |_: Parked| Err("the depot is closed".into()))
        .start(async |_: Delivery| Err("poison".into()))
        .await
        .unwrap();
    let error = worker.join().await.unwrap_err();
    assert!(
        matches!(error, WorkerError::Handler { restarts: 1, .. }),
        "{error:?}"
    );
    assert_eq!(place.stored().await, Some(0));
}
