//! An export that is dropped leaves nothing running.

use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::Transport as _;
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use alluvium_runtime::{ExportOptions, Exporter};
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::sync::Notify;

use crate::place::{exporter, fill, key, rows_in, rows_of, table, transport};
use crate::published;
use crate::watched::WatchedTable;

/// More than waits for it to happen.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn whoever_drops_an_export_lets_the_snapshot_go_and_publishes_nothing() {
    // Calls at which the store hangs: in front of the upload, and in the middle of it.
    for call in 1..=12 {
        let sound = Arc::new(InMemory::new());
        let store = FaultyStore::failing(sound.clone(), call, Fault::TimeOut);
        let limits = TransportOptions::default().part_bytes(64_000).parts_in_flight(2);
        let hangs = Arc::new(ObjectStoreTransport::new(
            Arc::new(store.clone()),
            Path::from("fleet"),
            limits,
        ));
        let inner = table();
        fill(inner.as_ref(), 0..20_000, 100);
        let (watched, gone) = WatchedTable::new(inner.clone());
        let (first, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let tells = Arc::clone(&told);
        let options = ExportOptions::default()
            .segment_bytes(50_000)
            .on_progress(move |_| tells.notify_one());
        let hangs = Exporter::new(Arc::new(watched), hangs, key(), options);
        drop(first);
        tokio::select! {
            exported = hangs.export() => panic!("call {call} did not hang: {exported:?}"),
            // Either it has begun to upload, or it has been hanging for long enough to be dropped as it is.
            () = told.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        if call > 3 {
            let gone = tokio::task::spawn_blocking(move || gone.recv_timeout(PATIENCE))
                .await
                .unwrap();
            gone.expect("the snapshot is let go");
        }
        let transport = transport(sound);
        assert_eq!(transport.manifest(&key()).await.unwrap(), None, "call {call}");
        let report = published(exporter(&inner, &transport).export().await.unwrap());
        assert_eq!(
            rows_in(transport.as_ref(), &report.published.manifest).await,
            rows_of(inner.as_ref())
        );
    }
}
