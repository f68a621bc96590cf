//! Filling a table from an artifact.
//!
//! ```text
//!  manifest ──▶ segments of the scope, a few at a time ──▶ files ──▶ merge of the runs ──▶ table.load
//!   fits?          the order in which the merge needs them            waits for a file       all or nothing
//! ```
//!
//! Fetching and loading overlap: the merge begins when the first segment of each run is there. What comes later and turns out to
//! be damaged, missing or not what the manifest tells fails the load, and a load that fails leaves the table as it was.
//!
//! What was fetched stays in the scratch directory until the table is filled, so a bootstrap that fails or is killed goes on where it
//! was; nothing of it is trusted before its digest has been checked again.

mod choose;
mod directory;
mod error;
mod fetch;
mod fill;
mod report;
mod rows;
mod select;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_core::artifact::ArtifactManifest;
use alluvium_core::{ArtifactKey, Binding, Cursor, Log, Mode, Scope, Sequence, Table, Transport};
use futures_util::future::{Either, select};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use self::choose::Wanted;
use self::directory::Directory;
use self::fetch::{Limits, Source, blocking};
use self::fill::Filling;
use self::report::{Listener, Meter};
use self::rows::{Part, Whereabouts};

pub use self::error::BootstrapError;
pub use self::fetch::{ArtifactDir, fetch_artifact};
pub(crate) use self::fill::{Load, Place};
pub(crate) use self::report::Chosen;
pub use self::report::{BootstrapProgress, Bootstrapped, Fetched, SkippedArtifact};
pub use self::rows::ArtifactRows;

/// Fills a table from an artifact.
///
/// The table is replaced as a whole, in one step: on every error, and after a kill at any instant, it is as it was. Only what it is
/// bound to is written down before, if it is a new one.
///
/// The scratch directory takes the segments that are needed, and is removed when the table is filled. After an error or a kill
/// it stays, and the next bootstrap into it fetches only what is not there; one that holds anything else is refused.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{Sequence, Table, Transport};
/// use alluvium_runtime::{Bootstrap, BootstrapError};
///
/// async fn restore(transport: Arc<dyn Transport>, table: Arc<dyn Table>) -> Result<(), BootstrapError> {
///     let bootstrap = Bootstrap::new(transport, "routes".parse()?, "state/bootstrap")
///         .at(Sequence::new(1_000_000))
///         .on_progress(|progress| println!("{} of {} bytes", progress.bytes, progress.bytes_total));
///     let done = bootstrap.run(&table).await?;
///     println!("{} rows, exact at {}", done.rows, done.cursor);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
#[must_use = "a bootstrap does nothing before it is run"]
pub struct Bootstrap {
    source: Source,
    scratch: PathBuf,
    log: Option<Arc<dyn Log>>,
    scope: Option<Scope>,
    mode: Option<Mode>,
    at: Option<Sequence>,
    fall_back: Option<usize>,
    track_changes: bool,
    listener: Option<Listener>,
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap")
            .field("key", &self.source.key)
            .field("scratch", &self.scratch)
            .finish_non_exhaustive()
    }
}

impl Bootstrap {
    /// From the newest artifact of this key, by way of a scratch directory: one that is empty, or not there, or was left by a
    /// bootstrap before.
    pub fn new(transport: Arc<dyn Transport>, key: ArtifactKey, scratch: impl Into<PathBuf>) -> Self {
        Self {
            source: Source {
                transport,
                key,
                limits: Limits::default(),
            },
            scratch: scratch.into(),
            log: None,
            scope: None,
            mode: None,
            at: None,
            fall_back: None,
            track_changes: false,
            listener: None,
        }
    }

    /// The log that the table goes on from: an artifact that it cannot go on from is refused. Without one that is found out later.
    pub fn log(mut self, log: Arc<dyn Log>) -> Self {
        self.log = Some(log);
        self
    }

    /// The keys that the table holds. By default those that it is bound to, or else those of the artifact.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// What the table keeps of what its log forgets: an artifact of a table that keeps something else is refused. By default what
    /// it is bound to, or else [`Mode::Mirror`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// From the newest artifact of the history that is at or below this sequence, instead of the newest of all.
    pub fn at(mut self, sequence: Sequence) -> Self {
        self.at = Some(sequence);
        self
    }

    /// How many damaged artifacts may be passed over for the next older one. None by default; three for a replica.
    pub fn fall_back(mut self, artifacts: usize) -> Self {
        self.fall_back = Some(artifacts);
        self
    }

