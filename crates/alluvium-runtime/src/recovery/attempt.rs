//! One recovery from beginning to end: what `alluvium_core::checkpoint` decides, done.

use std::collections::BTreeSet;

use alluvium_core::checkpoint::{
    Candidates, Chain, Latest, Manifest, Mismatch, Next, OperatorShape, SourcePosition, after_failure,
    candidates, manifest_path, mismatches,
};
use alluvium_core::{CheckpointError, CheckpointId, Epoch, ErrorKind};
use tracing::{info, warn};

use super::error::{RecoveryError, SourceMismatch};
use super::load::{LoadFailure, Loader};
use super::parts::{Restorable, Seekable};
use super::report::{LatestFound, RecoveryReport, Restored, Skipped, with_causes};
use super::{RecoveredFrom, Recovery};

/// A recovery under way.
pub(super) struct Attempt<'a> {
    recovery: &'a Recovery,
    /// Outside, so that it is there even if the attempt is dropped.
    report: &'a mut RecoveryReport,
    latest: Latest,
    /// The highest epoch that anything has been seen to have.
    highest: Option<Epoch>,
    /// What has been found damaged: a later checkpoint that needs it as well is not loaded to find that again.
    damaged: BTreeSet<String>,
}

/// Why a checkpoint was not restored.
enum Setback {
    /// An object could not be loaded.
    Store { path: String, source: CheckpointError },
    /// It needs an object that was found damaged before.
    Known { path: String },
    /// Not for the checkpoint's sake.
    Ended(RecoveryError),
}

impl From<RecoveryError> for Setback {
    fn from(error: RecoveryError) -> Self {
        Self::Ended(error)
    }
}

impl<'a> Attempt<'a> {
    pub(super) fn new(recovery: &'a Recovery, report: &'a mut RecoveryReport) -> Self {
        Self {
            recovery,
            report,
            latest: Latest::None,
            highest: None,
            damaged: BTreeSet::new(),
        }
    }

    /// Restores the best checkpoint that can be, and says which epoch comes next.
    pub(super) async fn run(
        mut self,
        operators: &mut [&mut dyn Restorable],
        sources: &mut [&mut dyn Seekable],
    ) -> Result<(RecoveredFrom, Epoch), RecoveryError> {
        self.read_latest().await?;
        let listed = self.recovery.checkpointer.list_checkpoints().await;
        let listed = listed.map_err(|error| self.stopped(error))?;
        self.report.listed = listed.len() as u64;
        let tried = match candidates(&self.latest, &listed) {
            Candidates::Try(tried) => tried,
            Candidates::Fresh => return self.fresh(operators).await,
            Candidates::Lost(why) => return Err(self.lost(why)),
        };
        match self.latest {
            Latest::Names(id) if listed.contains(&id) => {}
            Latest::Names(id) => {
                let reason = format!("_latest names it, and {} is gone", manifest_path(id));
                self.skip(id, self.highest, reason);
            }
            Latest::None | Latest::Damaged(_) => {
                warn!("_latest is missing or damaged: the newest checkpoint that is listed is tried");
            }
        }
        self.report.untried.clone_from(&tried);
        for id in tried {
            // What came before is newer, or what `_latest` names.
            if self.report.skipped.len() as u64 > u64::from(self.recovery.fall_backs) {
                return Err(RecoveryError::TooFar {
                    fall_backs: self.recovery.fall_backs,
                    report: self.reported(),
                });
            }
            self.report.untried.retain(|other| *other != id);
            let mut epoch = None;
            match self.restore(id, &mut epoch, operators, sources).await {
                Ok(done) => return Ok(done),
                Err(Setback::Ended(error)) => return Err(error),
                Err(Setback::Known { path }) => self.skip(id, epoch, format!("it needs {path} too")),
                Err(Setback::Store { path, source }) if is_damage(&source) => {
                    self.skip(id, epoch, with_causes(&source));
                    self.damaged.insert(path);
                }
                Err(Setback::Store { source, .. }) => return Err(self.stopped(source)),
            }
        }
        Err(self.lost("there is no checkpoint left that can be restored".to_owned()))
    }

    async fn read_latest(&mut self) -> Result<(), RecoveryError> {
        let read = self.recovery.checkpointer.read_latest().await;
        self.latest = match read {
            Ok(None) => Latest::None,
            Ok(Some(id)) => Latest::Names(id),
            Err(error) if error.kind() == ErrorKind::Corrupt => Latest::Damaged(with_causes(&error)),
            Err(error) => return Err(self.stopped(error)),
        };
        self.report.latest = Some(LatestFound::from(&self.latest));
        if matches!(self.latest, Latest::Names(_)) {
            // Even where the checkpoint that it names is gone: what comes next has to come after it.
            match self.recovery.checkpointer.latest_epoch().await {
                Ok(epoch) => self.highest = epoch,
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(self.stopped(error)),
            }
        }
        Ok(())
    }

