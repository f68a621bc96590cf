//! What is in a store, as far as it can be read: manifests, the chains that they make, and what `_latest` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium::checkpoint::{Candidates, Chain, Latest, Manifest, candidates};
use alluvium::{CheckpointError, CheckpointId, Checkpointer, ErrorKind};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Named;
use crate::args::StoreArgs;
use crate::error::{Failure, chain as told};

/// How many manifests are read at a time.
const READS: usize = 16;

/// What came of reading a manifest.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    Read(Arc<Manifest>),
    /// It is damaged, or of a newer version.
    Unreadable(String),
    /// There is none.
    Gone,
}

/// A checkpoint and what it builds on.
#[derive(Clone, Debug)]
pub(super) struct Lineage {
    /// As far as it could be followed.
    pub(super) chain: Chain,
    /// Why no further.
    pub(super) broken: Option<String>,
}

/// The manifests of a store, each read once.
pub(super) struct Catalog {
    checkpointer: Arc<dyn Checkpointer>,
    read: BTreeMap<CheckpointId, Reading>,
}

impl Catalog {
    pub(super) fn new(checkpointer: Arc<dyn Checkpointer>) -> Self {
        Self {
            checkpointer,
            read: BTreeMap::new(),
        }
    }

    /// Every complete checkpoint, oldest first, with its manifest read.
    pub(super) async fn list(&mut self) -> Result<Vec<CheckpointId>, CheckpointError> {
        let listed = self.checkpointer.list_checkpoints().await?;
        let reads = stream::iter(listed.clone()).map(|id| {
            let checkpointer = Arc::clone(&self.checkpointer);
            async move { Ok::<_, CheckpointError>((id, read(checkpointer.as_ref(), id).await?)) }
        });
        let read: Vec<_> = reads.buffered(READS).try_collect().await?;
        self.read.extend(read);
        // Whatever was removed since it was listed is not there.
        let is_there = |id: &CheckpointId| !matches!(self.read.get(id), Some(Reading::Gone) | None);
        Ok(listed.into_iter().filter(is_there).collect())
    }

    /// The id of a checkpoint that was named, and that there is.
    pub(super) async fn find(&mut self, named: Named, args: &StoreArgs) -> Result<CheckpointId, Failure> {
        let id = match named {
            Named::Id(id) => id,
            Named::Latest => {
                let latest = self.checkpointer.read_latest().await?;
                latest.ok_or_else(|| Failure::NoLatest {
                    store: args.store.to_string(),
                })?
            }
        };
        if !matches!(self.manifest(id).await?, Reading::Gone) {
            return Ok(id);
        }
        if named == Named::Latest {
            let listed = self.list().await?;
            if let Some(summary) = damage_of(&Latest::Names(id), &listed) {
                return Err(Failure::Damaged { summary });
            }
        }
        Err(CheckpointError::NotFound { id }.into())
    }

    /// The manifest of a checkpoint.
    pub(super) async fn manifest(&mut self, id: CheckpointId) -> Result<Reading, CheckpointError> {
        if let Some(reading) = self.read.get(&id) {
            return Ok(reading.clone());
        }
        let reading = read(self.checkpointer.as_ref(), id).await?;
        self.read.insert(id, reading.clone());
        Ok(reading)
    }

    /// What restores the checkpoint of this manifest.
    pub(super) async fn lineage(&mut self, manifest: &Manifest) -> Result<Lineage, CheckpointError> {
        let mut chain = Chain::new(manifest);
        let mut broken = None;
        while let Some(needed) = chain.needs() {
            broken = match self.manifest(needed).await? {
                Reading::Read(older) => chain.add(&older).err().map(|error| told(&error)),
                Reading::Unreadable(why) => Some(why),
                Reading::Gone => Some(format!("checkpoint {needed}, which it builds on, is not there")),
            };
            if broken.is_some() {
                break;
            }
        }
        Ok(Lineage { chain, broken })
    }

    /// What `_latest` says.
    pub(super) async fn latest(&self) -> Result<Latest, CheckpointError> {
        match self.checkpointer.read_latest().await {
            Ok(None) => Ok(Latest::None),
            Ok(Some(id)) => Ok(Latest::Names(id)),
            Err(error) if is_damage(error.kind()) => Ok(Latest::Damaged(told(&error))),
            Err(error) => Err(error),
        }
    }
}

/// Whether somebody has to look at what is stored: asking again would not help.
pub(super) fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Invalid)
}

async fn read(checkpointer: &dyn Checkpointer, id: CheckpointId) -> Result<Reading, CheckpointError> {
    match checkpointer.load_manifest(id).await {
        Ok(manifest) => Ok(Reading::Read(Arc::new(manifest))),
        Err(CheckpointError::NotFound { .. }) => Ok(Reading::Gone),
        Err(error) if is_damage(error.kind()) => Ok(Reading::Unreadable(told(&error))),
        Err(error) => Err(error),
    }
}

/// What is wrong with `_latest`, beside these checkpoints; nothing if it names one of them, or if it was never written.
pub(super) fn damage_of(latest: &Latest, listed: &[CheckpointId]) -> Option<String> {
    let what = match latest {
        Latest::None => return None,
        Latest::Names(id) if listed.contains(id) => return None,
        Latest::Names(id) => format!("_latest names checkpoint {id}, and there is none"),
        Latest::Damaged(why) => why.clone(),
    };
    Some(format!("{what}; {}", start(latest, listed)))
}

/// Where a recovery begins, for whom `_latest` does not tell.
pub(super) fn start(latest: &Latest, listed: &[CheckpointId]) -> String {
    match candidates(latest, listed) {
        Candidates::Try(ids) => ids.first().map_or_else(String::new, |id| {
            format!("a recovery begins with the newest checkpoint there is, {id}")
        }),
        Candidates::Fresh => "a recovery begins from nothing".to_owned(),
        Candidates::Lost(_) => "there is no other, and a recovery refuses to begin from nothing".to_owned(),
    }
}
