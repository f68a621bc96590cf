//! What the engine promises, one test per promise. The numbers are those of the obligations of
//! [`alluvium_engine::Engine`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use alluvium_core::{Durability, KeyRange};
use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, PairSource, Space, StateDir, StateDirError, WriteBatch,
};
use alluvium_fjall::{Compression, FjallEngine, FjallOptions};
use bytes::Bytes;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn open(dir: &Path) -> std::result::Result<FjallEngine, EngineError> {
    FjallEngine::open(dir, FjallOptions::default().memtable_bytes(1 << 20))
}

fn put(engine: &FjallEngine, space: Space, key: &str, value: &str) -> std::result::Result<(), EngineError> {
    let mut batch = WriteBatch::default();
    batch.put(space, key.to_owned(), value.to_owned());
    engine.commit(batch)
}

fn content(snapshot: &dyn EngineSnapshot, space: Space) -> Result<BTreeMap<Bytes, Bytes>> {
    Ok(snapshot
        .scan(space, &KeyRange::all())?
        .collect::<std::result::Result<_, _>>()?)
}

fn pairs(count: u32) -> impl Iterator<Item = std::result::Result<(Bytes, Bytes), alluvium_core::BoxError>> {
    (0..count).map(|n| Ok((Bytes::from(format!("{n:08}")), Bytes::from(format!("value {n}")))))
}

/// Waits for a condition; the test runner has the clock.
fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_committed_is_there_after_a_reopen_1_2() -> Result {
    let dir = tempfile::tempdir()?;
    for durability in [Durability::Buffered, Durability::Fsync] {
        let engine = FjallEngine::open(dir.path(), FjallOptions::default().durability(durability))?;
        let (a, b) = (engine.space("a")?, engine.space("b")?);
        let mut batch = WriteBatch::default();
        batch.put(a, "k", durability.as_str());
        batch.put(b, "k", durability.as_str());
        batch.remove(b, "not there");
        engine.commit(batch)?;
        engine.close()?;
        let engine = FjallEngine::open_existing(dir.path(), FjallOptions::default())?;
        for name in ["a", "b"] {
            let space = engine.space(name)?;
            assert_eq!(
                engine.get(space, b"k")?.as_deref(),
                Some(durability.as_str().as_bytes())
            );
        }
    }
    Ok(())
}

#[test]
fn no_snapshot_sees_a_part_of_a_commit_while_tables_are_written_out_1_3() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Arc::new(open(dir.path())?);
    let spaces = [engine.space("a")?, engine.space("b")?];
    let done = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let (engine, done) = (engine.clone(), done.clone());
        move || -> std::result::Result<u64, EngineError> {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let snapshot = engine.snapshot()?;
                let read = |space, key: u32| snapshot.get(space, format!("{key:04}").as_bytes());
                let first = read(spaces[0], 0)?;
                for key in [999, 500, 250] {
                    for space in spaces {
                        assert_eq!(read(space, key)?, first, "a snapshot is of one commit");
                    }
                }
                assert_eq!(read(spaces[0], 0)?, first, "a snapshot stands still");
                seen += 1;
            }
            Ok(seen)
        }
    });
    for round in 0..200_u32 {
        let mut batch = WriteBatch::default();
        for key in 0..1000 {
            for space in spaces {
                batch.put(space, format!("{key:04}"), format!("{round:0100}"));
            }
        }
        engine.commit(batch)?;
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.join().map_err(|_| "the reader failed")?? > 0);
    Ok(())
}

#[test]
fn a_snapshot_taken_after_a_commit_has_it_and_none_that_comes_later_3() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path())?;
    let (a, b) = (engine.space("a")?, engine.space("b")?);
    put(&engine, a, "k", "1")?;
    put(&engine, b, "k", "1")?;
    let snapshot = engine.snapshot()?;
    let mut scan = snapshot.scan(a, &KeyRange::all())?;
    put(&engine, a, "k", "2")?;
    put(&engine, a, "l", "2")?;
    engine.drop_space("b")?;
    let late = engine.space("late")?;
    assert!(matches!(snapshot.get(late, b"k"), Err(EngineError::NoSpace)));
    assert!(matches!(
        snapshot.scan(late, &KeyRange::all()),
        Err(EngineError::NoSpace)
    ));
    assert_eq!(snapshot.get(a, b"k")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(
        snapshot.get(b, b"k")?.as_deref(),
        Some(&b"1"[..]),
        "in spite of the drop"
    );
    assert_eq!(content(&*snapshot, b)?.len(), 1);
    drop(snapshot);
    assert_eq!(
        scan.next().transpose()?,
        Some(("k".into(), "1".into())),
        "a scan outlives its snapshot"
    );
    assert!(scan.next().is_none());
    assert_eq!(engine.snapshot()?.get(a, b"k")?.as_deref(), Some(&b"2"[..]));
    Ok(())
}