    async fn fresh(
        &mut self,
        operators: &mut [&mut dyn Restorable],
    ) -> Result<(RecoveredFrom, Epoch), RecoveryError> {
        self.reset(operators).await?;
        info!("there has never been a checkpoint: the state begins empty");
        Ok((RecoveredFrom::Fresh, Epoch::FIRST))
    }

    /// Restores this checkpoint, and tells its epoch as soon as that is known.
    async fn restore(
        &mut self,
        id: CheckpointId,
        epoch: &mut Option<Epoch>,
        operators: &mut [&mut dyn Restorable],
        sources: &mut [&mut dyn Seekable],
    ) -> Result<(RecoveredFrom, Epoch), Setback> {
        let manifest = self.manifest(id).await?;
        *epoch = Some(manifest.epoch);
        self.highest = self.highest.max(*epoch);
        let next_epoch = self.highest.map_or(Some(Epoch::FIRST), Epoch::next);
        let next_epoch = next_epoch.ok_or_else(|| {
            RecoveryError::Invalid("the epochs are used up: begin with another prefix".to_owned())
        })?;
        let chain = self.chain(&manifest).await?;
        self.check_operators(&manifest, operators)?;
        let positions = self.check_sources(&manifest, sources).await?;

        self.reset(operators).await?;
        let concurrency = self.recovery.concurrency.get();
        let loader = Loader::new(&self.recovery.checkpointer, &chain, concurrency);
        loader.restore(operators).await.map_err(|failure| match failure {
            LoadFailure::Store { path, source } => Setback::Store { path, source },
            LoadFailure::Operator {
                operator,
                doing,
                source,
            } => Setback::Ended(RecoveryError::Operator {
                operator,
                doing,
                report: self.reported(),
                source,
            }),
        })?;
        let sought = self.seek(sources, &positions).await?;

        let restored = restored(&manifest, &chain, operators, sought);
        info!("{restored}");
        self.report.restored = Some(restored);
        let from = RecoveredFrom::Checkpoint {
            id,
            epoch: manifest.epoch,
            watermark_ms: manifest.watermark_ms,
        };
        Ok((from, next_epoch))
    }

    async fn manifest(&self, id: CheckpointId) -> Result<Manifest, Setback> {
        let path = manifest_path(id);
        if self.damaged.contains(&path) {
            return Err(Setback::Known { path });
        }
        let loaded = self.recovery.checkpointer.load_manifest(id).await;
        loaded.map_err(|error| {
            let source = match error {
                // It is listed, or something builds on it.
                CheckpointError::NotFound { .. } => CheckpointError::Missing { path: path.clone() },
                error => error,
            };
            Setback::Store { path, source }
        })
    }

    /// What restores a checkpoint, if nothing of it is known to be damaged.
    async fn chain(&self, newest: &Manifest) -> Result<Chain, Setback> {
        let mut chain = Chain::new(newest);
        while let Some(needed) = chain.needs() {
            let manifest = self.manifest(needed).await?;
            chain.add(&manifest).map_err(|source| Setback::Store {
                path: manifest_path(needed),
                source,
            })?;
        }
        for (operator, state) in &newest.operators {
            for file in &state.partitions {
                let mut files = chain.files(operator, file.partition).into_iter();
                if let Some(known) = files.find(|file| self.damaged.contains(&file.path)) {
                    let path = known.path.clone();
                    return Err(Setback::Known { path });
                }
            }
        }
        Ok(chain)
    }

    fn check_operators(
        &self,
        manifest: &Manifest,
        operators: &[&mut dyn Restorable],
    ) -> Result<(), RecoveryError> {
        let shape = |operator: &&mut dyn Restorable| OperatorShape {
            name: operator.id().to_owned(),
            partitions: operator.partitions(),
        };
        let shapes: Vec<_> = operators.iter().map(shape).collect();
        let mut mismatches = mismatches(manifest, &shapes);
        mismatches.retain(|mismatch| match mismatch {
            Mismatch::Missing { .. } => !self.recovery.allow_missing,
            Mismatch::Unknown { .. } => !self.recovery.allow_unknown,
            _ => true,
        });
        if mismatches.is_empty() {
            return Ok(());
        }
        Err(RecoveryError::Operators {
            checkpoint: manifest.id,
            mismatches,
            report: self.reported(),
        })
    }

