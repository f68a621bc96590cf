//! What a kill leaves is mended, what was damaged is named.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use alluvium_engine::{Engine, EngineError};

use super::*;
use crate::journal::files::{Hooks, Step};
use crate::testing::{Content, content, files, open, open_with, put, restore, wait_until};
use crate::{MemoryEngine, MemoryOptions};

const JOURNAL_1: &str = "data/00000000000000000001.journal";

/// A directory whose newest journal is its first, the content before its last commit, and the lengths of the journal
/// before and after that commit.
struct Simple {
    files: BTreeMap<String, Vec<u8>>,
    before: (Content, usize),
    after: (Content, usize),
}

fn simple() -> Simple {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    let space = engine.space("s").unwrap();
    for n in 0..5 {
        put(&engine, space, &format!("key.{n}"), &[n; 9]).unwrap();
    }
    let before = (content(&engine), files(dir.path())[JOURNAL_1].len());
    put(&engine, space, "last", b"a value of the last commit").unwrap();
    let after = (content(&engine), files(dir.path())[JOURNAL_1].len());
    engine.close().unwrap();
    Simple {
        files: files(dir.path()),
        before,
        after,
    }
}

/// A directory with all kinds of files: a snapshot that holds something, two journals after it, ingested files.
fn rich() -> (BTreeMap<String, Vec<u8>>, Content) {
    let dir = tempfile::tempdir().unwrap();
    let options = MemoryOptions::default().min_compaction_bytes(20_000);
    let fill = |engine: &MemoryEngine, value: u8| {
        let space = engine.space("filled").unwrap();
        for n in 0..30 {
            put(engine, space, &format!("key.{n}"), &[value; 1000]).unwrap();
        }
    };
    let engine = open_with(dir.path(), &options, Hooks::default()).unwrap();
    fill(&engine, 1);
    fill(&engine, 2);
    fill(&engine, 3);
    let data = dir.path().join("data");
    let compacted = || !data.join("00000000000000000001.snap").exists();
    wait_until("the first snapshot is replaced", compacted);
    engine.close().unwrap();

    // From here on no snapshot succeeds, so the journals stay.
    let step = |step: Step, path: &std::path::Path| match step {
        Step::Begun if path.to_string_lossy().contains(".snap") => Err(io::Error::other("no snapshot")),
        _ => Ok(()),
    };
    let hooks = Hooks {
        step: Some(Arc::new(step)),
        ..Hooks::default()
    };
    let engine = open_with(dir.path(), &options, hooks).unwrap();
    let pair = |n: u32| Ok((format!("{n:03}").into(), "ingested".into()));
    engine.ingest("ingested", &mut (0..50).map(pair)).unwrap();
    fill(&engine, 4);
    fill(&engine, 5);
    // Names only: the compacting thread makes and removes files meanwhile.
    let journals = || {
        let entries = data.read_dir().unwrap().map(Result::unwrap);
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".journal"))
            .count()
    };
    wait_until("a second journal is there", || journals() >= 2);
    let space = engine.space("after").unwrap();
    put(&engine, space, "key", b"value").unwrap();
    put(&engine, space, "last", b"value").unwrap();
    let content = content(&engine);
    engine.close().unwrap();
    (files(dir.path()), content)
}

fn assert_corrupt(dir: &std::path::Path, name: &str, what: &str) {
    let before = files(dir);
    match open(dir).map(|_| ()) {
        Err(EngineError::Corrupt { path, .. }) => assert_eq!(path, dir.join(name), "{what}"),
        other => panic!("{what}: {other:?}"),
    }
    assert!(files(dir) == before, "{what}: the directory was touched");
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let Simple {
        files: found,
        before,
        after,
    } = simple();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    for length in before.1..=after.1 {
        let mut torn = found.clone();
        torn.get_mut(JOURNAL_1).unwrap().truncate(length);
        restore(&dir, &torn);
        let engine = open(&dir).unwrap();
        let expected = if length == after.1 { &after } else { &before };
        assert_eq!(content(&engine), expected.0, "cut at {length}");
        assert_eq!(files(&dir)[JOURNAL_1].len(), expected.1, "cut at {length}");
        // The next commit stands where the torn one stood.
        let space = engine.space("s").unwrap();
        put(&engine, space, "next", b"v").unwrap();
        let content_now = content(&engine);
        engine.close().unwrap();
        assert_eq!(content(&open(&dir).unwrap()), content_now);
    }
}

#[test]
fn a_last_record_that_is_not_what_was_written_is_cut_off() {
    let Simple {
        files: found,
        before,
        after,
    } = simple();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    for at in before.1..after.1 {
        let mut damaged = found.clone();
        damaged.get_mut(JOURNAL_1).unwrap()[at] ^= 0x40;
        restore(&dir, &damaged);
        assert_eq!(content(&open(&dir).unwrap()), before.0, "byte {at}");
    }
    // A file system may have kept the length and not the bytes.
    let mut zeroed = found.clone();
    zeroed.get_mut(JOURNAL_1).unwrap()[before.1..].fill(0);
    restore(&dir, &zeroed);
    assert_eq!(content(&open(&dir).unwrap()), before.0);
}