#[test]
fn scans_are_in_order_within_their_range_4() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path())?;
    let space = engine.ingest("s", &mut pairs(1000))?;
    put(&engine, space, "00000500", "new")?;
    let snapshot = engine.snapshot()?;
    let keys = |range: KeyRange| -> Result<Vec<Bytes>> {
        let keys = snapshot.scan(space, &range)?.map(|pair| Ok(pair?.0));
        keys.collect()
    };
    let all = keys(KeyRange::all())?;
    assert_eq!(all.len(), 1000);
    assert!(all.is_sorted_by(|a, b| a < b));
    assert_eq!(keys(KeyRange::prefix("000009"))?.len(), 100);
    assert_eq!(
        keys(KeyRange::of("00000010".."00000012"))?,
        ["00000010", "00000011"]
    );
    assert_eq!(keys(KeyRange::of("00000998"..))?, ["00000998", "00000999"]);
    assert_eq!(keys(KeyRange::of("2".."1"))?, [""; 0]);
    let long = "0".repeat(70_000);
    assert_eq!(keys(KeyRange::of(long.as_str()..))?.len(), 999);
    assert_eq!(keys(KeyRange::of(..=long.as_str()))?.len(), 1);
    assert_eq!(engine.get(space, long.as_bytes())?, None);
    assert_eq!(engine.get(space, b"")?, None);
    Ok(())
}

#[test]
fn an_ingest_is_all_or_nothing_5() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path())?;
    let fail = |pairs: &mut PairSource<'_>| engine.ingest("s", pairs).expect_err("must fail");
    let source: alluvium_core::BoxError = "the source failed".into();
    assert!(matches!(
        fail(&mut pairs(100).chain([Err(source)])),
        EngineError::Pairs(_)
    ));
    assert!(matches!(
        fail(&mut pairs(100).chain(pairs(1))),
        EngineError::Invalid(_)
    ));
    let long = Bytes::from(vec![b'9'; 70_000]);
    assert!(matches!(
        fail(&mut pairs(100).chain([Ok((long, Bytes::new()))])),
        EngineError::Invalid(_)
    ));
    assert!(matches!(
        fail(&mut [Ok((Bytes::new(), Bytes::new()))].into_iter()),
        EngineError::Invalid(_)
    ));
    assert_eq!(engine.spaces()?, [""; 0], "a failed ingest leaves no space");

    let space = engine.ingest("s", &mut pairs(1000))?;
    assert!(matches!(
        engine.ingest("s", &mut pairs(1)),
        Err(EngineError::Invalid(_))
    ));
    assert_eq!(engine.approximate_len(space)?, 1000);
    let empty = engine.ingest("empty", &mut pairs(0))?;
    assert_eq!(engine.approximate_len(empty)?, 0);
    engine.close()?;
    let engine = open(dir.path())?;
    assert_eq!(content(&*engine.snapshot()?, engine.space("s")?)?.len(), 1000);
    put(&engine, engine.space("s")?, "00000001", "changed")?;
    assert_eq!(
        engine.get(engine.space("s")?, b"00000001")?.as_deref(),
        Some(&b"changed"[..])
    );
    Ok(())
}

#[test]
fn an_ingest_that_was_cut_short_does_not_stand_in_the_way_of_the_next_5() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path())?;
    // The catalog as it was before the ingest, which is what a kill before its end leaves.
    let catalog = fs::read(dir.path().join("fjall.json"))?;
    engine.ingest("s", &mut pairs(1000))?;
    engine.close()?;
    fs::write(dir.path().join("fjall.json"), catalog)?;
    let engine = open(dir.path())?;
    assert_eq!(engine.spaces()?, [""; 0]);
    let space = engine.ingest("s", &mut pairs(3))?;
    assert_eq!(content(&*engine.snapshot()?, space)?.len(), 3);
    engine.close()?;
    let engine = open(dir.path())?;
    assert_eq!(content(&*engine.snapshot()?, engine.space("s")?)?.len(), 3);
    Ok(())
}