    /// How many segments are fetched at a time; 4 by default.
    pub fn segments_in_flight(mut self, segments: usize) -> Self {
        self.source.limits.segments = segments;
        self
    }

    /// How many bytes of segments are in memory at a time, 64 MiB by default. A larger one is fetched alone.
    pub fn bytes_in_flight(mut self, bytes: usize) -> Self {
        self.source.limits.bytes = bytes;
        self
    }

    /// Switches the table's change index on, so that it reaches back to the artifact. By default it stays as it is.
    pub fn track_changes(mut self, on: bool) -> Self {
        self.track_changes = on;
        self
    }

    /// Who is told how far it has come: after every segment, and every few thousand rows. Called from several threads.
    pub fn on_progress(mut self, listener: impl Fn(BootstrapProgress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Fills the table. Readers see its old content until it is done, and the new one after.
    ///
    /// Dropping the future stops it; the table may be filled nevertheless if it was nearly done.
    ///
    /// # Errors
    ///
    /// Every [`BootstrapError`]. The table is as it was.
    pub async fn run(&self, table: &Arc<dyn Table>) -> Result<Bootstrapped, BootstrapError> {
        let place = |load: Load| {
            let table = Arc::clone(table);
            spawn_blocking(move || load(table.as_ref()));
            Ok(())
        };
        match self.run_on(table, &place, &|_| true).await? {
            Some(done) => Ok(done),
            None => Err(BootstrapError::Stopped),
        }
    }

    /// Fills the table where `place` puts the load, from an artifact whose cursor is `wanted`. Nothing, if it is not.
    pub(crate) async fn run_on(
        &self,
        table: &Arc<dyn Table>,
        place: &Place<'_>,
        wanted: &Wish<'_>,
    ) -> Result<Option<Bootstrapped>, BootstrapError> {
        let mut candidates = self.candidates();
        loop {
            let chosen = candidates.next().await?;
            if !wanted(&chosen.manifest.cursor) {
                return candidates.damage().map_or(Ok(None), Err);
            }
            match self.fill_from(&chosen, table, place, async { Ok(()) }).await {
                Ok(done) => {
                    let skipped = candidates.skipped;
                    return Ok(Some(Bootstrapped { skipped, ..done }));
                }
                // That an older one does not fit either tells nothing new.
                Err(error @ BootstrapError::Unfit { .. }) => {
                    return Err(candidates.damage().unwrap_or(error));
                }
                Err(error) => candidates.skip(Some(chosen.id), error)?,
            }
        }
    }

    /// The bootstrap of a replica, which passes over some damage unless it was told how much.
    pub(crate) fn of_replica(mut self, log: Arc<dyn Log>, binding: &Binding, track_changes: bool) -> Self {
        self.fall_back.get_or_insert(3);
        self.track_changes |= track_changes;
        self.log(log).scope(binding.scope.clone()).mode(binding.mode)
    }

    /// The same, which tells this one too.
    pub(crate) fn telling(mut self, listener: impl Fn(BootstrapProgress) + Send + Sync + 'static) -> Self {
        let before = self.listener.take();
        self.on_progress(move |progress| {
            listener(progress);
            if let Some(before) = &before {
                before(progress);
            }
        })
    }

    /// Removes what is in the scratch directory, if that is there and holds nothing else.
    pub(crate) async fn discard(&self) {
        let scratch = self.scratch.clone();
        // Whatever goes wrong has been told.
        let _ = blocking(move || {
            directory::discard(&scratch);
            Ok(())
        })
        .await;
    }

    /// Fills the table from this artifact, where `place` puts the load, if `confirmed` once everything is fetched.
    pub(crate) async fn fill_from(
        &self,
        Chosen { id, manifest }: &Chosen,
        table: &Arc<dyn Table>,
        place: &Place<'_>,
        confirmed: impl Future<Output = Result<(), BootstrapError>> + Send,
    ) -> Result<Bootstrapped, BootstrapError> {
        let binding = self.binding(table.as_ref(), manifest)?;
        let wanted = Wanted {
            log_name: &binding.log,
            scope: &binding.scope,
            mode: binding.mode,
            log: self.log.as_deref(),
        };
        let bounds = choose::check(&self.source, manifest, &wanted).await?;
        // What a mirror's log has forgotten, the mirror has.
        let first = bounds.filter(|_| binding.mode == Mode::Mirror);
        let first = first.map_or(Sequence::ZERO, |bounds| bounds.first);

        let needed = select::needed(manifest, &binding.scope)?;
        let infos: Vec<_> = needed.iter().map(|needed| needed.segment.info.clone()).collect();
        let sum = |of: fn(&alluvium_core::artifact::SegmentInfo) -> u64| infos.iter().map(of).sum();
        let meter = Meter::new(
            sum(|info| info.length),
            sum(|info| info.rows),
            self.listener.clone(),
        );
        let unneeded = manifest.segments().count() - needed.len();

        let (mut orders, mut parts) = (Vec::new(), Vec::new());
        for needed in needed {
            let (arrived, arrival) = oneshot::channel();
            parts.push(Part {
                run: needed.run,
                info: needed.segment.info.clone(),
                whereabouts: Whereabouts::Coming(arrival),
            });
            orders.push((needed, arrived));
        }
        let (scratch, of_artifact) = (self.scratch.clone(), manifest.clone());
        let (directory, there) = blocking(move || {
            let directory = Directory::open(&scratch, false)?;
            let there = directory.begin(&of_artifact, infos.iter())?;
            Ok((Arc::new(directory), there))
        })
        .await?;

        let stopped = StopOnDrop::default();
        let (confirm, confirmation) = oneshot::channel();
        let filling = Filling {
            directory: Arc::clone(&directory),
            parts,
            binding: binding.clone(),
            cursor: manifest.cursor.clone(),
            has_evicted: manifest.has_evicted,
            since: manifest.since,
            first,
            confirmation,
            track_changes: self.track_changes,
            stopped: Arc::clone(&stopped.0),
            meter: meter.clone(),
        };
        let (over, loaded) = oneshot::channel();
        place(Box::new(move |table| {
            let filled = filling.fill(table);
            let cursor = filled.as_ref().ok().cloned();
            // Nobody waits for it after a drop.
            let _ = over.send(filled);
            cursor
        }))?;

        let fetch = Box::pin(async {
            let fetched = self.source.fetch(&directory, orders, &there, &meter).await?;
            // The log has gone on meanwhile.
            choose::check(&self.source, manifest, &wanted).await?;
            confirmed.await?;
            // A load that has failed tells why.
            let _ = confirm.send(());
            Ok::<_, BootstrapError>(fetched)
        });
        let (fetched, loaded) = match select(fetch, loaded).await {
            // What has not come or was not confirmed by now will not be, so the load ends.
            Either::Left((fetched, loaded)) => (fetched, loaded.await),
            Either::Right((Ok(Ok(cursor)), fetch)) => (fetch.await, Ok(Ok(cursor))),
            Either::Right((failed, _)) => (Ok(Fetched::default()), failed),
        };
        let mut fetched = fetched?;
        let cursor = loaded.map_err(|_| BootstrapError::Stopped)??;
        fetched.unneeded = unneeded as u64;
        drop(stopped);
        remove(directory).await;
        Ok(Bootstrapped {
            id: *id,
            cursor,
            rows: meter.rows(),
            fetched,
            skipped: Vec::new(),
        })
    }

    /// What the table is to be bound to, and is if it is bound.
    fn binding(&self, table: &dyn Table, manifest: &ArtifactManifest) -> Result<Binding, BootstrapError> {
        let bound = table.binding();
        let stored = bound.as_ref();
        let log = self.log.as_ref().map(|log| log.name().to_owned());
        let log = log.or_else(|| stored.map(|stored| stored.log.clone()));
        let scope = self
            .scope
            .clone()
            .or_else(|| stored.map(|stored| stored.scope.clone()));
        let binding = Binding {
            log: log.unwrap_or_else(|| manifest.cursor.log.name.clone()),
            scope: scope.unwrap_or_else(|| manifest.scope.clone()),
            mode: self
                .mode
                .or_else(|| stored.map(|stored| stored.mode))
                .unwrap_or_default(),
        };
        if bound.is_some() {
            table.bind(&binding)?;
        }
        Ok(binding)
    }
}

/// Whether an artifact at this cursor is of use.
pub(crate) type Wish<'a> = dyn Fn(&Cursor) -> bool + Send + Sync + 'a;

/// Stops the load when whoever waits for it is gone.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Removes the scratch directory. The table is filled, so nothing depends on it.
async fn remove(directory: Arc<Directory>) {
    let path = directory.path().to_owned();
    // The load has let go of it.
    let removed = match Arc::try_unwrap(directory) {
        Ok(directory) => blocking(move || directory.discard()).await,
        Err(_) => return,
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "the scratch directory of a bootstrap is still there");
    }
}
