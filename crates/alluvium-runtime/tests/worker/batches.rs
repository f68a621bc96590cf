//! How much a delivery holds.

use std::time::Duration;

use alluvium_runtime::Action;

use crate::place::Place;
use crate::seen::Seen;
use crate::support::{handler, numbers, until};

/// The deliveries of so many messages of about 10 bytes each.
async fn deliveries(place: &Place, max_messages: usize, max_bytes: usize, expected: u64) -> Vec<Vec<u64>> {
    let seen = Seen::default();
    let record = seen.clone();
    let worker = place.worker().max_batch(max_messages, max_bytes).start(handler!(
        [record] | delivery | {
            record.push(numbers(&delivery));
            Ok(Action::Continue)
        }
    ));
    let worker = worker.await.unwrap();
    until(&worker, |status| status.handled == expected).await;
    worker.stop_and_join().await.unwrap();
    seen.all()
}

#[tokio::test]
async fn it_is_bounded_by_count_and_by_bytes() {
    let all = |batches: Vec<Vec<u64>>| batches.concat();
    assert_eq!(
        deliveries(&Place::of(5), 2, usize::MAX, 5).await,
        [vec![1, 2], vec![3, 4], vec![5]]
    );
    // `a.1` and `1` are 4 bytes.
    assert_eq!(
        deliveries(&Place::of(5), 100, 8, 5).await,
        [vec![1, 2], vec![3, 4], vec![5]]
    );
    assert_eq!(
        deliveries(&Place::of(5), 100, 9, 5).await,
        [vec![1, 2, 3], vec![4, 5]]
    );
    let singles = deliveries(&Place::of(5), 100, 0, 5).await;
    assert_eq!(singles, [[1], [2], [3], [4], [5]], "one is always in it");
    assert_eq!(deliveries(&Place::of(3), 0, 0, 3).await, [[1], [2], [3]]);
    let large = deliveries(&Place::of(5_000), usize::MAX, usize::MAX, 5_000).await;
    assert_eq!(all(large), (1..=5_000).collect::<Vec<_>>());
}

/// The clock is the test's own: what is slept is the time that passes between messages.
#[tokio::test(start_paused = true)]
async fn a_delivery_waits_for_more_where_it_may() {
    let place = Place::of(1);
    let seen = Seen::default();
    let record = seen.clone();
    let builder = place
        .worker()
        .max_batch(3, usize::MAX)
        .linger(Duration::from_secs(10));
    let worker = builder.start(handler!(
        [record] | delivery | {
            record.push((numbers(&delivery), tokio::time::Instant::now()));
            Ok(Action::Continue)
        }
    ));
    let started = tokio::time::Instant::now();
    let worker = worker.await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    place.add(1);
    until(&worker, |status| status.handled == 2).await;
    let [(first, at)] = &seen.all()[..] else {
        panic!("one delivery")
    };
    assert_eq!(
        (first.as_slice(), (*at - started).as_secs()),
        (&[1, 2][..], 10),
        "it waits from its first message on"
    );

    place.add(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.add(2);
    until(&worker, |status| status.handled == 5).await;
    let (second, full_at) = &seen.all()[1];
    assert_eq!(
        (second.as_slice(), (*full_at - *at).as_secs()),
        (&[3, 4, 5][..], 1),
        "what is full does not wait"
    );

    place.add(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stopped = tokio::time::Instant::now();
    worker.stop_and_join().await.unwrap();
    assert!(
        stopped.elapsed() < Duration::from_secs(1),
        "who is to stop does not wait either"
    );
}