#[test]
fn damage_before_the_last_record_is_named_and_nothing_is_touched() {
    let Simple {
        files: found, before, ..
    } = simple();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    for at in 0..before.1 {
        for flip in [0x01, 0x80] {
            let mut damaged = found.clone();
            damaged.get_mut(JOURNAL_1).unwrap()[at] ^= flip;
            restore(&dir, &damaged);
            assert_corrupt(&dir, JOURNAL_1, &format!("byte {at} flipped by {flip:#x}"));
        }
    }
    for length in 0..FILE_HEADER {
        let mut short = found.clone();
        short.get_mut(JOURNAL_1).unwrap().truncate(length);
        restore(&dir, &short);
        assert_corrupt(&dir, JOURNAL_1, &format!("cut at {length}"));
    }
}

#[test]
fn damage_in_any_file_but_the_newest_journal_is_named() {
    let (found, expected) = rich();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    restore(&dir, &found);
    assert_eq!(content(&open(&dir).unwrap()), expected, "undamaged");

    let names: Vec<_> = found.keys().filter(|name| name.starts_with("data/")).collect();
    let newest = names.iter().rfind(|name| name.contains(".journal")).unwrap();
    for kind in [".snap", ".ingest", ".journal"] {
        assert!(
            names.iter().any(|name| name.ends_with(kind) && name != newest),
            "{names:?}"
        );
    }
    for name in names.iter().filter(|name| *name != newest) {
        let length = found[*name].len();
        // Every byte of the ends, and a sample between.
        let dense = |at: &usize| *at < 60 || *at + 60 > length || at.is_multiple_of(997);
        for at in (0..length).filter(dense) {
            let mut damaged = found.clone();
            damaged.get_mut(*name).unwrap()[at] ^= 0x10;
            restore(&dir, &damaged);
            assert_corrupt(&dir, name, &format!("byte {at} of {name}"));

            let mut cut = found.clone();
            cut.get_mut(*name).unwrap().truncate(at);
            restore(&dir, &cut);
            assert_corrupt(&dir, name, &format!("{name} cut at {at}"));
        }
        let mut longer = found.clone();
        longer.get_mut(*name).unwrap().push(0);
        restore(&dir, &longer);
        assert_corrupt(&dir, name, &format!("a byte added to {name}"));
    }
}

#[test]
fn a_missing_file_is_named() {
    let (found, _) = rich();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    // The newest journal too: the one before says that it is there.
    for name in found.keys().filter(|name| name.starts_with("data/")) {
        let mut missing = found.clone();
        missing.remove(name);
        restore(&dir, &missing);
        assert_corrupt(&dir, name, &format!("{name} is missing"));
    }
    // At rest there is one journal.
    let Simple { files: mut found, .. } = simple();
    found.remove(JOURNAL_1);
    restore(&dir, &found);
    assert_corrupt(&dir, JOURNAL_1, "the only journal is missing");
}

#[test]
fn a_file_under_another_name_is_named() {
    let (found, _) = rich();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    let journals: Vec<_> = found.keys().filter(|name| name.contains(".journal")).collect();
    let mut swapped = found.clone();
    swapped.insert(journals[0].clone(), found[journals[1]].clone());
    restore(&dir, &swapped);
    assert_corrupt(&dir, journals[0], "another journal under this name");
}

#[test]
fn what_a_kill_during_the_creation_leaves_is_an_empty_engine() {
    let images = Arc::new(std::sync::Mutex::new(Vec::new()));
    let dir = tempfile::tempdir().unwrap();
    let (root, seen) = (dir.path().to_path_buf(), Arc::clone(&images));
    let hooks = Hooks {
        step: Some(Arc::new(move |_, _| {
            seen.lock().unwrap().push(files(&root));
            Ok(())
        })),
        ..Hooks::default()
    };
    open_with(dir.path(), &MemoryOptions::default(), hooks).unwrap();
    let images = images.lock().unwrap();
    assert!(images.len() >= 6, "{}", images.len());
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    for image in images.iter() {
        restore(&dir, image);
        let engine = open(&dir).unwrap();
        let space = engine.space("s").unwrap();
        put(&engine, space, "key", b"value").unwrap();
        let expected = content(&engine);
        drop(engine);
        assert_eq!(content(&open(&dir).unwrap()), expected);
    }
}

#[test]
fn files_of_others_are_left_alone() {
    let Simple {
        files: mut found,
        after,
        ..
    } = simple();
    let theirs = [
        "data/notes.txt",
        "data/1.journal",
        "data/journal",
        "data/99999999999999999999.snap",
    ];
    for name in theirs {
        found.insert(name.to_owned(), b"not ours".to_vec());
    }
    found.insert("data/00000000000000000002.snap.tmp".to_owned(), b"half".to_vec());
    found.insert("data/00000000000000000007.ingest".to_owned(), b"half".to_vec());
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    restore(&dir, &found);
    assert_eq!(content(&open(&dir).unwrap()), after.0);
    let left = files(&dir);
    for name in theirs {
        assert!(left.contains_key(name), "{name} is gone");
    }
    assert!(
        !left
            .keys()
            .any(|name| name.contains(".tmp") || name.contains(".ingest"))
    );
}

#[test]
fn a_file_of_a_newer_version_is_no_damage() {
    let Simple { files: mut found, .. } = simple();
    let journal = found.get_mut(JOURNAL_1).unwrap();
    journal[12] = 2;
    let crc = crc32fast::hash(&journal[..32]).to_le_bytes();
    journal[32..36].copy_from_slice(&crc);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    restore(&dir, &found);
    let error = open(&dir).unwrap_err();
    assert!(
        matches!(&error, EngineError::Invalid(text) if text.contains("version 2")),
        "{error:?}"
    );
    assert!(files(&dir) == found);
}
