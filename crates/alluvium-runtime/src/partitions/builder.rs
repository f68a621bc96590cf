//! How a process begins to share partitions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::cursor_store::cursor_key;
use alluvium_core::lease::{MAX_TTL, lease_key};
use alluvium_core::{BoxError, Clock, CursorStore, LeaseStore, Log, SystemClock};
use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::claim::Leases;
use super::driver::Driver;
use super::event::Events;
use super::holding::{ChangeCursor, Shared, partition_name};
use super::members::{Members, slot_name};
use super::{Assigned, PartitionEvent, PartitionScopes, Partitions, PartitionsError, PartitionsStatus};
use crate::events::Listener;
use crate::{LogCursorBuilder, Worker, WorkerBuilder};

/// The most slots that are read at each look.
const MOST_PROCESSES: u32 = 1_024;
/// The shortest pause between looks.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// How a process begins to share [`Partitions`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `start`"]
pub struct PartitionsBuilder {
    name: String,
    log: Arc<dyn Log>,
    scopes: PartitionScopes,
    leases: Arc<dyn LeaseStore>,
    cursors: Arc<dyn CursorStore>,
    holder: String,
    ttl: Duration,
    look_every: Option<Duration>,
    processes: u32,
    clock: Arc<dyn Clock>,
    change_cursor: Option<Arc<ChangeCursor>>,
    listener: Listener<PartitionEvent>,
}

impl PartitionsBuilder {
    pub(super) fn new(
        name: String,
        log: Arc<dyn Log>,
        scopes: PartitionScopes,
        leases: Arc<dyn LeaseStore>,
        cursors: Arc<dyn CursorStore>,
    ) -> Self {
        Self {
            name,
            log,
            leases,
            cursors,
            holder: format!("process {}", std::process::id()),
            ttl: Duration::from_secs(10),
            look_every: None,
            processes: scopes.count().min(32),
            scopes,
            clock: Arc::new(SystemClock),
            change_cursor: None,
            listener: Listener::default(),
        }
    }

    /// What this process is called in leases, for people. By default its process id.
    pub fn held_by(mut self, holder: impl Into<String>) -> Self {
        self.holder = holder.into();
        self
    }

    /// How long leases last that are not renewed: how long the partitions of a dead process lie still. They are renewed
    /// at a third of it. 10 s by default; the same in all processes.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How often it looks who is alive, and tries what it lacks. A sixth of the [`ttl`](Self::ttl) by default.
    pub fn look_every(mut self, every: Duration) -> Self {
        self.look_every = Some(every);
        self
    }

    /// How many processes share at most: so many slots there are, each a read per look. What is more waits until another
    /// goes. As many as there are partitions by default, but at most 32; the same in all processes.
    pub fn processes(mut self, most: u32) -> Self {
        self.processes = most;
        self
    }

    /// The clock by which the leases of others are over: that of the lease store, the machine's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Changes the cursor of each partition before it is opened: where it starts, what it does about losses. Where it is held is
    /// not changed by that.
    pub fn cursor(
        mut self,
        change: impl Fn(LogCursorBuilder) -> LogCursorBuilder + Send + Sync + 'static,
    ) -> Self {
        self.change_cursor = Some(Arc::new(change));
        self
    }

    /// Is called with what happens to partitions: it must not block, and a panic of it is survived. The events are also logged.
    pub fn on_event(mut self, call: impl Fn(&PartitionEvent) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(call);
        self
    }

    /// Begins to share, in the background. Needs a tokio runtime.
    ///
    /// For every partition that it gets, and again when the worker has to be started anew, the function is called with the
    /// partition and a builder that has the cursor, the name and the assignment version of the worker. It starts the worker
    /// from that builder, and from no other. What has to be known of the [version](Assigned::version) where effects go is told
    /// there before that, such as by [`StateBackend::fence`](alluvium_core::StateBackend::fence).
    ///
    /// If the function or the worker fails, the partition is given back, and tried again after a pause. The process keeps its share
    /// all the while: one that cannot work is to [stop](Partitions::stop), for the others to do it. A handler that answers
    /// [`Action::Stop`](crate::Action::Stop) or [`StopWithRollback`](crate::Action::StopWithRollback) stops the whole process's part,
    /// as [`Partitions::stop`] does.
    ///
    /// # Errors
    ///
    /// [`PartitionsError::Invalid`] for a name that is no part of the name of a lease and of a cursor, for a ttl of zero or above
    /// [`MAX_TTL`], and for no processes or more than 1,024.
    pub fn start<F, Work>(self, start: F) -> Result<Partitions, PartitionsError>
    where
        F: Fn(Assigned, WorkerBuilder) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<Worker, BoxError>> + Send + 'static,
    {
        self.check()?;
        let events = Events {
            name: self.name.clone(),
            listener: self.listener,
        };
        let leases = Leases {
            store: self.leases,
            holder: self.holder,
            ttl: self.ttl,
        };
        let look_every = self.look_every.unwrap_or(self.ttl / 6).max(SHORTEST_LOOK);
        let members = Members::new(self.name.clone(), self.processes, leases.clone(), self.clock);
        let shared = Arc::new(Shared {
            name: self.name,
            log: self.log,
            cursors: self.cursors,
            start: Box::new(move |assigned, builder| start(assigned, builder).boxed()),
            change_cursor: self.change_cursor,
            events,
            status: watch::Sender::new(PartitionsStatus::default()),
        });
        let (stop, stopping) = watch::channel(false);
        let driver = Driver::new(
            Arc::clone(&shared),
            self.scopes.clone(),
            leases.clone(),
            members,
            look_every,
            stopping,
        );
        Ok(Partitions {
            status: shared.status.subscribe(),
            scopes: self.scopes,
            leases,
            shared,
            stop,
            task: tokio::spawn(driver.run()),
        })
    }

    fn check(&self) -> Result<(), PartitionsError> {
        let invalid = |reason: String| Err(PartitionsError::Invalid(reason));
        if self.ttl.is_zero() || self.ttl > MAX_TTL {
            return invalid(format!(
                "a ttl of {:?}: let leases last longer than nothing, and at most {} s",
                self.ttl,
                MAX_TTL.as_secs()
            ));
        }
        if !(1..=MOST_PROCESSES).contains(&self.processes) {
            return invalid(format!(
                "{} processes: let 1 to {MOST_PROCESSES} share",
                self.processes
            ));
        }
        // The longest there are. That which escapes does not change what can be encoded.
        let name = partition_name(&self.name, self.scopes.count());
        if let Err(error) = cursor_key(&name, '%') {
            return invalid(error.to_string());
        }
        for lease in [name, slot_name(&self.name, self.processes)] {
            if let Err(error) = lease_key(&lease, '%') {
                return invalid(error.to_string());
            }
        }
        if self.name.is_empty() {
            return invalid("partitions without a name: give them one".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for PartitionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionsBuilder")
            .field("name", &self.name)
            .field("log", &self.log.name())
            .field("scopes", &self.scopes)
            .field("holder", &self.holder)
            .field("ttl", &self.ttl)
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}
