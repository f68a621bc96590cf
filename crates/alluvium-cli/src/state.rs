//! Opening a state directory and the table in it, and closing it so that errors are seen.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium::{Engine, EngineTable, StateConfig, StateUrl, StateUrlError};

use crate::args::StateArgs;
use crate::error::Failure;

/// The name of the table that `replicate` makes: a directory holds one bucket, so nothing has to be said to find it.
const TABLE: &str = "kv";

/// Where the state is, as it was typed. What is wrong with it is told when it is used, for what is wrong may hold a
/// password, and the command line's own errors repeat what was typed.
#[derive(Clone, Debug)]
pub(crate) struct Place(Result<StateUrl, StateUrlError>);

impl Place {
    /// The configuration to open it by. `option` is where it was typed.
    pub(crate) fn config(&self, option: &str) -> Result<StateConfig, Failure> {
        match &self.0 {
            Ok(url) => Ok(url.clone().into()),
            Err(error) => Err(Failure::Usage(format!("{option}: {error}"))),
        }
    }
}

impl From<OsString> for Place {
    fn from(text: OsString) -> Self {
        Self(text.try_into())
    }
}

/// The directory, or the URL of what has none.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(url) => match url.dir() {
                Some(dir) => dir.display().fmt(f),
                None => url.fmt(f),
            },
            Err(_) => f.write_str("?"),
        }
    }
}

impl Place {
    /// What a place is, of which the URL has been checked already.
    pub(crate) fn known(url: StateUrl) -> Self {
        Self(Ok(url))
    }
}

/// Where segments are put while a state is filled from an artifact.
pub(crate) fn scratch(config: &StateConfig) -> Option<PathBuf> {
    Some(config.url.dir()?.join("bootstrap"))
}

/// Opens the state that exists, gives its engine and its table, if there is one, to `work`, and closes it again. Never
/// makes anything.
pub(crate) fn with_state<T>(
    args: &StateArgs,
    work: impl FnOnce(&dyn Engine, Option<&EngineTable>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let engine = args.state.config("--state")?.existing(true).open_engine()?;
    let work = || {
        let table = open_existing(&engine, &args.state, args.table.as_deref())?;
        work(engine.as_ref(), table.as_ref())
    };
    let result = work();
    ended(result, engine.close())
}

/// The table that is meant, opened; none if there is none at all.
pub(crate) fn open_existing(
    engine: &Arc<dyn Engine>,
    state: &Place,
    table: Option<&str>,
) -> Result<Option<EngineTable>, Failure> {
    let name = existing_table(engine.as_ref(), state, table)?;
    let open = |name: String| EngineTable::open(Arc::clone(engine), &name);
    Ok(name.map(open).transpose()?)
}

/// As [`with_state`], for what makes no sense without a table.
pub(crate) fn with_table<T>(
    args: &StateArgs,
    work: impl FnOnce(&EngineTable) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_state(args, |_, table| match table {
        Some(table) => work(table),
        None => Err(Failure::NoTable {
            state: args.state.to_string(),
        }),
    })
}

/// The name of the table to replicate into: the one that is there, or a new one.
pub(crate) fn table_name(engine: &dyn Engine, args: &StateArgs) -> Result<String, Failure> {
    let name = existing_table(engine, &args.state, args.table.as_deref())?.or_else(|| args.table.clone());
    Ok(name.unwrap_or_else(|| TABLE.to_owned()))
}

/// The result of some work on what was closed afterwards; the error of the closing counts unless there is an earlier
/// one.
pub(crate) fn ended<T, E>(result: Result<T, Failure>, closed: Result<(), E>) -> Result<T, Failure>
where
    E: fmt::Display + Into<Failure>,
{
    match (result, closed) {
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(first), Err(error)) => {
            tracing::warn!(%error, "closing failed too");
            Err(first)
        }
        (result, Ok(())) => result,
    }
}

/// Which of the state's tables is meant; none if there is none at all.
fn existing_table(
    engine: &dyn Engine,
    state: &Place,
    table: Option<&str>,
) -> Result<Option<String>, Failure> {
    let mut found = tables(engine)?;
    let state = || state.to_string();
    match (table, found.len()) {
        (_, 0) => Ok(None),
        (Some(name), _) if found.iter().any(|found| found == name) => Ok(Some(name.to_owned())),
        (Some(name), _) => Err(Failure::OtherTable {
            state: state(),
            name: name.to_owned(),
            found,
        }),
        (None, 1) => Ok(found.pop()),
        (None, _) => Err(Failure::ManyTables {
            state: state(),
            found,
        }),
    }
}

/// The tables of a state, sorted.
pub(crate) fn tables(engine: &dyn Engine) -> Result<Vec<String>, Failure> {
    let mut found: Vec<String> = engine
        .spaces()?
        .iter()
        .filter_map(|space| table_of(space))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
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
    fn a_wrong_place_is_not_shown() {
        let place = Place::from(OsString::from("s3://me:hunter2@b"));
        let error = place.config("--state").unwrap_err();
        assert!(!format!("{place:?} {place} {error:?} {}", error.line()).contains("hunter2"));
    }

    #[test]
    fn a_table_is_found_by_its_space() {
        assert_eq!(table_of("table.kv.0"), Some("kv"));
        assert_eq!(table_of("table.routes.eu.12"), Some("routes.eu"));
        assert_eq!(table_of("partials"), None);
        assert_eq!(table_of("table.kv"), None);
    }
}
