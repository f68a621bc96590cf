//! A table exported once.

use std::sync::Arc;
use std::time::Instant;

use alluvium_core::artifact::{
    ArtifactManifest, BaseReason, Draft, ExportInput, ExportPlan, ManifestId, Outcome, Run, plan_export,
};
use alluvium_core::{
    ArtifactKey, Cursor, Mode, Scope, Sequence, Table, TableError, TableSnapshot, Timestamp, Transport,
    TransportError,
};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::changed::Changed;
use super::pipeline::{self, Running, Source};
use super::{ExportError, ExportOptions, ExportReport, Exported};

/// Exports a table under a key: as little as there is to say since the newest artifact, or the whole table.
///
/// The table goes on applying meanwhile: what is exported is a snapshot. Nothing is written to a local disk, and memory is
/// bounded, at about 100 MiB beside what the transport takes, and twice the largest row if that is more.
///
/// An export may be dropped at any time. Its threads end when they have done what they are at, one segment at most, and the
/// newest artifact is what it was; only if the pointer was being swapped already may it be this one.
///
/// ```
/// use std::sync::Arc;
///
/// use alluvium_core::{Change, Cursor, LogIdentity, Sequence, Table, Timestamp};
/// use alluvium_engine::EngineTable;
/// use alluvium_memory::MemoryEngine;
/// use alluvium_object_store::{ObjectStoreTransport, StoreOptions, TransportOptions, open_store};
/// use alluvium_runtime::{ExportOptions, Exported, Exporter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = Arc::new(EngineTable::open(Arc::new(MemoryEngine::in_memory()), "routes")?);
/// let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(0));
/// let (sequence, timestamp) = (Sequence::new(1), Timestamp::from_nanos(1));
/// let change = Change::put("routes.eu", "10.0.0.1", sequence, timestamp);
/// table.apply(&[change], &Cursor::start_of(log).at(sequence, timestamp))?;
///
/// let (store, prefix) = open_store("memory:", &StoreOptions::default())?;
/// let transport = Arc::new(ObjectStoreTransport::new(store, prefix, TransportOptions::default()));
/// let exporter = Exporter::new(table, transport, "routes".parse()?, ExportOptions::default());
/// let exported = exporter.export().await?;
/// assert_eq!(exported.report().map(|report| report.rows), Some(1));
/// assert!(matches!(exporter.export().await?, Exported::Unchanged { .. }));
/// # Ok(())
/// # }
/// ```
pub struct Exporter {
    table: Arc<dyn Table>,
    transport: Arc<dyn Transport>,
    key: ArtifactKey,
    options: ExportOptions,
}

/// What there is to export.
struct Look {
    snapshot: Arc<dyn TableSnapshot>,
    cursor: Cursor,
    scope: Scope,
    seen: Seen,
    floor: Option<Sequence>,
    /// About how many rows there are.
    rows: u64,
}

/// What the table tells of what its log forgot.
#[derive(Clone, Copy)]
struct Seen {
    has_evicted: bool,
    since: Option<Sequence>,
}

/// The newest artifact, as far as it can be read.
struct Newest {
    artifact: Option<(ManifestId, ArtifactManifest)>,
    damage: Option<String>,
}

impl Exporter {
    /// An exporter of this table under this key.
    pub fn new(
        table: Arc<dyn Table>,
        transport: Arc<dyn Transport>,
        key: ArtifactKey,
        options: ExportOptions,
    ) -> Self {
        Self {
            table,
            transport,
            key,
            options,
        }
    }

    /// Exports the table as it is now, and returns when the artifact is the newest, or need not be.
    ///
    /// A pointer that is damaged is told in the report and replaced by a whole table.
    ///
    /// # Errors
    ///
    /// [`ExportError::NoCursor`] before the table has caught up; [`ExportError::Refused`] if the key holds another table;
    /// [`ExportError::KeepsMore`] if the newest artifact is of an archive that has seen what this one has not;
    /// [`ExportError::Transport`] if the newest artifact was written by a newer Alluvium, and for storage errors, after which
    /// it may be published or not: export again.
    pub async fn export(&self) -> Result<Exported, ExportError> {
        let (running, mut ended) = mpsc::channel(1);
        let exported = self.export_if(running, || true).await;
        // The end of the last of its threads.
        let _ = ended.recv().await;
        exported?.ok_or_else(|| ExportError::Interrupted("it was not wanted any more".to_owned()))
    }

