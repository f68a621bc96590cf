//! What the tests of the suite share: a place that cursors are in, and records.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::{
    Cursor, CursorRecord, CursorStore, CursorStoreError, HeldCursor, LogIdentity, Scope, Sequence, Table,
    Timestamp,
};

use crate::CursorStoreHarness;
use crate::support::Directory;

/// A place that cursors are in, gone when the test is over.
pub(super) struct Place<'h> {
    harness: &'h dyn CursorStoreHarness,
    directory: Directory,
}

impl<'h> Place<'h> {
    pub(super) fn new(harness: &'h dyn CursorStoreHarness) -> Self {
        Self {
            harness,
            directory: Directory::new(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path()
    }

    /// The name that the tests of one cursor use.
    pub(super) fn name(&self) -> &'static str {
        self.harness.name()
    }

    /// A handle as another process has one.
    pub(super) async fn open(&self) -> Arc<dyn CursorStore> {
        self.harness.open_cursors(&self.path()).await.unwrap()
    }

    /// A handle of another process, which holds the name.
    pub(super) async fn hold(&self) -> Arc<dyn HeldCursor> {
        self.open().await.hold(self.name()).await.unwrap()
    }

    /// Lets go of everything, so that another process can open it.
    pub(super) async fn close(&self) {
        self.harness.close_cursors(&self.path()).await;
    }

    /// Puts bytes where the record is.
    pub(super) async fn overwrite(&self, name: &str, bytes: &[u8]) {
        let bytes = bytes.to_vec().into();
        self.harness.overwrite_record(&self.path(), name, bytes).await;
    }

    /// The table that the cursor is in.
    pub(super) async fn table(&self) -> Arc<dyn Table> {
        let table = self.harness.table(&self.path()).await;
        table.expect("a table: use cursor_store_suite!(…, table) only for cursors that are in one")
    }
}

/// Runs a test on a new place, with a handle of it.
pub(super) fn with_place(
    harness: &dyn CursorStoreHarness,
    test: impl AsyncFnOnce(&Place<'_>, Arc<dyn CursorStore>),
) {
    let place = Place::new(harness);
    block_on(async {
        let handle = place.open().await;
        test(&place, handle).await;
    });
}

pub(super) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// The record at a sequence of one log.
pub(super) fn at(sequence: u64) -> CursorRecord {
    let nanos = i64::try_from(sequence).unwrap() + 1_000;
    let start = Cursor::start_of(LogIdentity::new("ORDERS", Timestamp::from_nanos(1)));
    let cursor = start.at(Sequence::new(sequence), Timestamp::from_nanos(nanos));
    CursorRecord::new(cursor, Scope::of(["orders.>", "refunds.*"]).unwrap())
}

/// Asserts that a call is refused because somebody else holds the name.
#[track_caller]
pub(super) fn assert_fenced<T>(outcome: Result<T, CursorStoreError>) {
    match outcome {
        Err(CursorStoreError::Fenced { .. }) => {}
        Err(error) => panic!("it should be fenced: {error:?}"),
        Ok(_) => panic!("it should be fenced"),
    }
}
