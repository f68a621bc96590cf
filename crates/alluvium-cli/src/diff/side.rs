//! A side of a comparison, opened: rows in key order, and where they are exact at.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium::{
    ArtifactDir, ArtifactKey, Change, Engine, EngineTable, FjallEngine, FjallOptions, KeyRange, LogEvent,
    LogIdentity, Row, Scope, Sequence, StateConfig, Table as _, TableSnapshot, fetch_artifact,
};
use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::operand::Kind;
use crate::args::{ConnectionArgs, DiffArgs};
use crate::artifacts::catalog;
use crate::bar::Bar;
use crate::connect;
use crate::error::Failure;
use crate::output::{Output, human_bytes};
use crate::secret::Secret;
use crate::state::{self, Place};
use crate::store;

/// How many changes of a bucket go into the scratch table at a time.
const BATCH: usize = 4_096;

/// Rows with rising keys.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row, Failure>>>;

/// A side that is open.
pub(super) struct Side {
    pub(super) name: String,
    pub(super) log: LogIdentity,
    /// Where it is exact at.
    pub(super) position: Sequence,
    /// The keys that it holds.
    pub(super) scope: Scope,
    /// About how many rows it has.
    pub(super) about: u64,
    content: Content,
}

enum Content {
    Table {
        snapshot: Arc<dyn TableSnapshot>,
        engine: Arc<dyn Engine>,
    },
    Artifact(Box<ArtifactDir>),
}

impl Side {
    pub(super) fn rows(&self) -> Result<Rows, Failure> {
        match &self.content {
            Content::Table { snapshot, .. } => {
                let rows = snapshot.scan(&KeyRange::all())?;
                Ok(Box::new(rows.map(|row| row.map_err(Failure::from))))
            }
            Content::Artifact(directory) => {
                let rows = directory.rows(&Scope::all())?;
                Ok(Box::new(rows.map(|row| row.map_err(Failure::from))))
            }
        }
    }

    /// Closes it after some work.
    pub(super) fn close<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self.content {
            Content::Table { snapshot, engine } => {
                drop(snapshot);
                state::ended(result, engine.close())
            }
            Content::Artifact(_) => result,
        }
    }
}

/// Opens sides.
pub(super) struct Opener<'a> {
    args: &'a DiffArgs,
    runtime: Handle,
    output: Output,
    verbose: u8,
    /// Removed with this.
    scratch: TempDir,
    /// How many directories were made in it.
    made: Cell<u32>,
}

impl<'a> Opener<'a> {
    pub(super) fn new(
        args: &'a DiffArgs,
        runtime: Handle,
        output: Output,
        verbose: u8,
    ) -> Result<Self, Failure> {
        let place = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let scratch = tempfile::Builder::new()
            .prefix("alluvium-diff-")
            .tempdir_in(&place)
            .map_err(|source| Failure::Disk {
                doing: "make a directory in",
                path: place.display().to_string(),
                source,
            })?;
        Ok(Self {
            args,
            runtime,
            output,
            verbose,
            scratch,
            made: Cell::new(0),
        })
    }

    pub(super) fn open(&self, kind: &Kind) -> Result<Side, Failure> {
        match kind {
            Kind::State(place) => self.state(place),
            Kind::Artifact { store, key, at } => self.runtime.block_on(self.artifact(store, key, *at)),
            Kind::Bucket { server, bucket } => self.runtime.block_on(self.bucket(server.as_ref(), bucket)),
        }
    }

    /// A directory in the scratch directory that is not there.
    fn path(&self) -> PathBuf {
        let number = self.made.get();
        self.made.set(number + 1);
        self.scratch.path().join(number.to_string())
    }

