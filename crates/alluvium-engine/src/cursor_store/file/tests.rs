//! What only files can have: what a kernel refuses, and what somebody else has put there. The rest is the conformance suite.

use std::os::unix::fs::symlink;

use alluvium_core::{Cursor, LogIdentity, Scope, Sequence, Timestamp};
use tempfile::TempDir;

use super::*;

fn at(sequence: u64) -> CursorRecord {
    let start = Cursor::start_of(LogIdentity::new("ORDERS", Timestamp::from_nanos(1)));
    let cursor = start.at(Sequence::new(sequence), Timestamp::from_nanos(2));
    CursorRecord::new(cursor, Scope::all())
}

fn new() -> (TempDir, FileCursorStore) {
    let directory = TempDir::new().unwrap();
    let cursors = FileCursorStore::open(directory.path()).unwrap();
    (directory, cursors)
}

#[track_caller]
fn assert_kind<T>(outcome: Result<T, CursorStoreError>, kind: ErrorKind) {
    match outcome {
        Ok(_) => panic!("it should have failed"),
        Err(error) => assert_eq!(error.kind(), kind, "{error:?}"),
    }
}

#[tokio::test]
async fn after_a_failed_fsync_the_old_record_stands() {
    let (directory, cursors) = new();
    let held = cursors.hold("mailer").await.unwrap();
    held.save(&at(1)).await.unwrap();
    // A device that takes every write and cannot be synced.
    let temporary = directory.path().join("cursors/mailer.ckpt.tmp");
    symlink("/dev/null", &temporary).unwrap();
    let error = held.save(&at(2)).await.unwrap_err();
    assert!(
        matches!(error, CursorStoreError::Storage { doing: "sync", .. }),
        "{error:?}"
    );
    assert_eq!(held.load().await.unwrap(), Some(at(1)));
    fs::remove_file(&temporary).unwrap();
    held.save(&at(2)).await.unwrap();
    assert_eq!(held.load().await.unwrap(), Some(at(2)));
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_record() {
    let (directory, cursors) = new();
    let held = cursors.hold("mailer").await.unwrap();
    held.save(&at(1)).await.unwrap();
    symlink("/dev/full", directory.path().join("cursors/mailer.ckpt.tmp")).unwrap();
    assert_kind(held.save(&at(2)).await, ErrorKind::Unavailable);
    assert_eq!(held.load().await.unwrap(), Some(at(1)));
}

#[tokio::test]
async fn a_directory_that_vanished_is_not_an_empty_one() {
    let (directory, cursors) = new();
    let held = cursors.hold("mailer").await.unwrap();
    held.save(&at(1)).await.unwrap();
    let away = directory.path().join("away");
    fs::rename(directory.path().join("cursors"), &away).unwrap();
    assert_kind(held.save(&at(2)).await, ErrorKind::Unavailable);
    assert_kind(held.load().await, ErrorKind::Unavailable);
    assert_kind(cursors.load("mailer").await, ErrorKind::Unavailable);
    assert_kind(cursors.list().await, ErrorKind::Unavailable);
    assert_kind(cursors.hold("mailer").await, ErrorKind::Unavailable);
    // Another one in its place: what was held is held no more.
    fs::create_dir(directory.path().join("cursors")).unwrap();
    assert_kind(held.save(&at(2)).await, ErrorKind::Fenced);
    fs::remove_dir(directory.path().join("cursors")).unwrap();
    fs::rename(&away, directory.path().join("cursors")).unwrap();
    assert_eq!(held.load().await.unwrap(), Some(at(1)));
    held.save(&at(2)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let (directory, cursors) = new();
    let path = directory.path().join("cursors/mailer.ckpt");
    fs::create_dir(&path).unwrap();
    assert_kind(cursors.load("mailer").await, ErrorKind::Unavailable);
    assert_kind(cursors.hold("mailer").await, ErrorKind::Unavailable);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, vec![0; 2 << 20]).unwrap();
    assert_kind(cursors.load("mailer").await, ErrorKind::Corrupt);
    assert_eq!(cursors.list().await.unwrap(), ["mailer"]);
}

#[tokio::test]
async fn what_others_have_put_there_is_not_listed() {
    let (directory, cursors) = new();
    cursors.hold("held, and never saved").await.unwrap();
    cursors.hold("Ä/..").await.unwrap().save(&at(1)).await.unwrap();
    for foreign in [
        "notes.txt",
        ".ckpt",
        "A.ckpt",
        "%2.ckpt",
        "a.ckpt.tmp",
        "a%0A.ckpt",
    ] {
        fs::write(directory.path().join("cursors").join(foreign), b"").unwrap();
    }
    assert_eq!(cursors.list().await.unwrap(), ["Ä/.."]);
}

#[tokio::test]
async fn cursors_may_be_there_before_the_engine_is() {
    let (directory, _) = new();
    crate::StateDir::open_or_create(directory.path(), "memory").unwrap();
    let elsewhere = TempDir::new().unwrap();
    fs::write(elsewhere.path().join("cursors.txt"), b"").unwrap();
    assert!(crate::StateDir::open_or_create(elsewhere.path(), "memory").is_err());
}

/// A save that nobody waits for any more may be done after a later one, and is not to undo it.
#[tokio::test]
async fn saves_count_in_the_order_in_which_they_were_asked_for() {
    let (_directory, cursors) = new();
    let held = cursors.hold("mailer").await.unwrap();
    for round in 0..50 {
        let (early, late) = (at(2 * round), at(2 * round + 1));
        // Both are asked for, in this order, before either is done.
        let (early, late_outcome) = tokio::join!(held.save(&early), held.save(&late));
        early.unwrap();
        late_outcome.unwrap();
        assert_eq!(held.load().await.unwrap(), Some(late));
    }
}
