//! A restore: the table is replaced by an artifact, and it is decided anew.
//!
//! An artifact is taken only while it is the plan: it is asked once more when everything is fetched, with what the log holds then.
//! Until that moment the table is as it was, and a kill at any instant has the same decided again; what was fetched is still there.

use alluvium_core::artifact::ArtifactManifest;
use alluvium_core::{NewestArtifact, Plan};

use super::bootstrap::ReplicaBootstrap;
use super::decide::Found;
use super::driver::{Course, Driver, Interruption};
use crate::artifact::Chosen;
use crate::pauses::Pauses;
use crate::{BootstrapError, ReplicaError};

/// What a table is to be replaced by.
pub(super) struct Restoring {
    pub(super) artifact: Chosen,
    /// What the decision rests on.
    pub(super) found: Found,
}

impl Driver {
    /// Goes on from a decision to a course that reads the log, by way of artifacts and of failures that pass.
    pub(super) async fn ready(
        &self,
        mut decided: Result<Course, ReplicaError>,
        pauses: &mut Pauses,
    ) -> Result<Course, Interruption> {
        loop {
            let course = match decided {
                Ok(course) => course,
                Err(error) => self.course_after(error, pauses).await?,
            };
            let (Some(bootstrap), Some(restoring)) = (&self.bootstrap, &course.restoring) else {
                return Ok(course);
            };
            decided = match self.restore(bootstrap, restoring).await? {
                Ok(()) => self.decide_now().await,
                Err(error) => Err(error),
            };
        }
    }

    /// Replaces the table by an artifact, or finds that it is to be decided anew.
    async fn restore(
        &self,
        bootstrap: &ReplicaBootstrap,
        Restoring { artifact, found }: &Restoring,
    ) -> Result<Result<(), ReplicaError>, Interruption> {
        self.follows(None);
        let place = |load| self.queue.push_load(load).map_err(|_| BootstrapError::Stopped);
        let confirmed = self.still_the_plan(bootstrap, found, &artifact.manifest);
        let filled = bootstrap.fill(artifact, &self.table, &place, confirmed).await;
        // What is decided next rests on the table; if there is nobody any more to fill it, that is told first.
        self.queue.settle().await?;
        Ok(filled.or_else(|error| bootstrap.failed(error, self.mode)))
    }

    /// Checks that an artifact that was fetched is what is to be done with the log as it is now.
    async fn still_the_plan(
        &self,
        bootstrap: &ReplicaBootstrap,
        found: &Found,
        manifest: &ArtifactManifest,
    ) -> Result<(), BootstrapError> {
        let bounds = self.log.bounds().await?;
        let evicts = bounds.retention.evicts_latest();
        if evicts && !found.table.has_evicted && !manifest.has_evicted {
            // That is to be remembered first, and not by a table that is being filled.
            return Err(bootstrap.outdated());
        }
        let found = self.look_at_log(bounds, found.table.clone()).await?;
        let at_cursor = self.held_at(&found.bounds, &manifest.cursor).await?;
        match self.plan(&found, Some(NewestArtifact::new(manifest, at_cursor))) {
            Plan::Restore { .. } => Ok(()),
            Plan::Resume { .. } | Plan::Reconcile(_) | Plan::Refuse(_) => Err(bootstrap.outdated()),
        }
    }
}
