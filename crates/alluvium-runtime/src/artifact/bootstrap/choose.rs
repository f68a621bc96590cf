//! Which artifact a table is filled from.

use std::sync::Arc;

use alluvium_core::artifact::{ArtifactManifest, FitInput, ManifestId, Unfit, check_fit};
use alluvium_core::{Bounds, Log, Mode, Scope, Sequence};

use super::fetch::Source;
use super::report::{Chosen, SkippedArtifact};
use super::{Bootstrap, BootstrapError};

/// The artifacts of a key, newest first.
pub(super) struct Candidates<'a> {
    pub(super) source: &'a Source,
    pub(super) at: Option<Sequence>,
    /// How many damaged ones may be passed over.
    pub(super) fall_back: usize,
    pub(super) skipped: Vec<SkippedArtifact>,
}

impl Candidates<'_> {
    /// The newest one that was not passed over.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::NoArtifact`] if there is none, or the damage of the first if all are damaged.
    pub(super) async fn next(&mut self) -> Result<Chosen, BootstrapError> {
        if self.at.is_none() && !self.skipped.iter().any(|skipped| skipped.id.is_none()) {
            match self.source.transport.newest(&self.source.key).await {
                Ok(Some((id, manifest))) if self.is_new(id) => return Ok(Chosen { id, manifest }),
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.exhausted()),
                Err(error) => self.skip(None, error.into())?,
            }
        }
        let history = self.source.transport.history(&self.source.key).await?;
        for id in history.into_iter().rev() {
            if self.at.is_some_and(|at| id.sequence() > at) || !self.is_new(id) {
                continue;
            }
            match self.source.transport.manifest_of(&self.source.key, id).await {
                Ok(manifest) => return Ok(Chosen { id, manifest }),
                Err(error) => self.skip(Some(id), error.into())?,
            }
        }
        Err(self.exhausted())
    }

    /// The damage of the newest artifact that was passed over.
    pub(super) fn damage(&mut self) -> Option<BootstrapError> {
        let first = self.skipped.drain(..).next()?;
        Arc::into_inner(first.error)
    }

    /// Passes over what is damaged, as long as that is allowed.
    pub(super) fn skip(
        &mut self,
        id: Option<ManifestId>,
        error: BootstrapError,
    ) -> Result<(), BootstrapError> {
        if !error.is_damage() || self.skipped.len() >= self.fall_back {
            return Err(error);
        }
        tracing::warn!(key = %self.source.key, id = id.map(tracing::field::display), %error, "an artifact is passed over");
        self.skipped.push(SkippedArtifact {
            id,
            error: Arc::new(error),
        });
        Ok(())
    }

    fn is_new(&self, id: ManifestId) -> bool {
        self.skipped.iter().all(|skipped| skipped.id != Some(id))
    }

    fn exhausted(&mut self) -> BootstrapError {
        self.damage().unwrap_or_else(|| BootstrapError::NoArtifact {
            key: self.source.key.to_string(),
            at: self.at,
        })
    }
}

impl Bootstrap {
    /// The newest artifact that was not passed over.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::NoArtifact`] if there is none, or the damage of the first if all are damaged.
    pub(crate) async fn newest(&self, skipped: &mut Vec<SkippedArtifact>) -> Result<Chosen, BootstrapError> {
        let mut candidates = self.candidates();
        candidates.skipped = std::mem::take(skipped);
        let chosen = candidates.next().await;
        *skipped = candidates.skipped;
        chosen
    }

    /// Passes over an artifact that is damaged, as long as that is allowed.
    pub(crate) fn pass_over(
        &self,
        skipped: &mut Vec<SkippedArtifact>,
        chosen: &Chosen,
        error: BootstrapError,
    ) -> Result<(), BootstrapError> {
        let mut candidates = self.candidates();
        candidates.skipped = std::mem::take(skipped);
        let passed = candidates.skip(Some(chosen.id), error);
        *skipped = candidates.skipped;
        passed
    }

    /// What it means that an artifact is of no use.
    pub(crate) fn unfit(&self, source: Unfit) -> BootstrapError {
        let key = self.source.key.to_string();
        BootstrapError::Unfit { key, source }
    }

    /// What it means that an artifact is not to be taken any more.
    pub(crate) fn outdated(&self) -> BootstrapError {
        let key = self.source.key.to_string();
        BootstrapError::Outdated { key }
    }

    pub(super) fn candidates(&self) -> Candidates<'_> {
        Candidates {
            source: &self.source,
            at: self.at,
            fall_back: self.fall_back.unwrap_or(0),
            skipped: Vec::new(),
        }
    }
}

/// What a table must have in common with an artifact.
pub(super) struct Wanted<'a> {
    pub(super) log_name: &'a str,
    pub(super) scope: &'a Scope,
    pub(super) mode: Mode,
    /// The log to go on from.
    pub(super) log: Option<&'a dyn Log>,
}

/// Checks that an artifact fits, and gives what the log holds.
pub(super) async fn check(
    source: &Source,
    manifest: &ArtifactManifest,
    wanted: &Wanted<'_>,
) -> Result<Option<Bounds>, BootstrapError> {
    let mut input = FitInput {
        log: wanted.log_name,
        scope: wanted.scope,
        mode: wanted.mode,
        bounds: None,
        at_cursor: None,
    };
    let fits = |input: &FitInput<'_>| {
        check_fit(manifest, input).map_err(|unfit| BootstrapError::Unfit {
            key: source.key.to_string(),
            source: unfit,
        })
    };
    // Before a server is asked for what can make no difference.
    fits(&input)?;
    let Some(log) = wanted.log else {
        return Ok(None);
    };
    let bounds = log.bounds().await?;
    let cursor = &manifest.cursor;
    if cursor.log == bounds.log && (Sequence::FIRST..=bounds.last).contains(&cursor.sequence) {
        let message = log.message_at(cursor.sequence).await?;
        input.at_cursor = message.map(|message| message.timestamp);
    }
    input.bounds = Some(&bounds);
    fits(&input)?;
    Ok(Some(bounds))
}
