//! What the tests of the suite share: a place that backends are opened in, and contents that can be told apart.

use std::future::Future;
use std::sync::Arc;

use alluvium_core::{
    AssignmentVersion, BackendError, BackendOptions, Epoch, InstanceId, StateBackend, Vnode, VnodeCount,
};
use bytes::Bytes;

use crate::support::Directory;
use crate::{BackendHarness, Random};

/// How many vnodes the tests have.
pub(super) const VNODES: u32 = 16;

/// No fence.
pub(super) const OFF: AssignmentVersion = AssignmentVersion::OFF;

pub(super) fn version(number: u64) -> AssignmentVersion {
    AssignmentVersion::new(number)
}

pub(super) fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

pub(super) fn vnode(number: u32) -> Vnode {
    Vnode::new(number)
}

pub(super) fn vnodes(numbers: impl IntoIterator<Item = u32>) -> Vec<Vnode> {
    numbers.into_iter().map(Vnode::new).collect()
}

/// What the partial of a vnode and epoch is at an attempt to write it: no two are the same, and lengths differ.
pub(super) fn content(vnode: u32, epoch: u64, attempt: u64) -> Bytes {
    let mut random = Random::nth(attempt, epoch * u64::from(VNODES) + u64::from(vnode));
    let length = 24 + random.index(400);
    let mut bytes = format!("{vnode}/{epoch}/{attempt} ").into_bytes();
    bytes.extend(random.bytes(length));
    bytes.into()
}

/// The partials of these vnodes.
pub(super) fn partials(
    numbers: impl IntoIterator<Item = u32>,
    epoch: u64,
    attempt: u64,
) -> Vec<(Vnode, Bytes)> {
    let partial = |number| (Vnode::new(number), content(number, epoch, attempt));
    numbers.into_iter().map(partial).collect()
}

/// A place that backends are opened in, gone when the test is over.
pub(super) struct Place<'h> {
    pub(super) harness: &'h dyn BackendHarness,
    directory: Directory,
}

pub(super) type Backend = Arc<dyn StateBackend>;

impl<'h> Place<'h> {
    pub(super) fn new(harness: &'h dyn BackendHarness) -> Self {
        Self {
            harness,
            directory: Directory::new(),
        }
    }

    pub(super) async fn try_open(&self, options: BackendOptions) -> Result<Backend, BackendError> {
        self.harness.open_backend(&self.directory.path(), options).await
    }

    /// Opens it as this instance.
    pub(super) async fn open(&self, instance: &str) -> Backend {
        self.try_open(options(instance)).await.unwrap()
    }
}

pub(super) fn options(instance: &str) -> BackendOptions {
    BackendOptions::default()
        .instance(InstanceId::new(instance).unwrap())
        .vnodes(VnodeCount::new(VNODES).unwrap())
}

/// Runs a test on a runtime of its own.
pub(super) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// Runs a test on a backend that is open as `a`.
pub(super) fn with_backend<F: Future<Output = ()>>(
    harness: &dyn BackendHarness,
    test: impl FnOnce(Backend) -> F,
) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        test(Arc::clone(&backend)).await;
        backend.close().await.unwrap();
    });
}

/// Asserts that an epoch holds exactly the partials of these vnodes, of this attempt.
#[track_caller]
pub(super) fn assert_holds(
    backend: &Backend,
    numbers: &[u32],
    number: u64,
    attempt: u64,
) -> impl Future<Output = ()> {
    let (backend, numbers) = (Arc::clone(backend), numbers.to_vec());
    async move {
        for at in 0..VNODES {
            let found = backend.read_partial(vnode(at), epoch(number)).await.unwrap();
            let expected = numbers.contains(&at).then(|| content(at, number, attempt));
            assert!(
                found == expected,
                "vnode {at} of epoch {number} is {:?}, not {:?}",
                found.as_ref().map(start_of),
                expected.as_ref().map(start_of)
            );
        }
    }
}

fn start_of(bytes: &Bytes) -> String {
    let start = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(start).into_owned()
}
