//! What the tests of this crate share.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, EngineError, Space, StateDir, WriteBatch};

use crate::journal::files::Hooks;
use crate::{MemoryEngine, MemoryOptions};

/// All that an engine holds.
pub(crate) type Content = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

pub(crate) fn content(engine: &MemoryEngine) -> Content {
    let snapshot = engine.snapshot().unwrap();
    let spaces = engine.spaces().unwrap().into_iter();
    spaces
        .map(|name| {
            let space = engine.space(&name).unwrap();
            let pairs = snapshot.scan(space, &KeyRange::all()).unwrap();
            let pairs = pairs.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
            (name, pairs.collect::<Result<_, _>>().unwrap())
        })
        .collect()
}

pub(crate) fn open_with(
    dir: &Path,
    options: &MemoryOptions,
    hooks: Hooks,
) -> Result<MemoryEngine, EngineError> {
    MemoryEngine::open_dir(StateDir::open_or_create(dir, "memory")?, options.clone(), hooks)
}

pub(crate) fn open(dir: &Path) -> Result<MemoryEngine, EngineError> {
    open_with(dir, &MemoryOptions::default(), Hooks::default())
}

pub(crate) fn put(engine: &MemoryEngine, space: Space, key: &str, value: &[u8]) -> Result<(), EngineError> {
    let mut batch = WriteBatch::default();
    batch.put(space, key.to_owned(), value.to_vec());
    engine.commit(batch)
}

/// The files of a directory, those of directories in it too, and what they hold.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let inner = files(&entry.path()).into_iter();
            found.extend(inner.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Makes a directory hold these files and no others.
pub(crate) fn restore(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap();
    }
    for (name, bytes) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Comes back once it is so. A minute is not a promise, only the end of patience.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..30_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("waited in vain until {what}");
}
