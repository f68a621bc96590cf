//! Opening a state directory and the table in it, and closing it so that errors are seen.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Durability, Engine, EngineTable, open_existing_engine};

use crate::args::StateArgs;
use crate::error::Failure;

/// The name of the table that `replicate` makes: a directory holds one bucket, so nothing has to be said to find it.
const TABLE: &str = "kv";

/// Opens the state that exists, gives its engine and its table, if there is one, to `work`, and closes it again. Never
/// makes anything.
pub(crate) fn with_state<T>(
    args: &StateArgs,
    work: impl FnOnce(&dyn Engine, Option<&EngineTable>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let engine = open_existing_engine(&args.state, Durability::Buffered)?;
    let work = || match existing_table(engine.as_ref(), args)? {
        Some(name) => {
            let table = EngineTable::open(Arc::clone(&engine), &name)?;
            work(engine.as_ref(), Some(&table))
        }
        None => work(engine.as_ref(), None),
    };
    let result = work();
    close(engine.as_ref(), result)
}

/// As [`with_state`], for what makes no sense without a table.
pub(crate) fn with_table<T>(
    args: &StateArgs,
    work: impl FnOnce(&EngineTable) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_state(args, |_, table| match table {
        Some(table) => work(table),
        None => Err(Failure::NoTable {
            path: args.state.clone(),
        }),
    })
}

/// Opens the table to replicate into: the one that is there, or a new one.
pub(crate) fn open_table(engine: Arc<dyn Engine>, args: &StateArgs) -> Result<EngineTable, Failure> {
    let name = existing_table(engine.as_ref(), args)?;
    let name = name.or(args.table.clone()).unwrap_or_else(|| TABLE.to_owned());
    Ok(EngineTable::open(engine, &name)?)
}

/// Closes an engine; its error counts unless there is an earlier one. Blocks.
pub(crate) fn close<T>(engine: &dyn Engine, result: Result<T, Failure>) -> Result<T, Failure> {
    match (result, engine.close()) {
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(first), Err(error)) => {
            tracing::warn!(%error, "closing failed too");
            Err(first)
        }
        (result, Ok(())) => result,
    }
}

/// Which of the directory's tables is meant; none if there is none at all.
fn existing_table(engine: &dyn Engine, args: &StateArgs) -> Result<Option<String>, Failure> {
    let mut found: Vec<String> = engine
        .spaces()?
        .iter()
        .filter_map(|space| table_of(space))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    let path = || Path::to_owned(&args.state);
    match (&args.table, found.len()) {
        (_, 0) => Ok(None),
        (Some(name), _) if found.contains(name) => Ok(Some(name.clone())),
        (Some(name), _) => Err(Failure::OtherTable {
            path: path(),
            name: name.clone(),
            found,
        }),
        (None, 1) => Ok(found.pop()),
        (None, _) => Err(Failure::ManyTables { path: path(), found }),
    }
}

/// The table that a space belongs to: spaces are named `table.<name>.<generation>`.
fn table_of(space: &str) -> Option<&str> {
    let (name, generation) = space.strip_prefix("table.")?.rsplit_once('.')?;
    generation.parse::<u64>().is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_space() {
        assert_eq!(table_of("table.kv.0"), Some("kv"));
        assert_eq!(table_of("table.routes.eu.12"), Some("routes.eu"));
        assert_eq!(table_of("partials"), None);
        assert_eq!(table_of("table.kv"), None);
    }
}
