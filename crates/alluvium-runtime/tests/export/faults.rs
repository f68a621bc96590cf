//! Whatever fails, the newest artifact is whole, and the next export is as if nothing had been.

use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::artifact::{BaseReason, ExportPlan};
use alluvium_core::{ErrorKind, Table as _, TableError, Transport as _, TransportError};
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use alluvium_runtime::{ExportError, ExportOptions, Exported, Exporter};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::place::{
    delete, exporter, exporter_with, fill, key, objects, put, rows_in, rows_of, table, transport,
};
use crate::published;
use crate::watched::WatchedTable;

const POINTER: &str = "fleet/routes.manifest.json";

#[tokio::test]
async fn a_damaged_pointer_is_told_and_replaced_by_a_whole_table() {
    let store = Arc::new(InMemory::new());
    let (table, transport) = (table(), transport(store.clone()));
    put(table.as_ref(), "eu", "1");
    published(exporter(&table, &transport).export().await.unwrap());
    put(table.as_ref(), "us", "1");
    store.put(&Path::from(POINTER), "{".into()).await.unwrap();
    let report = published(exporter(&table, &transport).export().await.unwrap());
    assert_eq!(report.plan, ExportPlan::Base(BaseReason::First));
    let damage = report.replaced_damaged.unwrap();
    assert!(damage.contains("routes.manifest.json is damaged"), "{damage}");
    assert_eq!(report.published.manifest.parent, None);
    assert_eq!(
        rows_in(transport.as_ref(), &report.published.manifest).await,
        rows_of(table.as_ref())
    );
    put(table.as_ref(), "us", "2");
    let next = published(exporter(&table, &transport).export().await.unwrap());
    assert_eq!(next.replaced_damaged, None);
}

#[tokio::test]
async fn what_a_newer_alluvium_wrote_is_left_alone() {
    let store = Arc::new(InMemory::new());
    let (table, transport) = (table(), transport(store.clone()));
    put(table.as_ref(), "eu", "1");
    store
        .put(&Path::from(POINTER), r#"{"format":99}"#.into())
        .await
        .unwrap();
    let before = objects(store.as_ref()).await;
    let error = exporter(&table, &transport).export().await.unwrap_err();
    assert!(
        matches!(
            error,
            ExportError::Transport(TransportError::Newer { found: 99, .. })
        ),
        "{error:?}"
    );
    assert_eq!(objects(store.as_ref()).await, before);
}

#[tokio::test]
async fn a_table_that_fails_in_the_middle_of_a_scan_publishes_nothing() {
    let store = Arc::new(InMemory::new());
    let (table, transport) = (table(), transport(store.clone()));
    fill(table.as_ref(), 0..5_000, 100);
    for rows in [0, 1, 4_999, 5_000] {
        let failing = Arc::new(WatchedTable::failing(table.clone(), rows));
        let options = ExportOptions::default().segment_bytes(20_000);
        let error = Exporter::new(failing, transport.clone(), key(), options)
            .export()
            .await
            .unwrap_err();
        let table_failed = matches!(&error, ExportError::Table(TableError::Storage { .. }));
        assert!(table_failed, "after {rows} rows: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(
            transport.manifest(&key()).await.unwrap(),
            None,
            "after {rows} rows"
        );
    }
    published(exporter(&table, &transport).export().await.unwrap());
}

/// A base and a delta, each in several segments and parts.
fn options() -> ExportOptions {
    ExportOptions::default().segment_bytes(8_000)
}

fn hasty(store: Arc<dyn ObjectStore>) -> Arc<ObjectStoreTransport> {
    let options = TransportOptions::default()
        .part_bytes(16_000)
        .parts_in_flight(2)
        .request_timeout(Duration::from_millis(100));
    Arc::new(ObjectStoreTransport::new(store, Path::from("fleet"), options))
}

#[tokio::test]
async fn whatever_call_of_the_store_goes_wrong_the_next_export_mends_it() {
    let mut call = 0;
    loop {
        call += 1;
        let mut went_wrong = false;
        for fault in Fault::ALL {
            let sound = Arc::new(InMemory::new());
            let store = FaultyStore::failing(sound.clone(), call, fault);
            let (table, faulty) = (table(), hasty(Arc::new(store.clone())));
            fill(table.as_ref(), 0..400, 100);
            let base = exporter_with(&table, &faulty, options()).export().await;
            fill(table.as_ref(), 100..220, 110);
            delete(table.as_ref(), "bulk.00000300");
            let delta = exporter_with(&table, &faulty, options()).export().await;
            went_wrong |= store.calls() >= call;
            let told = format!("{fault:?} at call {call}: {base:?}, {delta:?}");

            // What is published is whole, wherever it stopped.
            let transport = transport(sound);
            if let Some(newest) = transport.manifest(&key()).await.unwrap() {
                let rows = rows_in(transport.as_ref(), &newest).await;
                if newest.cursor == table.cursor().unwrap() {
                    assert_eq!(rows, rows_of(table.as_ref()), "{told}");
                } else {
                    assert_eq!(rows.len(), 400, "{told}");
                }
            }
            if let Ok(Exported::Published(_)) = delta {
                let newest = transport.manifest(&key()).await.unwrap().unwrap();
                assert_eq!(newest.cursor, table.cursor().unwrap(), "{told}");
            }
            put(table.as_ref(), "after", "all");
            let report = published(exporter(&table, &transport).export().await.unwrap());
            let rows = rows_in(transport.as_ref(), &report.published.manifest).await;
            assert_eq!(rows, rows_of(table.as_ref()), "{told}");
        }
        if !went_wrong {
            break;
        }
    }
    assert!(call > 10, "{call}");
}