#[test]
fn a_dropped_space_is_gone_and_so_are_its_bytes_6() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path())?;
    for round in 0..3 {
        let space = engine.ingest("s", &mut pairs(100_000))?;
        put(&engine, space, "k", "v")?;
        let full = engine.stats()?.disk_bytes;
        assert!(full > 1 << 20, "{full}");
        let snapshot = engine.snapshot()?;
        engine.drop_space("s")?;
        engine.drop_space("s")?;
        assert!(matches!(engine.get(space, b"k"), Err(EngineError::NoSpace)));
        assert!(matches!(put(&engine, space, "k", "v"), Err(EngineError::NoSpace)));
        assert_eq!(content(&*snapshot, space)?.len(), 100_001);
        drop(snapshot);
        wait_until(|| engine.stats().is_ok_and(|stats| stats.disk_bytes < full / 2));
        assert!(matches!(engine.get(space, b"k"), Err(EngineError::NoSpace)));
        if round == 1 {
            let again = engine.space("s")?;
            assert_ne!(space, again, "numbers are not used again");
            assert_eq!(engine.get(again, b"k")?, None);
            engine.drop_space("s")?;
        }
    }
    engine.close()?;
    let engine = open(dir.path())?;
    assert_eq!(engine.spaces()?, [""; 0]);
    Ok(())
}

/// fjall counts from what it finds in spaces and journals, so that a space made after the last commit has a higher
/// number than what fjall counts from after a reopen. Its removal would be older than its making.
#[test]
fn a_space_can_be_dropped_after_a_reopen_without_any_commit_6() -> Result {
    let dir = tempfile::tempdir()?;
    for _ in 0..3 {
        let engine = open(dir.path())?;
        for name in ["a", "b", "c"] {
            engine.space(name)?;
        }
        engine.close()?;
        let engine = open(dir.path())?;
        engine.drop_space("b")?;
        engine.close()?;
        let engine = open(dir.path())?;
        let mut spaces = engine.spaces()?;
        spaces.sort();
        assert_eq!(spaces, ["a", "c"]);
        engine.close()?;
    }
    Ok(())
}

#[test]
fn a_second_open_is_refused_until_the_first_is_closed_9() -> Result {
    let dir = tempfile::tempdir()?;
    let locked = |result: std::result::Result<FjallEngine, EngineError>| {
        matches!(result, Err(EngineError::StateDir(StateDirError::Locked { .. })))
    };
    let engine = open(dir.path())?;
    let space = engine.space("s")?;
    put(&engine, space, "k", "v")?;
    let snapshot = engine.snapshot()?;
    let mut scan = snapshot.scan(space, &KeyRange::all())?;
    assert!(locked(open(dir.path())));
    assert!(locked(FjallEngine::open_existing(
        dir.path(),
        FjallOptions::default()
    )));
    engine.close()?;
    engine.close()?;
    // What is still held of the first is no hindrance, and is of no use.
    let second = open(dir.path())?;
    assert!(matches!(snapshot.get(space, b"k"), Err(EngineError::Closed)));
    assert!(matches!(
        snapshot.scan(space, &KeyRange::all()),
        Err(EngineError::Closed)
    ));
    assert!(matches!(scan.next(), Some(Err(EngineError::Closed))));
    assert!(scan.next().is_none());
    assert!(matches!(engine.get(space, b"k"), Err(EngineError::Closed)));
    assert!(matches!(
        engine.commit(WriteBatch::default()),
        Err(EngineError::Closed)
    ));
    assert!(matches!(put(&engine, space, "k", "v"), Err(EngineError::Closed)));
    assert!(matches!(engine.snapshot(), Err(EngineError::Closed)));
    assert!(matches!(engine.space("s"), Err(EngineError::Closed)));
    assert!(matches!(engine.spaces(), Err(EngineError::Closed)));
    assert!(matches!(engine.drop_space("s"), Err(EngineError::Closed)));
    assert!(matches!(
        engine.ingest("t", &mut pairs(1)),
        Err(EngineError::Closed)
    ));
    assert!(matches!(engine.approximate_len(space), Err(EngineError::Closed)));
    assert!(matches!(engine.sync(), Err(EngineError::Closed)));
    assert!(matches!(engine.stats(), Err(EngineError::Closed)));
    drop((engine, snapshot, scan));
    assert!(locked(open(dir.path())));
    drop(second);
    open(dir.path())?;
    Ok(())
}

