//! What the suite cannot ask of every engine.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use alluvium_core::{Durability, ErrorKind, KeyRange};
use alluvium_engine::{Engine, EngineError, Space, WriteBatch};
use alluvium_rocksdb::{Compression, RocksDbEngine, RocksDbOptions};
use bytes::Bytes;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const MIB: u64 = 1 << 20;

fn small() -> RocksDbOptions {
    RocksDbOptions::default().write_buffer_bytes(0)
}

/// Commit n puts its number into both spaces, under the same keys.
fn commit(engine: &RocksDbEngine, spaces: &[Space], n: u32) -> std::result::Result<(), EngineError> {
    let mut batch = WriteBatch::default();
    for space in spaces {
        batch.put(*space, n.to_be_bytes().to_vec(), vec![b'v'; 400]);
    }
    engine.commit(batch)
}

/// The last commit that is there; an error if one before it is missing, or there in one space only.
fn last_commit(engine: &RocksDbEngine, names: &[&str]) -> Result<u32> {
    let mut last = BTreeSet::new();
    for name in names {
        if !engine.spaces()?.iter().any(|there| there == name) {
            last.insert(0);
            continue;
        }
        let pairs = engine.snapshot()?.scan(engine.space(name)?, &KeyRange::all())?;
        let keys: Vec<Bytes> = pairs.map(|pair| Ok(pair?.0)).collect::<Result<_>>()?;
        let expected = (1..).map(|n: u32| n.to_be_bytes());
        if !keys.iter().zip(expected).all(|(key, expected)| **key == expected) {
            return Err(format!("a commit is missing from {name}").into());
        }
        last.insert(u32::try_from(keys.len())?);
    }
    match last.len() {
        1 => Ok(last.pop_first().unwrap_or_default()),
        _ => Err(format!("a commit is torn: {last:?}").into()),
    }
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|of_file| of_file == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn flip(path: &Path, at: u64) -> Result {
    let mut file = fs::File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[byte[0] ^ 0x40])?;
    Ok(())
}

/// The directory as a kill leaves it: with no inventory. What RocksDB has written lies with the system.
fn killed(dir: &Path, commits: u32) -> Result<PathBuf> {
    let (live, killed) = (dir.join("live"), dir.join("killed"));
    let engine = RocksDbEngine::open(&live, RocksDbOptions::default())?;
    let spaces = [engine.space("a")?, engine.space("b")?];
    for n in 1..=commits {
        commit(&engine, &spaces, n)?;
    }
    copy(&live, &killed)?;
    assert!(
        !killed.join("rocksdb.json").exists(),
        "there is no inventory of what is open"
    );
    engine.close()?;
    assert!(live.join("rocksdb.json").exists());
    Ok(killed)
}

#[test]
fn no_damage_to_a_journal_after_a_kill_loses_commits_silently_8() -> Result {
    const COMMITS: u32 = 100;
    let dir = tempfile::tempdir()?;
    let killed = killed(dir.path(), COMMITS)?;
    let journal = files(&killed.join("data"), "log")?.pop().ok_or("no journal")?;
    let length = fs::metadata(&journal)?.len();
    let name = journal.strip_prefix(&killed)?;
    let (mut refused, mut cut) = (0, 0);
    for place in (0..length).step_by(997).chain(length - 30..length) {
        let damaged = dir.path().join("damaged");
        copy(&killed, &damaged)?;
        flip(&damaged.join(name), place)?;
        match RocksDbEngine::open_existing(&damaged, RocksDbOptions::default()) {
            Err(EngineError::Corrupt { path, .. }) => {
                assert_eq!(path, damaged.join(name));
                refused += 1;
            }
            Err(error) => return Err(error.into()),
            Ok(engine) => {
                let last = last_commit(&engine, &["a", "b"])?;
                assert!(last >= COMMITS - 1, "{place}: only {last} of {COMMITS}");
                cut += u32::from(last < COMMITS);
            }
        }
        fs::remove_dir_all(&damaged)?;
    }
    assert!(refused > 50 && cut > 10, "{refused} refused, {cut} cut off");
    Ok(())
}

#[test]
fn a_journal_that_a_kill_cut_short_is_read_up_to_there_and_written_on_1_2() -> Result {
    const COMMITS: u32 = 100;
    let dir = tempfile::tempdir()?;
    let killed = killed(dir.path(), COMMITS)?;
    let journal = files(&killed.join("data"), "log")?.pop().ok_or("no journal")?;
    let length = fs::metadata(&journal)?.len();
    for cut in [length - 1, length - 500, length / 2, length / 3] {
        let torn = dir.path().join("torn");
        copy(&killed, &torn)?;
        let file = fs::File::options()
            .write(true)
            .open(torn.join(journal.strip_prefix(&killed)?))?;
        file.set_len(cut)?;
        let mut last = None;
        // Closed well in between, so that the next open expects to find things as they were left.
        for round in 0..4 {
            let engine = RocksDbEngine::open_existing(&torn, RocksDbOptions::default())?;
            let there = last_commit(&engine, &["a", "b"])?;
            assert!(
                there > 20 && (there < COMMITS || round > 0),
                "{there} in round {round}"
            );
            assert!(
                last.is_none_or(|last| last == there),
                "{last:?} and then {there} in round {round}"
            );
            commit(&engine, &[engine.space("a")?, engine.space("b")?], there + 1)?;
            last = Some(there + 1);
            engine.close()?;
        }
        fs::remove_dir_all(&torn)?;
    }
    Ok(())
}

