//! The open database, and the spaces in it.
//!
//! A space is a column family. A name can be used again while snapshots still read the space that had it before, so
//! column families have numbers for names, and the default one holds the catalog:
//!
//! ```text
//! default             name of a space  →  name of its column family
//! <number>            the pairs of a space
//! ```
//!
//! A space is there when the catalog names it. The column family is made before its record and dropped after it, so a
//! kill in between leaves one that no record names: the next open drops it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc;

use alluvium_engine::{EngineError, Space, StateDir};
use rocksdb::{BoundColumnFamily, DBWithThreadMode, MultiThreaded};
use self_cell::self_cell;

/// RocksDB itself.
pub(crate) type Db = DBWithThreadMode<MultiThreaded>;

/// The column family that holds the catalog.
pub(crate) const CATALOG: &str = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;

/// The open database. Whoever is last to refer to it closes it, and hands over the state directory.
pub(crate) struct Database {
    // Before the directory, which is let go of once RocksDB has.
    pub(crate) db: Db,
    _directory: Owned,
}

struct Owned {
    state_dir: Option<StateDir>,
    closed: mpsc::Sender<StateDir>,
}

impl Database {
    /// With this, the state directory comes out at the other end when the database is closed.
    pub(crate) fn new(db: Db, state_dir: StateDir) -> (Self, mpsc::Receiver<StateDir>) {
        let (closed, until_closed) = mpsc::channel();
        let directory = Owned {
            state_dir: Some(state_dir),
            closed,
        };
        (
            Self {
                db,
                _directory: directory,
            },
            until_closed,
        )
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(state_dir) = self.state_dir.take() {
            // If nobody waits any more, it is dropped here.
            let _ = self.closed.send(state_dir);
        }
    }
}

self_cell!(
    /// The database and the spaces that it has, or had at some time: what a reader needs.
    pub(crate) struct View {
        owner: Arc<Database>,

        #[covariant]
        dependent: Spaces,
    }
);

/// The column families of spaces.
pub(crate) struct Spaces<'db> {
    families: BTreeMap<u32, Arc<BoundColumnFamily<'db>>>,
    numbers: BTreeMap<String, u32>,
}

impl View {
    /// The spaces of a directory.
    pub(crate) fn of(database: Arc<Database>, directory: &Directory) -> Self {
        Self::new(database, |database| {
            let named = directory.spaces.iter();
            let (families, numbers) = named
                .filter_map(|(name, space)| {
                    let family = database.db.cf_handle(&space.family)?;
                    Some(((space.number, family), (name.clone(), space.number)))
                })
                .unzip();
            Spaces { families, numbers }
        })
    }

    pub(crate) fn db(&self) -> &Db {
        &self.borrow_owner().db
    }

    /// The column family of a space.
    pub(crate) fn family(&self, space: Space) -> Result<&Arc<BoundColumnFamily<'_>>, EngineError> {
        let number = u32::try_from(space.index()).map_err(|_| EngineError::NoSpace)?;
        self.borrow_dependent()
            .families
            .get(&number)
            .ok_or(EngineError::NoSpace)
    }

    pub(crate) fn space(&self, name: &str) -> Option<Space> {
        self.borrow_dependent().numbers.get(name).copied().map(Space::new)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.borrow_dependent().numbers.keys().cloned().collect()
    }
}

/// A space, as its engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its handle. Not used again within the life of the engine.
    pub(crate) number: u32,
    /// The name of its column family.
    pub(crate) family: String,
}

/// Which spaces there are, and which are being made.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) spaces: BTreeMap<String, Named>,
    pub(crate) ingesting: BTreeSet<String>,
    next_number: u32,
    next_family: u64,
}

impl Directory {
    /// An empty one for a database that has these column families.
    pub(crate) fn beside<'a>(families: impl IntoIterator<Item = &'a String>) -> Self {
        let numbers = families
            .into_iter()
            .filter_map(|family| family.parse::<u64>().ok());
        Self {
            next_family: numbers.max().map_or(0, |last| last + 1),
            ..Self::default()
        }
    }

    /// A name for a column family that no other one has.
    pub(crate) fn new_family(&mut self) -> String {
        let family = self.next_family.to_string();
        self.next_family += 1;
        family
    }

    /// Adds a space.
    pub(crate) fn insert(&mut self, name: &str, family: String) -> Space {
        let number = self.next_number;
        self.next_number += 1;
        self.spaces.insert(name.into(), Named { number, family });
        Space::new(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_column_family_is_used_twice() {
        let there = [CATALOG, "3", "11", "x"].map(str::to_owned);
        let mut directory = Directory::beside(&there);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let family = directory.new_family();
            seen.push((directory.insert("a", family.clone()), family));
        }
        let expected = [(0, "12"), (1, "13"), (2, "14")];
        assert_eq!(
            seen,
            expected.map(|(number, family)| (Space::new(number), family.to_owned()))
        );
        assert_eq!(directory.spaces.len(), 1);
        assert_eq!(Directory::beside(&[CATALOG.to_owned()]).new_family(), "0");
    }
}
