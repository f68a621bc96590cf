//! When a replica exports.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::lease::MAX_REST;
use alluvium_core::{ArtifactKey, LeaseStore, RetentionPolicy, Transport};

use super::ExportOptions;

/// When a replica exports its table, to where, and who of a fleet does.
///
/// With nothing but a transport and a key, it exports when it is [asked to](crate::Replica::export_now).
#[derive(Clone)]
pub struct ExportSchedule {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) key: ArtifactKey,
    pub(super) options: ExportOptions,
    pub(super) every: Option<Duration>,
    pub(super) claim: Option<Claim>,
    pub(super) retention: Option<RetentionPolicy>,
}

/// What a fleet shares a round by.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) leases: Arc<dyn LeaseStore>,
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) ttl: Duration,
}

impl ExportSchedule {
    /// Exports under this key, when asked to.
    pub fn new(transport: Arc<dyn Transport>, key: ArtifactKey) -> Self {
        Self {
            transport,
            key,
            options: ExportOptions::default(),
            every: None,
            claim: None,
            retention: None,
        }
    }

    /// How the table is exported. The log that the replica follows is always asked, whatever the options say.
    #[must_use]
    pub fn options(mut self, options: ExportOptions) -> Self {
        self.options = options;
        self
    }

    /// A round every so often, the first one as soon as the replica has caught up. Rounds wait while it has not.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval.clamp(Duration::from_millis(1), MAX_REST));
        self
    }

    /// Who of a fleet does a round: whoever gets the lease `export <key>`, which lasts for 30 s unless it is renewed, and rests
    /// for what is left of the interval. `holder` is the name of this node, for people.
    ///
    /// Without a lease every replica does every round, which is as correct, and all but one of them find that there is
    /// nothing to do or that another was faster.
    #[must_use]
    pub fn lease(mut self, leases: Arc<dyn LeaseStore>, holder: impl Into<String>) -> Self {
        self.claim = Some(Claim {
            leases,
            name: format!("export {}", self.key),
            holder: holder.into(),
            ttl: self.claim.map_or(Duration::from_secs(30), |claim| claim.ttl),
        });
        self
    }

    /// How long the lease lasts unless it is renewed, which is done three times as often: what a killed node keeps the others
    /// waiting for. After [`lease`](Self::lease).
    #[must_use]
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        if let Some(claim) = &mut self.claim {
            claim.ttl = ttl;
        }
        self
    }

    /// What is pruned after a round has published an artifact. Nothing by default.
    #[must_use]
    pub fn retention(mut self, retention: RetentionPolicy) -> Self {
        self.retention = Some(retention);
        self
    }
}

impl fmt::Debug for ExportSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportSchedule")
            .field("key", &self.key)
            .field("options", &self.options)
            .field("every", &self.every)
            .field("holder", &self.claim.as_ref().map(|claim| &claim.holder))
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
