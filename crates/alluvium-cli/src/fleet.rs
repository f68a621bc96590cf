//! What a replica shares with others: the artifact that it begins with, and the rounds of exports.

use alluvium::{Bootstrap, ExportOptions, ExportSchedule, ReplicaBuilder, RetentionPolicy, StateConfig};

use crate::args::FleetArgs;
use crate::error::Failure;
use crate::{state, store};

/// What to give a replica before it starts. Nothing, unless a store was named.
#[derive(Default)]
pub(crate) struct Fleet {
    bootstrap: Option<Bootstrap>,
    schedule: Option<ExportSchedule>,
}

impl Fleet {
    /// Opens the store. One in a directory that is not there is made: the first of a fleet is the first to export.
    pub(crate) async fn open(args: &FleetArgs, state: &StateConfig) -> Result<Self, Failure> {
        let (Some(place), Some(key)) = (&args.store, &args.key) else {
            return Ok(Self::default());
        };
        let config = store::with_options(place.config("--store")?, &args.store_option)?;
        let transport = config.open_transport().await?;
        let bootstrap = state::scratch(state)
            .map(|scratch| Bootstrap::new(transport.clone(), key.clone(), scratch).fall_back(usize::MAX));
        let Some(every) = args.export_every else {
            return Ok(Self {
                bootstrap,
                schedule: None,
            });
        };
        let holder = args.holder.clone();
        let holder = holder.unwrap_or_else(|| format!("alluvium {}", std::process::id()));
        let mut schedule = ExportSchedule::new(transport, key.clone())
            .options(ExportOptions::default().exporter(holder.clone()))
            .every(every)
            .lease(config.open_leases().await?, holder);
        if let Some(keep) = args.keep {
            schedule = schedule.retention(RetentionPolicy::default().keep(keep).grace(args.grace));
        }
        Ok(Self {
            bootstrap,
            schedule: Some(schedule),
        })
    }

    /// Gives it to the replica.
    pub(crate) fn join(&self, mut replica: ReplicaBuilder) -> ReplicaBuilder {
        if let Some(bootstrap) = &self.bootstrap {
            replica = replica.bootstrap_from(bootstrap.clone());
        }
        if let Some(schedule) = &self.schedule {
            replica = replica.export(schedule.clone());
        }
        replica
    }
}