#[test]
fn a_manifest_that_is_missing_or_changed_after_a_kill_is_named_8() -> Result {
    let dir = tempfile::tempdir()?;
    let killed = killed(dir.path(), 10)?;
    let current = killed.join("data/CURRENT");
    let manifest = killed.join("data").join(fs::read_to_string(&current)?.trim_end());
    let refused = |path: &Path| {
        let opened = RocksDbEngine::open_existing(&killed, RocksDbOptions::default());
        assert!(matches!(opened, Err(EngineError::Corrupt { path: named, .. }) if path.starts_with(&named)));
    };
    let whole = fs::read(&manifest)?;
    flip(&manifest, 20)?;
    refused(&manifest);
    fs::remove_file(&manifest)?;
    refused(&manifest);
    fs::write(&manifest, whole)?;
    let name = fs::read(&current)?;
    for damaged in ["", "MANIFEST-999999\n", "MANIFEST", "\n"] {
        fs::write(&current, damaged)?;
        refused(&current);
    }
    fs::remove_file(&current)?;
    refused(&current);
    fs::write(&current, name)?;
    let journal = files(&killed.join("data"), "log")?.pop().ok_or("no journal")?;
    let content = fs::read(&journal)?;
    fs::remove_file(&journal)?;
    refused(&journal);
    fs::write(&journal, content)?;
    let engine = RocksDbEngine::open_existing(&killed, RocksDbOptions::default())?;
    assert_eq!(last_commit(&engine, &["a", "b"])?, 10);
    Ok(())
}

#[test]
fn what_ingests_that_a_kill_cut_short_left_goes_at_the_next_open_5() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = RocksDbEngine::open(dir.path(), small())?;
    let folder = dir.path().join("data/ingest");
    let mut watched = (0..1000_u32).map(|n| {
        let tables = fs::read_dir(&folder)?.count();
        assert!(n == 0 || tables == 1, "{tables} tables at {n}");
        Ok((n.to_be_bytes().to_vec().into(), Bytes::from(vec![7; 100])))
    });
    engine.ingest("s", &mut watched)?;
    assert_eq!(fs::read_dir(&folder)?.count(), 0, "the tables are RocksDB's");
    engine.close()?;
    fs::write(folder.join("7-0.sst"), "a part of a table")?;
    let engine = RocksDbEngine::open(dir.path(), small())?;
    assert!(!folder.exists());
    assert_eq!(
        engine
            .snapshot()?
            .scan(engine.space("s")?, &KeyRange::all())?
            .count(),
        1000
    );
    Ok(())
}

#[test]
fn a_close_lets_go_in_spite_of_snapshots_and_scans_and_those_say_so_9() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = RocksDbEngine::open(dir.path(), small())?;
    let spaces = [engine.space("a")?];
    for n in 1..=200 {
        commit(&engine, &spaces, n)?;
    }
    let snapshot = engine.snapshot()?;
    let mut scan = snapshot.scan(spaces[0], &KeyRange::all())?;
    assert!(scan.next().is_some());
    engine.close()?;
    let again = RocksDbEngine::open(dir.path(), small())?;
    assert!(matches!(snapshot.get(spaces[0], b"k"), Err(EngineError::Closed)));
    assert!(matches!(
        snapshot.scan(spaces[0], &KeyRange::all()),
        Err(EngineError::Closed)
    ));
    // What was read ahead still comes.
    assert!(matches!(
        scan.find_map(std::result::Result::err),
        Some(EngineError::Closed)
    ));
    drop((snapshot, scan));
    assert_eq!(last_commit(&again, &["a"])?, 200);
    Ok(())
}

