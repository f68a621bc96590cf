//! What makes no sense is refused before anything is done.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::lease::MAX_TTL;
use alluvium_core::{ErrorKind, LeaseStore as _};
use alluvium_runtime::{Action, Delivery, PartitionScopes, Partitions, PartitionsBuilder, PartitionsError};

use super::support::Place;

fn start(builder: PartitionsBuilder) -> Result<Partitions, PartitionsError> {
    builder.start(async |_, worker| Ok(worker.start(async |_: Delivery| Ok(Action::Continue)).await?))
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let place = Place::of(4);
    let named = |name: &str| {
        let scopes = PartitionScopes::new("orders.{partition}.>", 4).unwrap();
        let (log, leases, cursors) = (place.log.clone(), place.leases.clone(), place.cursors.clone());
        Partitions::builder(name, Arc::new(log), scopes, Arc::new(leases), Arc::new(cursors))
    };
    for wrong in [
        named(""),
        named("a\0"),
        named(&"a".repeat(300)),
        named("a").ttl(Duration::ZERO),
        named("a").ttl(MAX_TTL + Duration::from_nanos(1)),
        named("a").processes(0),
        named("a").processes(1_025),
    ] {
        let shown = format!("{wrong:?}");
        let error = start(wrong).expect_err(&shown);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(matches!(error, PartitionsError::Invalid(_)), "{error:?}");
    }
    for fine in ["a", "../a b", &"a".repeat(200)] {
        start(named(fine)).unwrap().stop_and_join().await.unwrap();
        assert!(
            place
                .leases
                .read(&format!("{fine}/process-0"))
                .await
                .unwrap()
                .is_some()
        );
    }
}

/// What the lease store refuses is told by whoever waits for the end.
#[tokio::test(start_paused = true)]
async fn a_holder_without_a_name_ends_it() {
    let place = Place::of(4);
    let builder = place.builder(
        "",
        Arc::new(place.leases.clone()),
        Arc::new(place.cursors.clone()),
    );
    let error = start(builder).unwrap().join().await.unwrap_err();
    assert!(matches!(error, PartitionsError::Lease(_)), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
