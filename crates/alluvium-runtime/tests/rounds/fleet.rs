//! Replicas of one log, and where they export to.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{ArtifactKey, KeyRange, LeaseStore, Row, Table, Transport as _};
use alluvium_engine::EngineTable;
use alluvium_memory::MemoryEngine;
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use alluvium_runtime::{ExportSchedule, ExportStatus, Replica, Status};
use alluvium_segment::{Deletes, Merge, SegmentReader};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::log::MemoryLog;

/// For how long a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn key() -> ArtifactKey {
    "routes".parse().unwrap()
}

pub(crate) fn table() -> Arc<EngineTable> {
    Arc::new(EngineTable::open(Arc::new(MemoryEngine::in_memory()), "routes").unwrap())
}

pub(crate) fn rows_of(table: &dyn Table) -> Vec<Row> {
    let rows = table.snapshot().unwrap().scan(&KeyRange::all()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A log, and a store for its artifacts.
pub(crate) struct Fleet {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) transport: Arc<ObjectStoreTransport>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(InMemory::new()))
    }

    pub(crate) fn on(store: Arc<dyn ObjectStore>) -> Self {
        let options = TransportOptions::default();
        Self {
            log: MemoryLog::new(),
            transport: Arc::new(ObjectStoreTransport::new(store, Path::from("fleet"), options)),
        }
    }

    pub(crate) fn schedule(&self) -> ExportSchedule {
        ExportSchedule::new(self.transport.clone(), key())
    }

    /// A replica that has caught up.
    pub(crate) async fn replica(&self, schedule: ExportSchedule) -> Replica {
        let replica = Replica::builder(self.log.clone(), table())
            .export(schedule)
            .start();
        let replica = replica.await.unwrap();
        replica.caught_up().await.unwrap();
        replica
    }

    pub(crate) async fn published(&self) -> usize {
        self.transport.history(&key()).await.unwrap().len()
    }

    /// The rows of the newest artifact.
    pub(crate) async fn newest_rows(&self) -> Vec<Row> {
        let newest = self.transport.manifest(&key()).await.unwrap().unwrap();
        let mut runs = Vec::new();
        for run in &newest.runs {
            let mut rows = Vec::new();
            for segment in &run.segments {
                let bytes = self
                    .transport
                    .segment(&key(), run.pack.unwrap(), segment)
                    .await
                    .unwrap();
                rows.extend(SegmentReader::open(bytes).unwrap().rows(&KeyRange::all()));
            }
            runs.push(rows.into_iter());
        }
        let merged = Merge::new(runs, Deletes::Drop);
        merged.map(|row| row.unwrap().into_row().unwrap()).collect()
    }
}

pub(crate) fn exports(replica: &Replica) -> ExportStatus {
    replica.status().exports.unwrap()
}

/// Waits until a status is as it should be.
pub(crate) async fn until(replica: &Replica, reached: impl Fn(&Status) -> bool) -> Status {
    let mut status = replica.watch_status();
    let waited = tokio::time::timeout(PATIENCE, status.wait_for(|status| reached(status))).await;
    let Ok(reached) = waited else {
        panic!("still {:?}", replica.status());
    };
    reached.unwrap().clone()
}

/// Waits until the rounds of a replica are as they should be.
pub(crate) async fn until_exports(replica: &Replica, reached: impl Fn(&ExportStatus) -> bool) {
    until(replica, |status| status.exports.as_ref().is_some_and(&reached)).await;
}

/// Whether anybody could acquire the lease of the rounds now.
pub(crate) async fn is_free(leases: &dyn LeaseStore, now: alluvium_core::Timestamp) -> bool {
    let record = leases.read("export routes").await.unwrap();
    record.is_none_or(|record| record.standing(now) == alluvium_core::lease::Standing::Free)
}

const POINTER: &str = "fleet/routes.manifest.json";

/// Makes the newest artifact one of a newer Alluvium, which is left alone.
pub(crate) async fn make_unreadable(store: &dyn ObjectStore) {
    store
        .put(&Path::from(POINTER), r#"{"format":99}"#.into())
        .await
        .unwrap();
}

/// Takes that away again.
pub(crate) async fn mend(store: &dyn ObjectStore) {
    store.delete(&Path::from(POINTER)).await.unwrap();
}