    fn state(&self, place: &Place) -> Result<Side, Failure> {
        let engine = place.config("a state directory")?.existing(true).open_engine()?;
        let look = || {
            let table = state::open_existing(&engine, place, self.args.table.as_deref())?;
            let table = table.ok_or_else(|| Failure::NoTable {
                state: place.to_string(),
            })?;
            let snapshot = table.snapshot()?;
            let cursor = snapshot.cursor().ok_or_else(|| Failure::NoCursor {
                state: place.to_string(),
            })?;
            Ok((snapshot, cursor, table.binding(), table.stats()?.rows))
        };
        match look() {
            Ok((snapshot, cursor, binding, about)) => Ok(Side {
                name: place.to_string(),
                log: cursor.log,
                position: cursor.sequence,
                scope: binding.map_or_else(Scope::all, |binding| binding.scope),
                about,
                content: Content::Table { snapshot, engine },
            }),
            Err(failure) => state::ended(Err(failure), engine.close()),
        }
    }

    async fn artifact(
        &self,
        store: &StateConfig,
        key: &ArtifactKey,
        at: Option<Sequence>,
    ) -> Result<Side, Failure> {
        let config = store::with_options(store.clone().existing(true), &self.args.store_option)?;
        let transport = config.open_transport().await?;
        let place = Place::known(config.url.clone());
        let artifact = catalog::find(transport.as_ref(), &place, key, at).await?;
        let manifest = artifact
            .manifest
            .map_err(|summary| Failure::Damaged { summary })?;
        let bar = Bar::bytes("fetch", self.output, self.verbose, manifest.bytes());
        let (path, drawn) = (self.path(), bar.clone());
        let progress = move |at: alluvium::BootstrapProgress| {
            drawn.set(at.bytes, at.bytes_total, String::new());
        };
        let fetched = fetch_artifact(transport, key, &manifest, &path, progress).await;
        bar.finish();
        fetched?;
        Ok(Side {
            name: format!("{place}#{key}@{}", manifest.cursor.sequence),
            log: manifest.cursor.log.clone(),
            position: manifest.cursor.sequence,
            scope: manifest.scope.clone(),
            about: manifest.rows(),
            content: Content::Artifact(Box::new(ArtifactDir::open(path)?)),
        })
    }

    /// What a bucket holds now, in a scratch table.
    async fn bucket(&self, server: Option<&Secret>, bucket: &str) -> Result<Side, Failure> {
        let named;
        let connection = match server {
            None => &self.args.connection,
            Some(server) => {
                named = ConnectionArgs {
                    server: Some(server.clone()),
                    ..self.args.connection.clone()
                };
                &named
            }
        };
        let connection = connect::connect(connection, "diff").await?;
        let (log, bounds) = connection.bucket(bucket).await?;
        let engine: Arc<dyn Engine> = Arc::new(FjallEngine::open(self.path(), FjallOptions::default())?);
        let table = EngineTable::open(Arc::clone(&engine), "bucket")?;
        let bar = Bar::rows("list", self.output, self.verbose, bounds.messages);
        let failure = |error| connection.log_failure(error);
        let scope = Scope::from(self.args.scope.clone());
        let scope = if self.args.scope.is_empty() {
            Scope::all()
        } else {
            scope
        };
        let mut listed = log.current(&scope).await.map_err(failure)?;
        let (mut position, mut about, mut bytes) = (bounds.last, 0_u64, 0_u64);
        let mut batch: Vec<Change> = Vec::with_capacity(BATCH);
        while let Some(event) = listed.next().await {
            match event.map_err(failure)? {
                LogEvent::CaughtUp(sequence) => position = position.max(sequence),
                LogEvent::Change(change) => {
                    bytes += change.key.len() as u64 + change.value().map_or(0, |value| value.len() as u64);
                    batch.push(change);
                }
            }
            if batch.len() == BATCH {
                about += batch.len() as u64;
                table.amend(&std::mem::take(&mut batch))?;
                bar.set(about, bounds.messages, human_bytes(bytes));
            }
        }
        about += batch.len() as u64;
        table.amend(&batch)?;
        bar.finish();
        Ok(Side {
            name: format!("the bucket {bucket}"),
            log: bounds.log,
            position,
            scope,
            about,
            content: Content::Table {
                snapshot: table.snapshot()?,
                engine,
            },
        })
    }
}
