//! What stays bounded, and what happens when the disk does not take any more.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use alluvium_core::{Durability, ErrorKind};
use alluvium_engine::{Engine, EngineError, Space, WriteBatch};
use alluvium_fjall::{Compression, FjallEngine, FjallOptions};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const MIB: u64 = 1 << 20;
/// What is asked for, 64 MiB, what journals may outgrow it by, and what is committed between two looks at them.
const BOUND: u64 = (64 + 128 + 8) * MIB;

fn write(engine: &FjallEngine, space: Space, n: u64) -> std::result::Result<(), EngineError> {
    let mut batch = WriteBatch::default();
    for row in 0..16 {
        batch.put(space, format!("{:08}", n * 16 + row), vec![b'v'; 64 << 10]);
    }
    engine.commit(batch)
}

/// fjall keeps a journal until all it holds is in tables, and writes out only what is written to
/// (<https://github.com/fjall-rs/fjall/issues/288>).
#[test]
fn journals_stay_bounded_while_a_space_idles() -> Result {
    let dir = tempfile::tempdir()?;
    let options = FjallOptions::default()
        .journal_bytes(64 * MIB)
        .memtable_bytes(8 * MIB);
    let engine = FjallEngine::open(dir.path(), options)?;
    let (idle, busy) = (engine.space("idle")?, engine.space("busy")?);
    let mut batch = WriteBatch::default();
    batch.put(idle, "k", "v");
    engine.commit(batch)?;
    let mut most = 0;
    for n in 0..600 {
        write(&engine, busy, n)?;
        most = most.max(engine.stats()?.journal_bytes);
    }
    assert!(most <= BOUND, "{} MiB of journals", most / MIB);
    assert!(engine.stats()?.disk_bytes > 100 * MIB);
    // The idle space has not lost anything over it.
    assert_eq!(engine.get(idle, b"k")?.as_deref(), Some(&b"v"[..]));
    engine.close()?;
    let engine = FjallEngine::open(dir.path(), FjallOptions::default())?;
    assert_eq!(
        engine.get(engine.space("idle")?, b"k")?.as_deref(),
        Some(&b"v"[..])
    );
    assert_eq!(engine.approximate_len(engine.space("busy")?)?, 600 * 16);
    Ok(())
}

#[test]
fn journals_stay_bounded_over_many_small_spaces_and_small_commits() -> Result {
    let dir = tempfile::tempdir()?;
    let options = FjallOptions::default().journal_bytes(64 * MIB);
    let engine = FjallEngine::open(dir.path(), options)?;
    let spaces = (0..32)
        .map(|n| engine.space(&format!("s{n}")))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let mut most = 0;
    for (n, space) in (0..300).zip(spaces.iter().cycle()) {
        write(&engine, *space, n)?;
        most = most.max(engine.stats()?.journal_bytes);
    }
    assert!(most <= BOUND, "{} MiB of journals", most / MIB);
    Ok(())
}

const FULL: &str = "ALLUVIUM_FJALL_FULL_DIR";

/// A limit on the size of files stands in for a disk that is full. It takes a process of its own.
#[test]
fn after_a_write_that_failed_no_more_are_taken_until_a_reopen() -> Result {
    if let Ok(dir) = std::env::var(FULL) {
        return fill_up(Path::new(&dir));
    }
    let dir = tempfile::tempdir()?;
    // The journal is allocated at 64 MiB, which fits. The signal is ignored so that the write fails instead.
    let script = "trap '' XFSZ; ulimit -f $((66 * 1024 * 1024 / $1)); shift; exec \"$0\" \"$@\"";
    let unit = if Command::new("sh")
        .args(["-c", "test -n \"$BASH_VERSION\""])
        .status()?
        .success()
    {
        1024
    } else {
        512
    };
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe()?)
        .arg(unit.to_string())
        .args([
            "--exact",
            "after_a_write_that_failed_no_more_are_taken_until_a_reopen",
            "--nocapture",
        ])
        .env(FULL, dir.path())
        .status()?;
    assert!(status.success(), "see above");
    let engine = FjallEngine::open_existing(dir.path(), FjallOptions::default())?;
    let space = engine.space("s")?;
    let returned: u64 = fs::read_to_string(dir.path().join("returned"))?.parse()?;
    assert_eq!(
        engine.approximate_len(space)?,
        returned * 16,
        "what returned, and nothing of the one that failed"
    );
    write(&engine, space, returned)?;
    Ok(())
}

fn fill_up(dir: &Path) -> Result {
    let options = FjallOptions::default()
        .memtable_bytes(256 * MIB)
        .compression(Compression::None);
    let engine = FjallEngine::open(dir, options.durability(Durability::Fsync))?;
    let space = engine.space("s")?;
    let mut returned = 0;
    let error = loop {
        match write(&engine, space, returned) {
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
    for _ in 0..3 {
        assert!(matches!(
            write(&engine, space, returned),
            Err(EngineError::Poisoned { .. })
        ));
        assert!(matches!(engine.sync(), Err(EngineError::Poisoned { .. })));
    }
    // What returned can be read, and nothing of what failed.
    assert_eq!(engine.approximate_len(space)?, returned * 16);
    assert_eq!(
        engine.get(space, format!("{:08}", returned * 16).as_bytes())?,
        None
    );
    fs::write(dir.join("returned"), returned.to_string())?;
    assert!(matches!(engine.close(), Err(EngineError::Poisoned { .. })));
    Ok(())
}

/// fjall would wait for ever for a worker that has died of a full disk.
#[test]
fn a_writer_does_not_wait_for_a_worker_that_has_died() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = FjallEngine::open(dir.path(), FjallOptions::default().memtable_bytes(MIB))?;
    let space = engine.space("s")?;
    write(&engine, space, 0)?;
    // Nothing can be written out any more.
    for entry in fs::read_dir(dir.path().join("data/keyspaces"))? {
        fs::remove_dir_all(entry?.path().join("tables"))?;
    }
    let error = loop {
        if let Err(error) = write(&engine, space, 1) {
            break error;
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert!(matches!(error, EngineError::Poisoned { .. }), "{error:?}");
    assert!(engine.close().is_err());
    Ok(())
}
