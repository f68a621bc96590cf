//! Who looks at the pointer all the time, and at every artifact that it ever names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium::artifact::{ArtifactManifest, ManifestId, PackId};
use alluvium::{ArtifactKey, Bootstrap, EngineTable, MemoryEngine, Table, Transport};
use alluvium_e2e::feed::Ledger;
use alluvium_e2e::state::rows;
use alluvium_e2e::wait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Between two looks at the pointer.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// An artifact that was the newest.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) id: ManifestId,
    pub(super) manifest: ArtifactManifest,
}

impl Artifact {
    pub(super) fn sequence(&self) -> u64 {
        self.manifest.cursor.sequence.get()
    }
}

/// What was seen.
pub(super) struct Seen {
    /// Every artifact that was published, in order.
    pub(super) artifacts: Vec<Artifact>,
    /// The most packs at a time that nothing in the history named.
    pub(super) most_garbage: usize,
}

/// Looks at the pointer until it is told to end.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    newest: Arc<AtomicU64>,
    watcher: JoinHandle<Vec<Artifact>>,
    checker: JoinHandle<usize>,
}

impl Watch {
    pub(super) fn start(transport: Arc<dyn Transport>, key: ArtifactKey, ledger: Ledger) -> Self {
        let (over, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (to_check, published) = mpsc::unbounded_channel();
        let watcher = tokio::spawn(watch(
            Arc::clone(&transport),
            key.clone(),
            Arc::clone(&over),
            Arc::clone(&newest),
            to_check,
        ));
        let checker = tokio::spawn(check(transport, key, ledger, published));
        Self {
            over,
            newest,
            watcher,
            checker,
        }
    }

    /// Where the newest artifact is at; 0 if there is none.
    ///
    /// # Panics
    ///
    /// If something was wrong with one.
    pub(super) fn newest(&self) -> u64 {
        assert!(
            !self.watcher.is_finished() && !self.checker.is_finished(),
            "something is wrong with an artifact: see above"
        );
        self.newest.load(Ordering::Relaxed)
    }

    /// Looks once more. What was seen, when all of it was checked.
    ///
    /// # Panics
    ///
    /// If something was wrong.
    pub(super) async fn end(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        let artifacts = self.watcher.await.expect("the pointer was always right");
        let most_garbage = self.checker.await.expect("every artifact was the truth");
        Seen {
            artifacts,
            most_garbage,
        }
    }
}

async fn watch(
    transport: Arc<dyn Transport>,
    key: ArtifactKey,
    over: Arc<AtomicBool>,
    told: Arc<AtomicU64>,
    to_check: mpsc::UnboundedSender<Artifact>,
) -> Vec<Artifact> {
    let mut seen: Vec<Artifact> = Vec::new();
    loop {
        let is_last = over.load(Ordering::Relaxed);
        let newest = transport.newest(&key).await.expect("the pointer is read");
        let last = seen.last().map(|artifact| artifact.id);
        match newest {
            None => assert!(last.is_none(), "the pointer is gone"),
            Some((id, _)) if Some(id) == last => {}
            Some((id, manifest)) => {
                // It, and what was published since the last look, newest first.
                let mut new = vec![Artifact { id, manifest }];
                while let Some(parent) = new[new.len() - 1].manifest.parent
                    && Some(parent) != last
                {
                    let manifest = transport.manifest_of(&key, parent).await;
                    let manifest = manifest.expect("what was just published is in the history");
                    new.push(Artifact { id: parent, manifest });
                }
                for artifact in new.into_iter().rev() {
                    let before = seen.last();
                    assert_eq!(
                        artifact.manifest.parent,
                        before.map(|before| before.id),
                        "what was published is not a chain"
                    );
                    assert!(
                        before.is_none_or(|before| before.sequence() < artifact.sequence()),
                        "the cursor fell from {before:?} to {artifact:?}"
                    );
                    told.store(artifact.sequence(), Ordering::Relaxed);
                    // Nobody checks any more if one was wrong, which is told at the end.
                    let _ = to_check.send(artifact.clone());
                    seen.push(artifact);
                }
            }
        }
        if is_last {
            return seen;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Fills a table from every artifact, and compares it with what was written up to its cursor. The most packs at a time that
/// nothing named.
async fn check(
    transport: Arc<dyn Transport>,
    key: ArtifactKey,
    ledger: Ledger,
    mut published: mpsc::UnboundedReceiver<Artifact>,
) -> usize {
    let mut most_garbage = 0;
    while let Some(artifact) = published.recv().await {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let engine = Arc::new(MemoryEngine::in_memory());
        let table: Arc<dyn Table> = Arc::new(EngineTable::open(engine, "kv").expect("a table"));
        let bootstrap = Bootstrap::new(Arc::clone(&transport), key.clone(), scratch.path().join("s"));
        let done = bootstrap.at(artifact.manifest.cursor.sequence).run(&table).await;
        let done = done.unwrap_or_else(|error| panic!("{artifact:?} cannot be used: {error:?}"));
        assert_eq!(done.id, artifact.id, "another artifact has the same cursor");
        // A node can know of a message before whoever wrote it is told.
        let sequence = artifact.sequence();
        wait::until(PATIENCE, "the ledger tells of what is in the artifact", || {
            ledger.last() >= sequence
        })
        .await;
        assert!(
            rows(table.as_ref()) == ledger.at(sequence),
            "{artifact:?} is not the truth"
        );
        most_garbage = most_garbage.max(garbage(&transport, &key).await);
    }
    most_garbage
}

/// How many packs there are that nothing in the history names.
async fn garbage(transport: &Arc<dyn Transport>, key: &ArtifactKey) -> usize {
    // Listed before the history is: what is published after that is not garbage.
    let packs = transport.packs(key).await.expect("packs are listed");
    let mut named: BTreeSet<PackId> = BTreeSet::new();
    for id in transport.history(key).await.expect("the history is listed") {
        // One that was pruned since names nothing.
        if let Ok(manifest) = transport.manifest_of(key, id).await {
            named.extend(manifest.packs());
        }
    }
    packs.iter().filter(|(id, _)| !named.contains(id)).count()
}
