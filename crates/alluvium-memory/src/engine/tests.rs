//! What needs the inside of the engine: writes that fail, and what stays in memory.

use std::fs::File;
use std::sync::atomic::AtomicUsize;

use alluvium_core::{Durability, ErrorKind};

use super::*;
use crate::journal::files::AppendFile;
use crate::testing::{content, files, open, open_with, put};

const JOURNAL: &str = "data/00000000000000000001.journal";

/// A disk that can be told to fail.
#[derive(Default)]
struct Faults {
    /// How many bytes of the next writes still fit.
    full_after: Mutex<Option<usize>>,
    sync_fails: AtomicBool,
    cut_fails: AtomicBool,
    syncs: AtomicUsize,
}

struct FaultyFile {
    file: File,
    faults: Arc<Faults>,
}

impl AppendFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut full_after = self.faults.full_after.lock().unwrap();
        if let Some(left) = full_after.as_mut() {
            let part = bytes.len().min(*left);
            *left -= part;
            self.file.append(&bytes[..part])?;
            if part < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            return Ok(());
        }
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        if self.faults.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        if self.faults.cut_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.cut(length)
    }
}

fn faulty(dir: &Path, options: &MemoryOptions) -> (MemoryEngine, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let wrapped = Arc::clone(&faults);
    let hooks = Hooks {
        wrap: Some(Arc::new(move |file| {
            Arc::new(FaultyFile {
                file,
                faults: Arc::clone(&wrapped),
            })
        })),
        ..Hooks::default()
    };
    (open_with(dir, options, hooks).unwrap(), faults)
}

#[test]
fn a_full_disk_refuses_the_commit_and_takes_the_next_one_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = faulty(dir.path(), &MemoryOptions::default());
    let space = engine.space("s").unwrap();
    put(&engine, space, "before", b"v").unwrap();
    let (held, length) = (content(&engine), files(dir.path())[JOURNAL].len());
    for fits in 0..40 {
        *faults.full_after.lock().unwrap() = Some(fits);
        let error = put(&engine, space, "refused", &[9; 50]).unwrap_err();
        assert!(matches!(error, EngineError::Io { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(engine.space("refused").is_err());
        assert!(engine.drop_space("s").is_err());
        let mut pairs = [Ok(("k".into(), "v".into()))].into_iter();
        assert!(engine.ingest("refused", &mut pairs).is_err());
        assert_eq!(content(&engine), held);
        assert_eq!(
            files(dir.path())[JOURNAL].len(),
            length,
            "something was left behind"
        );
        assert!(!files(dir.path()).keys().any(|name| name.contains("ingest")));
    }
    *faults.full_after.lock().unwrap() = None;
    put(&engine, space, "after", b"v").unwrap();
    let held = content(&engine);
    drop(engine);
    assert_eq!(content(&open(dir.path()).unwrap()), held);
}

#[test]
fn a_write_that_can_not_be_taken_back_poisons_the_engine_until_it_is_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = faulty(dir.path(), &MemoryOptions::default());
    let space = engine.space("s").unwrap();
    put(&engine, space, "before", b"v").unwrap();
    let held = content(&engine);
    *faults.full_after.lock().unwrap() = Some(5);
    faults.cut_fails.store(true, Ordering::SeqCst);
    let error = put(&engine, space, "refused", b"v").unwrap_err();
    assert!(
        matches!(error, EngineError::Poisoned { source: Some(_), .. }),
        "{error:?}"
    );

    // Even with the disk well again; reads go on.
    *faults.full_after.lock().unwrap() = None;
    faults.cut_fails.store(false, Ordering::SeqCst);
    let poisoned = |error: EngineError| matches!(error, EngineError::Poisoned { source: Some(_), .. });
    assert!(poisoned(put(&engine, space, "later", b"v").unwrap_err()));
    assert!(poisoned(engine.space("later").unwrap_err()));
    assert!(poisoned(engine.drop_space("s").unwrap_err()));
    assert!(poisoned(
        engine.ingest("later", &mut std::iter::empty()).unwrap_err()
    ));
    assert!(poisoned(engine.sync().unwrap_err()));
    assert_eq!(content(&engine), held);
    engine.close().unwrap();

    let engine = open(dir.path()).unwrap();
    assert_eq!(content(&engine), held);
    let space = engine.space("s").unwrap();
    put(&engine, space, "later", b"v").unwrap();
}

#[test]
fn after_a_failed_sync_no_write_is_taken_and_the_commit_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let fsync = MemoryOptions::default().durability(Durability::Fsync);
    let (engine, faults) = faulty(dir.path(), &fsync);
    let space = engine.space("s").unwrap();
    put(&engine, space, "before", b"v").unwrap();
    let held = content(&engine);
    faults.sync_fails.store(true, Ordering::SeqCst);
    let error = put(&engine, space, "refused", b"v").unwrap_err();
    assert!(matches!(error, EngineError::Poisoned { .. }), "{error:?}");
    faults.sync_fails.store(false, Ordering::SeqCst);
    assert!(put(&engine, space, "later", b"v").is_err());
    assert_eq!(content(&engine), held);
    drop(engine);
    assert_eq!(content(&open(dir.path()).unwrap()), held);
}

