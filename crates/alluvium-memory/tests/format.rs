//! What version 1 has on disks is still read. If this fails, the format changed: raise the version instead, and keep
//! reading this one.
//!
//! `fixtures/v1` holds a snapshot, the journal after it, and an ingested file that the journal names.

use std::fs;
use std::path::Path;

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, Pair};
use alluvium_memory::{MemoryEngine, MemoryOptions};

/// Opening a directory locks it and may mend it, so the fixture itself is left alone.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn version_1_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1"),
        dir.path(),
    );
    let engine = MemoryEngine::open_existing(dir.path(), MemoryOptions::default()).unwrap();
    let pairs = |space: &str| -> Vec<Pair> {
        let space = engine.space(space).unwrap();
        let pairs = engine.snapshot().unwrap().scan(space, &KeyRange::all()).unwrap();
        pairs.map(Result::unwrap).collect()
    };
    let mut spaces = engine.spaces().unwrap();
    spaces.sort();
    assert_eq!(spaces, ["compacted", "empty", "ingested"]);
    let nines = vec![9; 100];
    assert_eq!(
        pairs("compacted"),
        [
            ("a key that is too long to lie inline in its node", "long".into()),
            ("key.1", "".into()),
            ("key.2", nines.clone().into()),
            ("key.3", nines.clone().into()),
            ("key.4", nines.into()),
        ]
        .map(|(key, value)| (key.into(), value))
    );
    assert_eq!(pairs("empty"), []);
    assert_eq!(
        pairs("ingested"),
        [("0", "value 0"), ("1", "value 1"), ("2", "value 2")].map(|(key, value)| (key.into(), value.into()))
    );
}
