//! Filling a fresh space with sorted pairs.
//!
//! The pairs go into tables directly. The space is in no catalog until they are all there, so a process that dies
//! before leaves a keyspace that nobody was told of, which goes at the next open.

use alluvium_engine::{EngineError, PairSource, Space};
use bytes::Bytes;
use fjall::Keyspace;

use crate::FjallEngine;
use crate::error::guarded;
use crate::snapshot::MAX_KEY;
use crate::writer::Writer;

/// Checks that fjall can hold a pair.
pub(crate) fn check_pair(key: &[u8], value: Option<&Bytes>) -> Result<(), EngineError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(EngineError::Invalid(format!(
            "a key has 1 to {MAX_KEY} bytes, not {}",
            key.len()
        )));
    }
    match value {
        Some(value) if u32::try_from(value.len()).is_err() => Err(EngineError::Invalid(format!(
            "a value has at most {} bytes, not {}",
            u32::MAX,
            value.len()
        ))),
        _ => Ok(()),
    }
}

/// Makes a space of these pairs, or none.
pub(crate) fn ingest(
    engine: &FjallEngine,
    name: &str,
    pairs: &mut PairSource<'_>,
) -> Result<Space, EngineError> {
    let (keyspace, record) = engine.write(|writer| {
        if writer.catalog.spaces.contains_key(name) || writer.ingesting.contains(name) {
            return Err(EngineError::Invalid(format!("the space {name} exists already")));
        }
        let made = writer.make_keyspace(name)?;
        writer.ingesting.insert(name.into());
        Ok(made)
    })?;
    let mut unfinished = Unfinished {
        engine,
        name,
        keyspace: Some(keyspace.clone()),
    };
    fill(engine, &keyspace, pairs, |writer| {
        // On disk before the catalog names the space: see `damage::check`, which expects no table to be ahead of
        // the journals.
        writer.mark(true)?;
        unfinished.keyspace = None;
        writer.ingesting.remove(name);
        writer.add_space(name, keyspace.clone(), record)
    })
}

/// An ingest that ended early, a panic in its pairs included.
struct Unfinished<'a> {
    engine: &'a FjallEngine,
    name: &'a str,
    keyspace: Option<Keyspace>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(keyspace) = self.keyspace.take() {
            // Closed meanwhile: it goes at the next open.
            let _ = self.engine.write(|writer| {
                writer.discard(keyspace);
                writer.ingesting.remove(self.name);
                Ok(())
            });
        }
    }
}

/// Writes the pairs, and does the rest with no commit going on.
fn fill<T>(
    engine: &FjallEngine,
    keyspace: &Keyspace,
    pairs: &mut PairSource<'_>,
    then: impl FnOnce(&mut Writer) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let failed = |failure: crate::error::Failure| {
        failure.into_engine_error("ingest into", engine.data(), keyspace.path())
    };
    let mut ingestion = guarded(|| keyspace.start_ingestion()).map_err(failed)?;
    let mut last: Option<Bytes> = None;
    for pair in pairs {
        let (key, value) = pair.map_err(EngineError::Pairs)?;
        check_pair(&key, Some(&value))?;
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(EngineError::Invalid(
                "the keys to ingest do not strictly rise".into(),
            ));
        }
        last = Some(key.clone());
        guarded(|| ingestion.write(key, value)).map_err(failed)?;
    }
    engine.write(|writer| {
        guarded(|| ingestion.finish()).map_err(failed)?;
        then(writer)
    })
}