    /// Where each source goes on; `None` for one that may be missing in the checkpoint, and is.
    async fn check_sources(
        &self,
        manifest: &Manifest,
        sources: &mut [&mut dyn Seekable],
    ) -> Result<Vec<Option<SourcePosition>>, RecoveryError> {
        let mut mismatches = Vec::new();
        let mut positions = Vec::with_capacity(sources.len());
        let mut unknown: BTreeSet<&String> = manifest.sources.keys().collect();
        for seekable in sources {
            let source = seekable.id().to_owned();
            unknown.remove(&source);
            let position = manifest.sources.get(&source).map(SourcePosition::try_from);
            let mut found = None;
            match position {
                None if self.recovery.allow_missing => {}
                None => mismatches.push(SourceMismatch::Missing { source }),
                Some(Err(error)) => mismatches.push(SourceMismatch::Unreadable {
                    source,
                    reason: with_causes(&error),
                }),
                Some(Ok(position)) => match seekable.can_seek(&position).await {
                    Ok(true) => found = Some(position),
                    Ok(false) => mismatches.push(SourceMismatch::Gone { source, position }),
                    Err(error) => {
                        return Err(RecoveryError::Source {
                            name: source,
                            doing: "tell whether it can go on from where it stood".to_owned(),
                            report: self.reported(),
                            source: error,
                        });
                    }
                },
            }
            positions.push(found);
        }
        if !self.recovery.allow_unknown {
            let unknown = unknown.into_iter().cloned();
            mismatches.extend(unknown.map(|source| SourceMismatch::Unknown { source }));
        }
        if mismatches.is_empty() {
            return Ok(positions);
        }
        Err(RecoveryError::Sources {
            checkpoint: manifest.id,
            mismatches,
            report: self.reported(),
        })
    }

    /// Has every source go on from its position, and says how many have one.
    async fn seek(
        &self,
        sources: &mut [&mut dyn Seekable],
        positions: &[Option<SourcePosition>],
    ) -> Result<u64, RecoveryError> {
        let mut sought = 0;
        for (source, position) in sources.iter_mut().zip(positions) {
            let Some(position) = position else { continue };
            source
                .seek(position)
                .await
                .map_err(|error| RecoveryError::Source {
                    name: source.id().to_owned(),
                    doing: "go on from where it stood, which it said it could".to_owned(),
                    report: self.reported(),
                    source: error,
                })?;
            sought += 1;
        }
        Ok(sought)
    }

    async fn reset(&self, operators: &mut [&mut dyn Restorable]) -> Result<(), RecoveryError> {
        for operator in operators {
            operator.reset().await.map_err(|source| RecoveryError::Operator {
                operator: operator.id().to_owned(),
                doing: "be reset".to_owned(),
                report: self.reported(),
                source,
            })?;
        }
        Ok(())
    }

    fn skip(&mut self, checkpoint: CheckpointId, epoch: Option<Epoch>, reason: String) {
        let skipped = Skipped {
            checkpoint,
            epoch,
            reason,
        };
        warn!("{skipped}");
        self.report.skipped.push(skipped);
    }

    fn lost(&self, why: String) -> RecoveryError {
        RecoveryError::Lost {
            why,
            report: self.reported(),
        }
    }

    fn stopped(&self, source: CheckpointError) -> RecoveryError {
        RecoveryError::Stopped {
            report: self.reported(),
            source,
        }
    }

    fn reported(&self) -> Box<RecoveryReport> {
        Box::new(self.report.clone())
    }
}

/// Whether an older checkpoint is right after this.
fn is_damage(error: &CheckpointError) -> bool {
    after_failure(error.kind()) == Next::FallBack
}

fn restored(manifest: &Manifest, chain: &Chain, operators: &[&mut dyn Restorable], sources: u64) -> Restored {
    let of_operator = |operator: &&mut dyn Restorable| {
        let name = operator.id().to_owned();
        (0..operator.partitions()).map(move |partition| chain.files(&name, partition))
    };
    let mut restored = Restored {
        checkpoint: manifest.id,
        epoch: manifest.epoch,
        chain: chain.checkpoints().len() as u64,
        partitions: 0,
        files: 0,
        bytes: 0,
        sources,
    };
    for files in operators.iter().flat_map(of_operator) {
        restored.partitions += u64::from(!files.is_empty());
        restored.files += files.len() as u64;
        restored.bytes += files.iter().map(|file| file.size).sum::<u64>();
    }
    restored
}
