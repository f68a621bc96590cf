//! A kill at any step of a compaction leaves the whole state, and the files stay small.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock, Weak};

use alluvium_engine::Engine;

use super::*;
use crate::MemoryEngine;
use crate::journal::files::{Hooks, Step};
use crate::testing::{Content, content, files, open, open_with, put, restore, wait_until};

fn small() -> MemoryOptions {
    MemoryOptions::default().min_compaction_bytes(16 << 10)
}

fn journals(dir: &Path) -> usize {
    // Names only: the compacting thread makes and removes files meanwhile.
    let entries = dir.join("data").read_dir().unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".journal"))
        .count()
}

fn has(dir: &Path, name: &str) -> bool {
    dir.join("data").join(name).exists()
}

/// Overwrites the same rows until the files are due.
fn overwrite(engine: &MemoryEngine) {
    let space = engine.space("overwritten").unwrap();
    for round in 0..4 {
        for key in 0..10 {
            put(engine, space, &format!("key.{key}"), &[round; 700]).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_step_loses_nothing() {
    struct Image {
        step: String,
        files: BTreeMap<String, Vec<u8>>,
        content: Content,
    }
    let dir = tempfile::tempdir().unwrap();
    let images: Arc<Mutex<Vec<Image>>> = Arc::default();
    let engine: Arc<OnceLock<Weak<MemoryEngine>>> = Arc::default();
    let hook = {
        let (images, engine, root) = (Arc::clone(&images), Arc::clone(&engine), dir.path().to_path_buf());
        move |step: Step, path: &Path| {
            let Some(engine) = engine.get().and_then(Weak::upgrade) else {
                return Ok(());
            };
            let image = |step| {
                images.lock().unwrap().push(Image {
                    step,
                    files: files(&root),
                    content: content(&engine),
                });
            };
            image(format!("{step:?} {}", path.display()));
            // The writer is held while the journal changes; at all other steps commits go on.
            if !path.to_string_lossy().contains("journal") {
                let space = engine.space("meanwhile").unwrap();
                let number = images.lock().unwrap().len();
                put(&engine, space, &format!("step.{number}"), b"v").unwrap();
                image(format!("a commit after {step:?} {}", path.display()));
            }
            Ok(())
        }
    };
    let hooks = Hooks {
        step: Some(Arc::new(hook)),
        ..Hooks::default()
    };
    let strong = Arc::new(open_with(dir.path(), &small(), hooks).unwrap());
    let pairs = &mut (0..300).map(|n| Ok((format!("{n:03}").into(), vec![7; 300].into())));
    engine.set(Arc::downgrade(&strong)).unwrap();
    strong.ingest("ingested", pairs).unwrap();
    strong.space("empty").unwrap();
    overwrite(&strong);
    strong.drop_space("ingested").unwrap();
    wait_until("the ingested file is compacted", || {
        !has(dir.path(), "00000000000000000001.ingest")
            && !has(dir.path(), "00000000000000000001.journal")
            && !strong.is_compacting()
    });
    let last = content(&strong);
    strong.close().unwrap();

    let images = std::mem::take(&mut *images.lock().unwrap());
    for step in ["Begun", "Grown", "Whole", "Named", "Deleted"] {
        assert!(
            images.iter().any(|image| image.step.contains(step)),
            "no image of {step}"
        );
    }
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("state");
    for Image {
        step,
        files,
        content: expected,
    } in &images
    {
        restore(&target, files);
        let engine = open(&target).unwrap_or_else(|error| panic!("{step}: {error:?}"));
        assert!(content(&engine) == *expected, "{step}");
        // And it goes on from there.
        let space = engine.space("meanwhile").unwrap();
        put(&engine, space, "on", b"v").unwrap();
        let expected = content(&engine);
        drop(engine);
        assert!(content(&open(&target).unwrap()) == expected, "{step}, and on");
    }
    assert_eq!(content(&open(dir.path()).unwrap()), last);
}

#[test]
fn endless_overwrites_do_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_with(dir.path(), &small(), Hooks::default()).unwrap();
    for _ in 0..40 {
        overwrite(&engine);
        wait_until("the files are small again", || {
            engine.stats().unwrap().disk_bytes < 32 << 10
        });
    }
    let expected = content(&engine);
    drop(engine);
    assert_eq!(content(&open(dir.path()).unwrap()), expected);
}

#[test]
fn a_dropped_space_gives_its_disk_space_back_without_another_commit() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_with(dir.path(), &small(), Hooks::default()).unwrap();
    let pairs = &mut (0..1000).map(|n| Ok((format!("{n:04}").into(), vec![7; 300].into())));
    engine.ingest("large", pairs).unwrap();
    assert!(engine.stats().unwrap().disk_bytes > 300_000);
    engine.drop_space("large").unwrap();
    wait_until("the disk space is free", || {
        engine.stats().unwrap().disk_bytes < 1000
    });
}

#[test]
fn a_compaction_that_fails_is_tried_again_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(true));
    let failures = Arc::new(AtomicU64::new(0));
    for failing in [Step::Begun, Step::Grown, Step::Whole, Step::Named] {
        full.store(true, Ordering::SeqCst);
        failures.store(0, Ordering::SeqCst);
        let hook = {
            let (full, failures) = (Arc::clone(&full), Arc::clone(&failures));
            move |step: Step, path: &Path| {
                // Of journals and snapshots alike, but for the one step after which a journal has ended for good.
                let meant = step == failing
                    && !path.ends_with("00000000000000000001.snap")
                    && !(step == Step::Named
                        && path.extension().is_some_and(|extension| extension == "journal"));
                if meant && full.load(Ordering::SeqCst) {
                    failures.fetch_add(1, Ordering::SeqCst);
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                Ok(())
            }
        };
        let hooks = Hooks {
            step: Some(Arc::new(hook)),
            ..Hooks::default()
        };
        drop(open(dir.path()).unwrap());
        let engine = open_with(dir.path(), &small(), hooks).unwrap();
        while failures.load(Ordering::SeqCst) < 3 {
            overwrite(&engine);
        }
        full.store(false, Ordering::SeqCst);
        let expected = content(&engine);
        wait_until("the files are small again", || {
            overwrite(&engine);
            engine.stats().unwrap().disk_bytes < 64 << 10
        });
        assert_eq!(content(&engine), expected, "{failing:?}");
        drop(engine);
        assert_eq!(content(&open(dir.path()).unwrap()), expected, "{failing:?}");
    }
}