#[test]
fn many_spaces_come_and_go_and_journals_and_memory_stay_bounded_6() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = RocksDbEngine::open(dir.path(), RocksDbOptions::default().write_buffer_bytes(4 * MIB))?;
    let idle = engine.space("idle")?;
    commit(&engine, &[idle], 1)?;
    let mut most = 0;
    for n in 0..100_u32 {
        let name = format!("run.{n}");
        let space = engine.space(&name)?;
        let mut batch = WriteBatch::default();
        for key in 0..8_u32 {
            batch.put(space, key.to_be_bytes().to_vec(), vec![b'v'; 128 << 10]);
        }
        engine.commit(batch)?;
        if let Some(old) = n.checked_sub(20) {
            engine.drop_space(&format!("run.{old}"))?;
        }
        most = most.max(engine.stats()?.disk_bytes);
    }
    assert_eq!(engine.spaces()?.len(), 21);
    // 20 MiB are there, and at most 8 MiB of journals; some is being written out and allocated ahead.
    assert!(most < 60 * MIB, "{} MiB", most / MIB);
    assert!(
        !dir.path().join("data/LOG").exists(),
        "what RocksDB says goes to no file"
    );
    assert!(engine.get(idle, &1_u32.to_be_bytes())?.is_some());
    Ok(())
}

#[test]
fn what_one_compression_wrote_is_read_under_another() -> Result {
    let dir = tempfile::tempdir()?;
    for (n, compression) in (1..).zip([Compression::Lz4Zstd, Compression::None, Compression::Lz4]) {
        let engine = RocksDbEngine::open(dir.path(), small().compression(compression))?;
        let pairs = (0..1000_u32).map(|n| Ok((n.to_be_bytes().to_vec().into(), vec![b'v'; 300].into())));
        let name = format!("{compression:?}");
        engine.ingest(&name, &mut pairs.into_iter())?;
        let found: u64 = files(&dir.path().join("data"), "sst")?
            .iter()
            .map(|path| fs::metadata(path).map(|found| found.len()))
            .sum::<std::io::Result<_>>()?;
        if compression == Compression::Lz4Zstd {
            assert!(found < 100_000, "{found} bytes of 300,000 that are all the same");
        }
        for name in engine.spaces()? {
            let space = engine.space(&name)?;
            assert_eq!(
                engine.snapshot()?.scan(space, &KeyRange::all())?.count(),
                1000,
                "{name} in {n}"
            );
        }
        engine.close()?;
    }
    Ok(())
}

#[test]
fn what_rocksdb_cannot_hold_is_refused() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = RocksDbEngine::open(dir.path(), small())?;
    let space = engine.space("s")?;
    for key in [Vec::new(), vec![1; 1 << 16]] {
        let mut batch = WriteBatch::default();
        batch.put(space, "fine", "v");
        batch.put(space, key.clone(), "v");
        assert!(matches!(engine.commit(batch), Err(EngineError::Invalid(_))));
        let mut pairs = std::iter::once(Ok((key.into(), "v".into())));
        assert!(matches!(
            engine.ingest("t", &mut pairs),
            Err(EngineError::Invalid(_))
        ));
    }
    assert_eq!(engine.get(space, b"fine")?, None);
    assert_eq!(engine.spaces()?, ["s"]);
    Ok(())
}

const FULL: &str = "ALLUVIUM_ROCKSDB_FULL_DIR";

/// A limit on the size of files stands in for a disk that is full. It takes a process of its own.
#[test]
fn after_a_write_that_failed_no_more_are_taken_until_a_reopen() -> Result {
    if let Ok(dir) = std::env::var(FULL) {
        return fill_up(Path::new(&dir));
    }
    let dir = tempfile::tempdir()?;
    // The signal is ignored so that the write fails instead. Shells count in 1,024 bytes, or in 512: both will do.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe()?)
        .args([
            "--exact",
            "after_a_write_that_failed_no_more_are_taken_until_a_reopen",
            "--nocapture",
        ])
        .env(FULL, dir.path())
        .status()?;
    assert!(status.success(), "see above");
    let engine = RocksDbEngine::open_existing(dir.path(), RocksDbOptions::default())?;
    let returned: u32 = fs::read_to_string(dir.path().join("returned"))?.parse()?;
    assert_eq!(
        last_commit(&engine, &["a", "b"])?,
        returned,
        "what returned, and nothing of the one that failed"
    );
    commit(&engine, &[engine.space("a")?, engine.space("b")?], returned + 1)?;
    Ok(())
}

fn fill_up(dir: &Path) -> Result {
    let engine = RocksDbEngine::open(dir, RocksDbOptions::default().durability(Durability::Fsync))?;
    let spaces = [engine.space("a")?, engine.space("b")?];
    let mut returned = 0;
    let error = loop {
        match commit(&engine, &spaces, returned + 1) {
            Ok(()) => returned += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, EngineError::Poisoned { source: Some(_), .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(returned > 0);
    for refused in [
        commit(&engine, &spaces, returned + 1),
        engine.sync(),
        engine.drop_space("a"),
        engine.space("c").map(drop),
    ] {
        assert!(
            matches!(refused, Err(EngineError::Poisoned { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(last_commit(&engine, &["a", "b"])?, returned);
    fs::write(dir.join("returned"), returned.to_string())?;
    assert!(matches!(engine.close(), Err(EngineError::Poisoned { .. })));
    assert!(!dir.join("rocksdb.json").exists());
    Ok(())
}
