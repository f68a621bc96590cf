//! The engines without tables: fjall itself, and the others through their own trait.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Engine, KeyRange, Space, StateConfig};
use alluvium_e2e::engine::EngineKind;
use anyhow::Result;
use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions};

/// Fills a bare engine with sorted rows, in one go, at a path where nothing is yet.
pub(crate) fn ingest(engine: EngineKind, rows: &[(Bytes, Bytes)], path: &Path) -> Result<Box<dyn Bare>> {
    Ok(match engine {
        EngineKind::Fjall => Box::new(BareFjall::with(rows, path)?),
        EngineKind::Memory | EngineKind::RocksDb => Box::new(BareEngine::with(rows, &engine.url(path))?),
    })
}

/// An engine that holds rows without a table.
pub(crate) trait Bare {
    /// The length of a key's value.
    fn get(&self, key: &[u8]) -> Result<Option<usize>>;
    /// The bytes of all keys and values.
    fn scan(&self) -> Result<usize>;
}

struct BareFjall {
    _database: Database,
    keyspace: fjall::Keyspace,
}

impl BareFjall {
    fn with(rows: &[(Bytes, Bytes)], path: &Path) -> Result<Self> {
        let database = Database::builder(path).open()?;
        let keyspace = database.keyspace("bench", KeyspaceCreateOptions::default)?;
        let mut ingestion = keyspace.start_ingestion()?;
        for (key, value) in rows {
            ingestion.write(key.clone(), value.clone())?;
        }
        ingestion.finish()?;
        Ok(Self {
            _database: database,
            keyspace,
        })
    }
}

impl Bare for BareFjall {
    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.keyspace.get(key)?.map(|value| value.len()))
    }

    fn scan(&self) -> Result<usize> {
        let mut bytes = 0;
        for pair in self.keyspace.iter() {
            let (key, value) = pair.into_inner()?;
            bytes += key.len() + value.len();
        }
        Ok(bytes)
    }
}

/// An engine through its own trait.
struct BareEngine {
    engine: Arc<dyn Engine>,
    space: Space,
}

impl BareEngine {
    fn with(rows: &[(Bytes, Bytes)], url: &str) -> Result<Self> {
        let engine = StateConfig::new(url)?.open_engine()?;
        let space = engine.ingest("bench", &mut rows.iter().cloned().map(Ok))?;
        Ok(Self { engine, space })
    }
}

impl Bare for BareEngine {
    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.engine.get(self.space, key)?.map(|value| value.len()))
    }

    fn scan(&self) -> Result<usize> {
        let mut bytes = 0;
        for pair in self.engine.snapshot()?.scan(self.space, &KeyRange::all())? {
            let (key, value) = pair?;
            bytes += key.len() + value.len();
        }
        Ok(bytes)
    }
}