    fn mode(&self) -> Mode {
        let bound = self.table.binding().map(|binding| binding.mode);
        self.options.mode.or(bound).unwrap_or_default()
    }

    /// The same, unless it is not wanted any more when there is something to upload. Whatever still runs when it ends or is
    /// dropped holds a clone of `running`.
    pub(super) async fn export_if(
        &self,
        running: Running,
        wanted: impl Fn() -> bool + Send + Sync,
    ) -> Result<Option<Exported>, ExportError> {
        let begun = Instant::now();
        let Newest { artifact, damage } = self.newest().await?;
        let newest = artifact.as_ref().map(|(_, manifest)| manifest);
        let at_newest = self.at_newest(newest).await?;
        let look = self.look(&running).await?;
        let plan = plan_export(&ExportInput {
            newest,
            cursor: &look.cursor,
            scope: &look.scope,
            mode: self.mode(),
            has_evicted: look.seen.has_evicted,
            since: look.seen.since,
            floor: look.floor,
            at_newest,
            policy: self.options.policy,
        });
        let plan = match (plan, newest) {
            (ExportPlan::Unchanged, Some(newest)) => {
                let newest = Box::new(newest.clone());
                return Ok(Some(Exported::Unchanged { newest }));
            }
            (ExportPlan::Superseded, Some(newest)) => {
                let by = Box::new(newest.clone());
                return Ok(Some(Exported::SupersededByNewer { by }));
            }
            (ExportPlan::KeepsMore, Some(newest)) => {
                return Err(ExportError::KeepsMore {
                    key: self.key.clone(),
                    table: self.table.name().to_owned(),
                    newest: newest.cursor.sequence,
                });
            }
            (ExportPlan::Refuse(source), _) => {
                return Err(ExportError::Refused {
                    key: self.key.clone(),
                    source,
                });
            }
            (plan, _) => plan,
        };
        let (cursor, scope, about) = (look.cursor.clone(), look.scope.clone(), look.rows);
        let seen = look.seen;
        let (plan, source) = self.source(plan, look, &running).await?;
        if !wanted() {
            return Ok(None);
        }
        let draft = self.draft(&plan, cursor, scope, seen, artifact.as_ref());
        tracing::info!(table = self.table.name(), key = %self.key, cursor = %draft.cursor, ?plan, "exporting");
        let expected = match &source {
            Source::Whole(_) => about,
            Source::Changed(changed) => changed.len() as u64,
        };
        let (segments, sent) = pipeline::start(source, expected, &self.options, &running);
        let outcome = self.transport.upload(&self.key, draft, segments).await;
        let sent = sent.so_far();
        match outcome.map_err(ExportError::of_upload)? {
            Outcome::Published(published) => Ok(Some(Exported::Published(Box::new(ExportReport {
                published: *published,
                plan,
                rows: sent.rows,
                segments: sent.segments,
                bytes: sent.bytes,
                replaced_damaged: damage,
                took: begun.elapsed(),
            })))),
            Outcome::SupersededByNewer { by } => Ok(Some(Exported::SupersededByNewer { by })),
            _ => Err(ExportError::Interrupted(
                "the transport ended in an unknown way".to_owned(),
            )),
        }
    }

    /// The newest artifact. One that is damaged is none: it is replaced.
    async fn newest(&self) -> Result<Newest, ExportError> {
        match self.transport.newest(&self.key).await {
            Ok(artifact) => Ok(Newest {
                artifact,
                damage: None,
            }),
            Err(error @ TransportError::Corrupt { .. }) => {
                let error = crate::error::Chain(&error).to_string();
                tracing::warn!(key = %self.key, %error, "the newest artifact is damaged: exporting the whole table");
                Ok(Newest {
                    artifact: None,
                    damage: Some(error),
                })
            }
            Err(error) => Err(ExportError::Transport(error)),
        }
    }