#[test]
fn a_failed_sync_of_buffered_commits_poisons_too() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, faults) = faulty(dir.path(), &MemoryOptions::default());
    let space = engine.space("s").unwrap();
    faults.sync_fails.store(true, Ordering::SeqCst);
    put(&engine, space, "buffered", b"v").unwrap();
    assert!(matches!(engine.sync().unwrap_err(), EngineError::Poisoned { .. }));
    faults.sync_fails.store(false, Ordering::SeqCst);
    assert!(put(&engine, space, "later", b"v").is_err());
}

#[test]
fn every_write_is_synced_under_fsync_and_none_is_when_buffered() {
    for (durability, expected) in [(Durability::Fsync, 5), (Durability::Buffered, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let (engine, faults) = faulty(dir.path(), &MemoryOptions::default().durability(durability));
        let space = engine.space("s").unwrap();
        put(&engine, space, "a", b"v").unwrap();
        put(&engine, space, "b", b"v").unwrap();
        engine.ingest("t", &mut std::iter::empty()).unwrap();
        engine.drop_space("t").unwrap();
        assert_eq!(faults.syncs.load(Ordering::SeqCst), expected, "{durability}");
        engine.sync().unwrap();
        assert_eq!(faults.syncs.load(Ordering::SeqCst), expected + 1, "{durability}");
    }
}

#[test]
fn a_row_does_not_keep_the_buffer_that_it_came_in() {
    struct Buffer {
        bytes: Vec<u8>,
        _alive: Arc<()>,
    }
    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    let alive = Arc::new(());
    let buffer = || {
        Bytes::from_owner(Buffer {
            bytes: vec![b'x'; 64 << 10],
            _alive: Arc::clone(&alive),
        })
    };
    let engine = MemoryEngine::in_memory();
    let space = engine.space("s").unwrap();
    for length in [10, 100] {
        let mut batch = WriteBatch::default();
        batch.put(space, buffer().slice(..length), buffer().slice(..length));
        engine.commit(batch).unwrap();
    }
    let key = buffer().slice(..20);
    engine
        .ingest("t", &mut [Ok((key.clone(), key))].into_iter())
        .unwrap();
    assert_eq!(Arc::strong_count(&alive), 1, "a row still holds its buffer");
}

#[test]
fn a_panic_of_the_pairs_leaves_nothing_and_the_engine_usable() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        engine.ingest("s", &mut std::iter::once_with(|| panic!("the source broke")))
    }));
    assert!(panicked.is_err());
    assert!(engine.spaces().unwrap().is_empty());
    engine.ingest("s", &mut std::iter::empty()).unwrap();
    drop(engine);
    assert_eq!(open(dir.path()).unwrap().spaces().unwrap(), ["s"]);
}
