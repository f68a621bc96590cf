//! Who remembers what participants told, and holds the store to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium::checkpoint::{LATEST, MANIFEST, Manifest, manifest_path, partition_path, retained};
use alluvium::{CheckpointId, Checkpointer, Epoch};
use alluvium_object_store::ObjectStoreCheckpointer;
use futures_util::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::participant::state::{self, OPERATOR, PARTITIONS, ROUND, content};
use crate::participant::{Place, Told};

/// What was told so far, and what was found.
pub(super) struct Witness {
    checkpointer: ObjectStoreCheckpointer,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The last that was announced, as far as its participant said so.
    announced: Option<(CheckpointId, Epoch)>,
    /// The last that was begun.
    began: Option<CheckpointId>,
    /// The checkpoints of which there was anything at the last look.
    known: BTreeSet<CheckpointId>,
}

impl Witness {
    pub(super) fn open(place: &Place) -> Self {
        let (store, prefix) = place.store();
        Self {
            checkpointer: ObjectStoreCheckpointer::new(Arc::clone(&store), prefix.clone(), state::options()),
            store,
            prefix,
            announced: None,
            began: None,
            known: BTreeSet::new(),
        }
    }

    pub(super) fn hear(&mut self, told: &Told) {
        match told {
            Told::Began(id) => self.began = Some(*id),
            Told::Announced(id, epoch) => {
                assert!(
                    self.announced.is_none_or(|(last, of)| last < *id && of < *epoch),
                    "{id} of epoch {epoch} is announced after {:?}",
                    self.announced
                );
                self.announced = Some((*id, *epoch));
            }
            // It waited for leave when it was killed.
            Told::Step(_) | Told::Pruned(_) => {}
            other => panic!("the participant says {other:?}"),
        }
    }

    /// After a kill, before which this was told and not heard yet: what is announced is whole, and so is whatever is
    /// complete; of what is not there is one at most.
    pub(super) async fn after_kill(&mut self, told: &[Told], when: &str) {
        for one in told {
            self.hear(one);
        }
        let latest = self.checkpointer.read_latest().await.expect("_latest is read");
        let told = self.announced.map(|(id, _)| id);
        assert!(
            latest == told || (latest == self.began && latest > told),
            "{when}: _latest names {latest:?}, announced was {told:?}"
        );
        if let Some(latest) = latest {
            let manifest = whole(&self.checkpointer, latest, when).await;
            self.announced = Some((latest, manifest.epoch));
        }
        let there = self.there().await;
        let complete = self.complete(when).await;
        for (id, manifest) in &complete {
            let manifest = manifest.as_ref().expect("every manifest was read");
            let missing: Vec<_> = manifest
                .files()
                .filter(|file| !there.contains(&file.path))
                .collect();
            assert!(missing.is_empty(), "{when}: {id} lacks {missing:?}");
        }
        let ids = checkpoints(&there);
        let new: Vec<_> = ids.difference(&self.known).collect();
        let unfinished = new.iter().filter(|id| !complete.contains_key(id)).count();
        assert!(
            new.len() <= ROUND && unfinished <= 1,
            "{when}: {unfinished} of {new:?} are unfinished"
        );
        self.known = ids;
    }

    /// After a prune, while nobody else is at work: nothing is there but what is kept, and the marks on what this prune
    /// has given up.
    pub(super) async fn after_prune(&mut self, abandoned: &[CheckpointId]) {
        let when = "after a prune";
        let latest = self.checkpointer.read_latest().await.expect("_latest is read");
        let complete = self.complete(when).await;
        let kept = retained(&complete, latest, state::retention().keep);
        let named = kept.iter().filter_map(|id| complete.get(id)?.as_ref());
        let files = named.flat_map(Manifest::files).map(|file| file.path.clone());
        let manifests = kept.iter().chain(abandoned).map(|id| manifest_path(*id));
        let pointer = latest.map(|_| LATEST.to_owned());
        let expected: BTreeSet<String> = files.chain(manifests).chain(pointer).collect();
        let there = self.there().await;
        assert_eq!(there, expected, "{when}");
        self.known = checkpoints(&there);
    }

    /// After all kills: nothing is left of them once it was pruned, not even a mark, and what is kept is whole.
    pub(super) async fn after_all(&mut self) {
        assert!(self.announced.is_some(), "nothing was ever announced");
        for _ in 0..2 {
            let pruned = self.checkpointer.prune(state::retention()).await;
            let pruned = pruned.expect("what is left is pruned");
            self.after_prune(&pruned.abandoned).await;
        }
        let complete = self.complete("after all").await;
        for id in complete.keys() {
            whole(&self.checkpointer, *id, "after all").await;
        }
        let manifests = self.there().await;
        let manifests = manifests.iter().filter(|path| path.ends_with(MANIFEST)).count();
        assert_eq!(manifests, complete.len(), "there are marks left");
    }

    /// The complete checkpoints.
    async fn complete(&self, when: &str) -> BTreeMap<CheckpointId, Option<Manifest>> {
        let listed = self.checkpointer.list_checkpoints().await;
        let mut complete = BTreeMap::new();
        for id in listed.expect("checkpoints are listed") {
            let manifest = self.checkpointer.load_manifest(id).await;
            let manifest = manifest.unwrap_or_else(|error| panic!("{when}: {id} {error}"));
            complete.insert(id, Some(manifest));
        }
        complete
    }

    /// The paths of everything that is there, below the prefix.
    async fn there(&self) -> BTreeSet<String> {
        let listed = self.store.list(Some(&self.prefix)).try_collect::<Vec<_>>().await;
        let path = |object: object_store::ObjectMeta| {
            let parts = object.location.prefix_match(&self.prefix);
            let parts = parts.expect("it is below the prefix");
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            parts.join("/")
        };
        listed
            .expect("objects are listed")
            .into_iter()
            .map(path)
            .collect()
    }
}

/// Loads a checkpoint and its chain, every byte of it, and holds it to what its participants have saved. Gives its
/// manifest.
pub(super) async fn whole(checkpointer: &dyn Checkpointer, id: CheckpointId, when: &str) -> Manifest {
    let loaded = state::chain(checkpointer, id).await;
    let (manifest, chain) = loaded.unwrap_or_else(|error| panic!("{when}: {id} {error}"));
    for partition in 0..PARTITIONS {
        let files = chain.files(OPERATOR, partition);
        assert!(!files.is_empty(), "{when}: {id} has no partition {partition}");
        // Every checkpoint has every partition: so the oldest file of each is of the oldest checkpoint.
        for (file, of) in files.into_iter().zip(chain.checkpoints().iter().rev()) {
            let path = partition_path(*of, OPERATOR, partition, file.kind()).expect("a short name");
            assert_eq!(file.path, path, "{when}: in the chain of {id}");
            let bytes = checkpointer.load(file).await;
            let bytes = bytes.unwrap_or_else(|error| panic!("{when}: {path} {error}"));
            assert!(
                bytes == content(*of, partition, file.kind()),
                "{when}: {path} holds something else"
            );
        }
    }
    manifest
}

/// The checkpoints that objects at these paths are of.
fn checkpoints(paths: &BTreeSet<String>) -> BTreeSet<CheckpointId> {
    let ids = paths
        .iter()
        .filter_map(|path| path.split('/').next()?.parse().ok());
    ids.collect()
}
