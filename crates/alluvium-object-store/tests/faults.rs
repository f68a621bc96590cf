//! Every request of a run goes wrong in turn, in every way. Nothing that was told to anybody is taken back.

mod every_call;

use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::AssignmentVersion as Version;
use alluvium_core::{BackendError, Epoch, ErrorKind, InstanceId, StateBackend as _, Vnode, VnodeCount};
use alluvium_object_store::{ObjectStoreBackend, ObjectStoreOptions};
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

/// What a run does, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fence(u64),
    Write(u64, &'static str),
    /// A write that has to be refused, for its epoch is sealed with something else.
    WriteLate(u64, &'static str),
    Seal(u64),
    Read(u64, &'static str),
    Prune(u64),
}

/// A run, and what everybody has to find after each step: whose partials epochs 1 and 2 have, and which is complete.
const RUN: &[(Step, Found)] = &[
    (Step::Fence(1), Found(None, None, None)),
    (Step::Write(1, "first"), Found(Some("first"), None, None)),
    (Step::Write(1, "second"), Found(Some("second"), None, None)),
    (Step::Seal(1), Found(Some("second"), None, Some(1))),
    (Step::Seal(1), Found(Some("second"), None, Some(1))),
    (Step::Write(1, "second"), Found(Some("second"), None, Some(1))),
    (Step::WriteLate(1, "late"), Found(Some("second"), None, Some(1))),
    (Step::Read(1, "second"), Found(Some("second"), None, Some(1))),
    (
        Step::Write(2, "third"),
        Found(Some("second"), Some("third"), Some(1)),
    ),
    (Step::Fence(2), Found(Some("second"), None, Some(1))),
    (
        Step::Write(2, "fourth"),
        Found(Some("second"), Some("fourth"), Some(1)),
    ),
    (Step::Seal(2), Found(Some("second"), Some("fourth"), Some(2))),
    (Step::Prune(2), Found(None, Some("fourth"), Some(2))),
    (Step::Read(2, "fourth"), Found(None, Some("fourth"), Some(2))),
];

fn e(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn vnodes() -> Vec<Vnode> {
    VnodeCount::new(2).unwrap().vnodes().collect()
}

fn partials(by: &str) -> Vec<(Vnode, Bytes)> {
    let partial = |vnode| (vnode, by.to_owned().into());
    vnodes().into_iter().map(partial).collect()
}

async fn open(store: &Arc<impl ObjectStore>, instance: &str) -> Result<ObjectStoreBackend, BackendError> {
    let options = ObjectStoreOptions::default()
        .instance(InstanceId::new(instance)?)
        .vnodes(VnodeCount::new(2)?)
        .request_timeout(Duration::from_secs(1));
    ObjectStoreBackend::open(Arc::clone(store) as _, Path::from("state"), options).await
}

/// What is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found(Option<&'static str>, Option<&'static str>, Option<u64>);

impl Found {
    async fn by(reader: &ObjectStoreBackend) -> Self {
        let latest = reader.latest_complete().await.unwrap();
        Self(
            Self::owner(reader, e(1)).await,
            Self::owner(reader, e(2)).await,
            latest.map(Epoch::get),
        )
    }

    async fn owner(reader: &ObjectStoreBackend, epoch: Epoch) -> Option<&'static str> {
        let mut owners = Vec::new();
        for vnode in vnodes() {
            let read = reader.read_partial(vnode, epoch).await.unwrap();
            owners.push(read.map(|bytes| {
                let names = ["first", "second", "late", "third", "fourth"];
                names.into_iter().find(|name| bytes == name.as_bytes()).unwrap()
            }));
        }
        assert!(owners.windows(2).all(|pair| pair[0] == pair[1]), "{owners:?}");
        owners[0]
    }
}

/// Does a step that has to succeed.
async fn perform(backend: &ObjectStoreBackend, step: Step) -> Result<(), BackendError> {
    let version = backend.authoritative_version();
    match step {
        Step::Fence(version) => backend.fence(Version::new(version)).await,
        Step::Write(epoch, by) => backend.write_partials(e(epoch), version, partials(by)).await,
        Step::WriteLate(epoch, by) => match backend.write_partials(e(epoch), version, partials(by)).await {
            Err(BackendError::Sealed { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => panic!("{step:?} was not refused"),
        },
        Step::Seal(epoch) => {
            let complete = backend.epoch_complete(e(epoch), &vnodes()).await?;
            assert!(complete, "{step:?}");
            Ok(())
        }
        Step::Read(epoch, by) => {
            for (vnode, bytes) in partials(by) {
                let read = backend.read_partial(vnode, e(epoch)).await?;
                assert_eq!(read, Some(bytes), "{step:?}");
            }
            Ok(())
        }
        Step::Prune(epoch) => backend.prune_before(e(epoch)).await.map(drop),
    }
}

/// What somebody who looks from outside may find, when a step was begun and when it has ended.
struct Witness {
    store: Arc<InMemory>,
    /// Open all the time.
    old: ObjectStoreBackend,
    when: String,
}

impl Witness {
    async fn finds(&self, one_of: &[Found], step: usize) {
        let when = format!("{}, step {step}", self.when);
        let fresh = open(&self.store, "fresh").await.unwrap();
        for reader in [&self.old, &fresh] {
            let found = Found::by(reader).await;
            assert!(one_of.contains(&found), "{when}: {found:?} is none of {one_of:?}");
        }
        let Found(_, _, Some(sealed)) = Found::by(&fresh).await else {
            return;
        };
        fresh.set_authoritative_version(Version::new(9));
        let split = fresh.epoch_complete(e(sealed), &vnodes()).await;
        assert!(
            matches!(&split, Err(BackendError::SplitBrainCommit { committer, .. }) if committer.as_str() == "a"),
            "{when}: {split:?}"
        );
    }
}

/// One run with one fault. Gives whether it has come.
async fn run(fault: Fault, call: u64) -> bool {
    let store = Arc::new(InMemory::new());
    let faulty = FaultyStore::failing(Arc::clone(&store) as _, call, fault);
    let witness = Witness {
        old: open(&store, "old").await.unwrap(),
        store,
        when: format!("{fault:?} at call {call}"),
    };
    let when = &witness.when;
    // Somebody of the same name, in a new process.
    let restarted = async || open(&witness.store, "a").await.unwrap();
    let mut backend = match open(&Arc::new(faulty.clone()), "a").await {
        Ok(backend) => backend,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Transient, "{when}: {error:?}");
            restarted().await
        }
    };
    let mut before = Found(None, None, None);
    for (place, (step, after)) in RUN.iter().enumerate() {
        let mut failures = 0;
        while let Err(error) = perform(&backend, *step).await {
            assert_eq!(error.kind(), ErrorKind::Transient, "{when}, {step:?}: {error:?}");
            witness.finds(&[before, *after], place).await;
            failures += 1;
            // A fault passes, and death does not.
            if failures == 2 {
                let died = matches!(fault, Fault::CrashBefore | Fault::CrashAfter);
                assert!(died, "{when}, {step:?} does not recover: {error:?}");
                backend = restarted().await;
            }
        }
        witness.finds(&[*after], place).await;
        before = *after;
    }
    faulty.calls() >= call
}

every_call::faults!(run, at_least: 20);
