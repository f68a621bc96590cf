//! What is done with a store that cannot be used, and what it says.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    AssignmentVersion, BackendError, Epoch, ErrorKind, InstanceId, OpenError, StateBackend, StateConfig,
    Vnode, VnodeCount,
};
use bytes::Bytes;

/// Until everything must have ended: several times what the requests of one call may take.
const LONGEST: Duration = Duration::from_mins(1);

/// An error, with all that it can be made to say.
pub(super) struct Said {
    doing: &'static str,
    kind: ErrorKind,
    text: String,
}

impl Said {
    pub(super) fn new(doing: &'static str, kind: ErrorKind, error: &(dyn Error + 'static)) -> Self {
        let texts: Vec<String> = iter::successors(Some(error), |&error| error.source())
            .map(|error| format!("{error}\n{error:?}\n{error:#?}"))
            .collect();
        let text = texts.join("\n");
        Self { doing, kind, text }
    }

    /// What is said of a place when it is opened.
    pub(super) async fn of_open(config: &StateConfig) -> Self {
        match within(config.open()).await {
            Ok(_) => panic!("it was opened: {config:?}"),
            Err(error) => Self::new("open", error.kind(), &error),
        }
    }

    /// What each call says that has to ask the store: of a new handle and of one that was there before.
    pub(super) async fn of_everything(config: &StateConfig, backend: &Arc<dyn StateBackend>) -> Vec<Self> {
        let [first, next, later] = [1, 2, 3].map(epoch);
        let every = every_vnode();
        within(async {
            // One after the other would take their time in turn.
            let (open, write, sealed, read, latest, prune) = tokio::join!(
                Self::of_open(config),
                write(backend, next),
                backend.epoch_complete(later, &every),
                backend.read_partial(every[0], later),
                backend.latest_complete(),
                backend.prune_before(first),
            );
            let calls = [
                ("write", write.err()),
                ("seal", sealed.err()),
                ("read", read.err()),
                ("look for the latest", latest.err()),
                ("prune", prune.err()),
            ];
            let calls = calls.into_iter().map(|(doing, error)| {
                let error = error.unwrap_or_else(|| panic!("{doing} did not fail"));
                Self::new(doing, error.kind(), &error)
            });
            iter::once(open).chain(calls).collect()
        })
        .await
    }

    /// Checks that it is this kind of error, gives this advice, and tells none of these secrets.
    pub(super) fn check(&self, kind: ErrorKind, advice: &str, hidden: &[String]) {
        let Self { doing, text, .. } = self;
        assert_eq!(self.kind, kind, "{doing}: {text}");
        assert!(text.contains(advice), "{doing}: {text}");
        for secret in hidden {
            assert!(!text.contains(secret), "{doing} tells {secret}: {text}");
        }
    }
}

/// Awaits what has to end.
pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONGEST, work)
        .await
        .expect("an end within bounded time")
}

/// Does again what fails for a reason that passes, as the kind of the error asks for: a client that waits for one second
/// may wait in vain for a server that is only busy.
pub(super) async fn until_done<T>(call: impl AsyncFn() -> Result<T, OpenError>) -> T {
    within(async {
        loop {
            match call().await {
                Ok(done) => return done,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}"),
            }
        }
    })
    .await
}

/// What must not be told of options: everything that says who somebody is, but for the account, which is in every URL.
pub(super) fn secrets(options: &[(String, String)]) -> Vec<String> {
    let is_secret = |name: &str| name.contains("key");
    let secrets = options.iter().filter(|(name, _)| is_secret(name));
    secrets.map(|(_, value)| value.clone()).collect()
}

/// Writes and seals an epoch.
pub(super) async fn seal(backend: &Arc<dyn StateBackend>, epoch: Epoch) -> Result<(), BackendError> {
    write(backend, epoch).await?;
    assert!(
        backend.epoch_complete(epoch, &every_vnode()).await?,
        "{epoch} is whole"
    );
    Ok(())
}

/// Checks that an epoch is there, with what was written.
pub(super) async fn check_sealed(backend: &Arc<dyn StateBackend>, epoch: Epoch) -> Result<(), BackendError> {
    for vnode in every_vnode() {
        let read = backend.read_partial(vnode, epoch).await?;
        assert_eq!(
            read,
            Some(content(epoch, vnode)),
            "epoch {epoch} of vnode {vnode}"
        );
    }
    Ok(())
}

async fn write(backend: &Arc<dyn StateBackend>, epoch: Epoch) -> Result<(), BackendError> {
    let partials = every_vnode()
        .into_iter()
        .map(|vnode| (vnode, content(epoch, vnode)))
        .collect();
    let version = AssignmentVersion::new(1);
    backend.write_partials(epoch, version, partials).await
}

fn content(epoch: Epoch, vnode: Vnode) -> Bytes {
    format!("epoch {epoch} of vnode {vnode}").into()
}

pub(super) fn epoch(number: u64) -> Epoch {
    Epoch::new(number).expect("an epoch")
}

pub(super) fn instance() -> InstanceId {
    InstanceId::new("node").expect("a plain name")
}

pub(super) fn vnodes() -> VnodeCount {
    VnodeCount::new(4).expect("a count within its range")
}

fn every_vnode() -> Vec<Vnode> {
    vnodes().vnodes().collect()
}