#[test]
fn a_change_of_journals_that_fails_at_its_last_step_is_completed_by_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let hook = |step: Step, path: &Path| match step {
        Step::Named if path.extension().is_some_and(|extension| extension == "journal") => {
            Err(io::Error::other("the disk is gone"))
        }
        _ => Ok(()),
    };
    let hooks = Hooks {
        step: Some(Arc::new(hook)),
        ..Hooks::default()
    };
    let engine = open_with(dir.path(), &small(), hooks).unwrap();
    let space = engine.space("s").unwrap();
    let mut expected = content(&engine);
    let error = loop {
        match put(&engine, space, "key", &[1; 700]) {
            Ok(()) => expected = content(&engine),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::Poisoned { .. }), "{error:?}");
    assert_eq!(content(&engine), expected);
    drop(engine);
    let engine = open(dir.path()).unwrap();
    assert_eq!(content(&engine), expected);
    let space = engine.space("s").unwrap();
    put(&engine, space, "key", b"v").unwrap();
}

#[test]
fn closing_does_not_wait_for_a_whole_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    let space = engine.space("s").unwrap();
    for n in 0..100 {
        put(&engine, space, &format!("{n:03}"), &[1; 10_000]).unwrap();
    }
    let expected = content(&engine);
    engine.close().unwrap();
    // The first chunk of the snapshot stays under way until the engine is being closed.
    let closing = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let grown = Arc::new(AtomicU64::new(0));
    let hook = {
        let (closing, grown) = (Arc::clone(&closing), Arc::clone(&grown));
        move |step: Step, path: &Path| {
            if step == Step::Grown && path.extension().is_some_and(|extension| extension == "snap") {
                grown.fetch_add(1, Ordering::SeqCst);
                let guard = closing.0.lock().unwrap();
                drop(closing.1.wait_while(guard, |closing| !*closing).unwrap());
            }
            Ok(())
        }
    };
    let hooks = Hooks {
        step: Some(Arc::new(hook)),
        ..Hooks::default()
    };
    let engine = open_with(dir.path(), &small(), hooks).unwrap();
    let space = engine.space("s").unwrap();
    for n in 0..100 {
        put(&engine, space, &format!("{n:03}"), &[1; 10_000]).unwrap();
    }
    wait_until("the snapshot is under way", || grown.load(Ordering::SeqCst) > 0);
    std::thread::scope(|scope| {
        let close = scope.spawn(|| engine.close().unwrap());
        wait_until("the engine is being closed", || engine.spaces().is_err());
        *closing.0.lock().unwrap() = true;
        closing.1.notify_all();
        close.join().unwrap();
    });
    assert!(!files(dir.path()).keys().any(|name| name.contains(".tmp")));
    assert_eq!(journals(dir.path()), 2);
    assert_eq!(content(&open(dir.path()).unwrap()), expected);
}
