//! Leases on object stores: the suite of the conformance kit in memory and in a directory, and every request of a round
//! going wrong in turn.

mod every_call;

use std::collections::HashMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore, LeaseHarness, ManualClock, overwrite_cell};
use alluvium_core::{Acquired, Clock, ErrorKind, LeaseError, LeaseStore};
use alluvium_object_store::{LeaseStoreOptions, LocalStore, ObjectStoreLeaseStore};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

fn open(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> ObjectStoreLeaseStore {
    let options = LeaseStoreOptions::default()
        .clock(clock)
        .request_timeout(Duration::from_secs(5));
    ObjectStoreLeaseStore::new(store, Path::from("some/where"), options)
}

fn memory(dir: &FsPath) -> Arc<dyn ObjectStore> {
    static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
    Arc::clone(STORES.lock().unwrap().entry(dir.to_owned()).or_default()) as _
}

async fn files(dir: &FsPath) -> Arc<dyn ObjectStore> {
    let path = dir.to_owned();
    let store = tokio::task::spawn_blocking(move || LocalStore::open(path).expect("a directory is opened"));
    Arc::new(store.await.expect("opening a directory does not panic"))
}

/// A store in memory for each place.
#[derive(Default)]
struct Memory;

#[async_trait]
impl LeaseHarness for Memory {
    async fn open_leases(
        &self,
        dir: &FsPath,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        Ok(Arc::new(open(memory(dir), clock)))
    }

    async fn overwrite_record(&self, dir: &FsPath, name: &str, bytes: Bytes) {
        overwrite_cell(&open(memory(dir), Arc::new(ManualClock::default())), name, bytes).await;
    }
}

/// The files below a directory.
#[derive(Default)]
struct Files;

#[async_trait]
impl LeaseHarness for Files {
    async fn open_leases(
        &self,
        dir: &FsPath,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        Ok(Arc::new(open(files(dir).await, clock)))
    }

    async fn overwrite_record(&self, dir: &FsPath, name: &str, bytes: Bytes) {
        overwrite_cell(
            &open(files(dir).await, Arc::new(ManualClock::default())),
            name,
            bytes,
        )
        .await;
    }
}

mod in_memory {
    use super::Memory;

    alluvium_conformance::lease_suite!(Memory);
}

mod in_files {
    use super::Files;

    alluvium_conformance::lease_suite!(Files);
}

const TTL: Duration = Duration::from_secs(30);

/// Two rounds, the first one abandoned.
async fn rounds(leases: &dyn LeaseStore) -> Result<bool, LeaseError> {
    let Acquired::Yes(lease) = leases.try_acquire("export", "a", TTL).await? else {
        return Ok(false);
    };
    let lease = leases.renew(&lease, TTL).await?;
    leases.abandon(lease).await?;
    let Acquired::Yes(lease) = leases.try_acquire("export", "a", TTL).await? else {
        return Ok(false);
    };
    leases.complete(lease, "done", TTL).await?;
    Ok(leases
        .read("export")
        .await?
        .is_some_and(|record| record.last.is_some()))
}

/// One run with one fault. Gives whether it has come. A fault that passes is not seen. After one that stays the lease is somebody
/// else's when it is over, at the latest.
async fn run(fault: Fault, call: u64) -> bool {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = ManualClock::default();
    let faulty = FaultyStore::failing(Arc::clone(&inner), call, fault);
    let leases = open(Arc::new(faulty.clone()), Arc::new(clock.clone()));
    let when = format!("{fault:?} at call {call}");
    match rounds(&leases).await {
        Ok(done) => assert!(done, "{when}: a lease was lost to nobody"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Transient, "{when}: {error:?}");
            assert!(
                !matches!(fault, Fault::Fail | Fault::LoseTheAnswer),
                "{when}: {error:?}"
            );
        }
    }
    clock.forward(TTL * 2);
    let next = open(inner, Arc::new(clock)).try_acquire("export", "b", TTL).await;
    assert!(matches!(next, Ok(Acquired::Yes(_))), "{when}: {next:?}");
    faulty.calls() >= call
}

every_call::faults!(run, at_least: 10);