#[test]
fn a_bad_write_is_refused_whole() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path())?;
    let space = engine.space("s")?;
    for key in [Bytes::new(), vec![b'k'; 65_536].into()] {
        let mut batch = WriteBatch::default();
        batch.put(space, "fine", "v");
        batch.put(space, key, "v");
        assert!(matches!(engine.commit(batch), Err(EngineError::Invalid(_))));
    }
    let mut batch = WriteBatch::default();
    batch.put(space, "fine", "v");
    batch.put(Space::new(7), "k", "v");
    assert!(matches!(engine.commit(batch), Err(EngineError::NoSpace)));
    assert_eq!(engine.get(space, b"fine")?, None);
    for name in ["", "a/b", "~commits", &"n".repeat(201)] {
        assert!(
            matches!(engine.space(name), Err(EngineError::Invalid(_))),
            "{name}"
        );
        assert!(
            matches!(engine.drop_space(name), Err(EngineError::Invalid(_))),
            "{name}"
        );
        assert!(
            matches!(engine.ingest(name, &mut pairs(1)), Err(EngineError::Invalid(_))),
            "{name}"
        );
    }
    let mut batch = WriteBatch::default();
    batch.put(space, vec![b'k'; 65_535], "v");
    batch.put(engine.space(&"n".repeat(200))?, "k", "");
    engine.commit(batch)?;
    engine.close()?;
    let engine = open(dir.path())?;
    assert_eq!(
        engine.get(engine.space("s")?, &vec![b'k'; 65_535])?.as_deref(),
        Some(&b"v"[..])
    );
    assert_eq!(
        engine.get(engine.space(&"n".repeat(200))?, b"k")?.as_deref(),
        Some(&b""[..])
    );
    Ok(())
}

#[test]
fn a_space_keeps_the_options_it_was_made_with() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = FjallEngine::open(dir.path(), FjallOptions::default().compression(Compression::Lz4))?;
    engine.space("s")?;
    engine.close()?;
    let engine = FjallEngine::open(dir.path(), FjallOptions::default().compression(Compression::None))?;
    engine.space("t")?;
    let compression = |name| {
        engine
            .space_options(name)
            .map(|found| found.map(|options| options.compression))
    };
    assert_eq!(compression("s")?, Some(Compression::Lz4));
    assert_eq!(compression("t")?, Some(Compression::None));
    assert_eq!(compression("u")?, None);
    Ok(())
}

#[test]
fn a_creation_that_was_cut_short_is_made_again() -> Result {
    let whole = tempfile::tempdir()?;
    open(whole.path())?.close()?;
    // Whatever part of it there is, in whatever order the disk took it.
    let leave = |keep: &dyn Fn(&str) -> bool| -> Result {
        let dir = tempfile::tempdir()?;
        drop(StateDir::open_or_create(dir.path(), "fjall")?);
        copy(&whole.path().join("data"), &dir.path().join("data"), "", keep)?;
        let engine = open(dir.path())?;
        put(&engine, engine.space("s")?, "k", "v")?;
        engine.close()?;
        let engine = open(dir.path())?;
        assert_eq!(engine.get(engine.space("s")?, b"k")?.as_deref(), Some(&b"v"[..]));
        Ok(())
    };
    leave(&|_| true)?;
    leave(&|name| name == "lock")?;
    leave(&|name| name == "0.jnl")?;
    leave(&|name| name == "0.jnl" || name == "lock")?;
    leave(&|name| name == "0.jnl" || name == "version")?;
    leave(&|name| name != "version")?;
    leave(&|name| !name.ends_with("current"))
}

fn copy(from: &Path, to: &Path, within: &str, keep: &dyn Fn(&str) -> bool) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = format!("{within}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            copy(
                &entry.path(),
                &to.join(entry.file_name()),
                &format!("{name}/"),
                keep,
            )?;
        } else if keep(&name) {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
