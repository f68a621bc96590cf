//! What the tests of the suite share: a place that leases are in, and the clock that they go by.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Acquired, Clock, Lease, LeaseStore};

use crate::support::Directory;
use crate::{LeaseHarness, ManualClock};

pub(super) const NAME: &str = "export routes";
pub(super) const TTL: Duration = Duration::from_secs(30);

/// A place that leases are in, gone when the test is over.
pub(super) struct Place<'h> {
    harness: &'h dyn LeaseHarness,
    directory: Directory,
    pub(super) clock: ManualClock,
}

impl Place<'_> {
    /// A handle as another process has one.
    pub(super) async fn open(&self) -> Arc<dyn LeaseStore> {
        self.open_by(Arc::new(self.clock.clone())).await
    }

    /// The same, by another clock.
    pub(super) async fn open_by(&self, clock: Arc<dyn Clock>) -> Arc<dyn LeaseStore> {
        self.harness
            .open_leases(&self.directory.path(), clock)
            .await
            .unwrap()
    }

    /// Puts bytes where the record is.
    pub(super) async fn overwrite(&self, name: &str, bytes: &[u8]) {
        let bytes = bytes.to_vec().into();
        self.harness
            .overwrite_record(&self.directory.path(), name, bytes)
            .await;
    }
}

/// Runs a test on a new place, with a handle of it.
pub(super) fn with_place(
    harness: &dyn LeaseHarness,
    test: impl AsyncFnOnce(&Place<'_>, Arc<dyn LeaseStore>),
) {
    let place = Place {
        harness,
        directory: Directory::new(),
        clock: ManualClock::default(),
    };
    block_on(async {
        let handle = place.open().await;
        test(&place, handle).await;
    });
}

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// A lease that has to be free.
pub(super) async fn acquire(leases: &dyn LeaseStore, holder: &str) -> Lease {
    match leases.try_acquire(NAME, holder, TTL).await.unwrap() {
        Acquired::Yes(lease) => lease,
        other => panic!("it should be free: {other:?}"),
    }
}

/// Who holds it, and until when.
pub(super) async fn expect_held(leases: &dyn LeaseStore, holder: &str) {
    match leases.try_acquire(NAME, "nobody", TTL).await.unwrap() {
        Acquired::Held { by, .. } => assert_eq!(by, holder),
        other => panic!("{holder} should hold it: {other:?}"),
    }
}