    /// When the log stored the message that the newest artifact is exact at.
    async fn at_newest(&self, newest: Option<&ArtifactManifest>) -> Result<Option<Timestamp>, ExportError> {
        let (Some(log), Some(newest)) = (&self.options.log, newest) else {
            return Ok(None);
        };
        let cursor = &newest.cursor;
        if cursor.sequence == Sequence::ZERO || cursor.log.name != log.name() {
            return Ok(None);
        }
        let message = log.message_at(cursor.sequence).await.map_err(ExportError::Log)?;
        Ok(message.map(|message| message.timestamp))
    }

    /// What there is to export.
    async fn look(&self, running: &Running) -> Result<Look, ExportError> {
        let (table, running) = (Arc::clone(&self.table), running.clone());
        spawn_blocking(move || {
            let _running = running;
            let stats = table.stats()?;
            let snapshot = table.snapshot()?;
            let cursor = snapshot.cursor().ok_or_else(|| ExportError::NoCursor {
                table: table.name().to_owned(),
            })?;
            Ok(Look {
                cursor,
                scope: table.binding().map_or_else(Scope::all, |binding| binding.scope),
                // After the snapshot: what it rests on is remembered by now.
                seen: Seen {
                    has_evicted: table.has_evicted(),
                    since: table.since(),
                },
                snapshot,
                floor: stats.changes_floor,
                rows: stats.rows,
            })
        })
        .await?
    }

    /// Where the rows come from. What cannot be exported as what changed, is as the whole table.
    async fn source(
        &self,
        plan: ExportPlan,
        look: Look,
        running: &Running,
    ) -> Result<(ExportPlan, Source), ExportError> {
        let snapshot = look.snapshot;
        let ExportPlan::Delta { after, .. } = plan else {
            return Ok((plan, Source::Whole(snapshot)));
        };
        let (limit, running) = (self.options.delta_bytes, running.clone());
        // Told when this future is dropped.
        let alive = Arc::new(());
        let watched = Arc::downgrade(&alive);
        let collected = spawn_blocking(move || {
            let _running = running;
            let wanted = || watched.strong_count() > 0;
            let reason = match Changed::collect(Arc::clone(&snapshot), after, limit, wanted) {
                Ok(Some(changed)) => return Ok((plan, Source::Changed(changed))),
                Ok(None) => BaseReason::Outgrown,
                // The table has gone on since it was asked how far back it knows.
                Err(TableError::Trimmed { .. }) => BaseReason::Trimmed,
                Err(TableError::NotTracked) => BaseReason::NotTracked,
                Err(error) => return Err(ExportError::Table(error)),
            };
            Ok((ExportPlan::Base(reason), Source::Whole(snapshot)))
        })
        .await?;
        drop(alive);
        collected
    }

    /// The artifact without its new segments.
    fn draft(
        &self,
        plan: &ExportPlan,
        cursor: Cursor,
        scope: Scope,
        seen: Seen,
        newest: Option<&(ManifestId, ArtifactManifest)>,
    ) -> Draft {
        let (runs, after, level): (Vec<Run>, _, _) = match (plan, newest) {
            (ExportPlan::Delta { keep, after, level }, Some((_, newest))) => {
                (newest.runs.iter().take(*keep).cloned().collect(), *after, *level)
            }
            _ => (Vec::new(), Sequence::ZERO, 0),
        };
        let shared = newest.filter(|_| !runs.is_empty()).map(|(_, newest)| newest);
        Draft {
            table: self.table.name().to_owned(),
            cursor,
            scope,
            mode: self.mode(),
            // Of runs that are shared, whoever exported them may have seen more.
            has_evicted: seen.has_evicted || shared.is_some_and(|newest| newest.has_evicted),
            since: seen.since.max(shared.and_then(|newest| newest.since)),
            runs,
            after,
            level,
            parent: newest.map(|(id, _)| *id),
            created_ms: self.options.clock.now().as_nanos() / 1_000_000,
            exporter: self.options.exporter.clone(),
        }
    }
}
