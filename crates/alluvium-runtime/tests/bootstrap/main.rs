//! A table is filled from an artifact, wherever that was made, or is as it was.

mod bad_input;
#[path = "../common/eventually.rs"]
mod eventually;
mod memory_log;
mod replica;
mod restore;
mod shelf;
mod watched;

use std::sync::{Arc, Mutex};

use alluvium_core::{Scope, Sequence, Table};
use alluvium_runtime::{ArtifactDir, Bootstrap, BootstrapError, BootstrapProgress, fetch_artifact};

use shelf::{Shelf, TRUTH, content, key, new_table};
use watched::{Watched, no_answer};

/// A base of many segments and two deltas with deletes in them, at 3,000.
async fn three_runs() -> Shelf {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    shelf.delta(2_000, 60, TRUTH).await;
    shelf.delta(3_000, 80, TRUTH).await;
    shelf
}

#[tokio::test]
async fn a_table_holds_what_the_log_had_made_of_it_and_goes_on_from_there() {
    let shelf = three_runs().await;
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("new/bootstrap");
    let told = Arc::new(Mutex::new(BootstrapProgress::default()));
    let listener = Arc::clone(&told);
    let table = new_table();
    let bootstrap = Bootstrap::new(shelf.transport.clone(), key(), &path)
        .track_changes(true)
        .on_progress(move |progress| *listener.lock().unwrap() = progress);
    let done = bootstrap.run(&table).await.unwrap();

    let expected = shelf.state(3_000);
    assert_eq!(content(table.as_ref()), expected);
    assert_eq!(table.cursor(), Some(shelf.cursor(3_000)));
    assert_eq!(table.binding().unwrap().scope, Scope::all());
    assert_eq!(done.cursor, shelf.cursor(3_000));
    assert_eq!(done.rows, expected.len() as u64);
    let (id, manifest) = shelf.newest.clone().unwrap();
    assert_eq!(done.id, id);
    assert_eq!(done.fetched.segments, manifest.segments().count() as u64);
    assert_eq!(done.fetched.bytes, manifest.bytes());
    assert_eq!((done.fetched.reused, done.fetched.unneeded), (0, 0));
    assert!(!path.exists());
    let told = *told.lock().unwrap();
    assert_eq!(
        (told.bytes, told.bytes_total),
        (manifest.bytes(), manifest.bytes())
    );
    assert_eq!((told.rows, told.rows_total), (done.rows, manifest.rows()));

    // The change index reaches back to the artifact, and the table goes on.
    assert_eq!(table.stats().unwrap().changes_floor, Some(Sequence::new(3_000)));
    let next = shelf::messages(3_001).pop().unwrap();
    table
        .apply(std::slice::from_ref(&next), &shelf.cursor(3_001))
        .unwrap();
    let changed = table
        .snapshot()
        .unwrap()
        .changes_since(Sequence::new(3_000))
        .unwrap();
    assert_eq!(changed.collect::<Result<Vec<_>, _>>().unwrap(), [next]);
}

#[tokio::test]
async fn an_empty_table_travels_too() {
    let mut shelf = Shelf::new();
    shelf.changes.clear();
    shelf.base(0, 10, TRUTH).await;
    let scratch = tempfile::tempdir().unwrap();
    let table = new_table();
    let done = Bootstrap::new(shelf.transport.clone(), key(), scratch.path().join("s"))
        .run(&table)
        .await
        .unwrap();
    assert_eq!((done.rows, done.fetched.segments), (0, 0));
    assert_eq!(table.cursor(), Some(shelf.cursor(0)));
}

#[tokio::test]
async fn what_failed_at_any_segment_goes_on_where_it_was() {
    let shelf = three_runs().await;
    let all = shelf.newest.as_ref().unwrap().1.segments().count();
    assert!(all > 15);
    for fails_at in 0..all {
        let scratch = tempfile::tempdir().unwrap();
        let failing = Watched::with(shelf.transport.clone(), move |number, _| {
            if number == fails_at {
                Err(no_answer())
            } else {
                Ok(())
            }
        });
        let table = new_table();
        let bootstrap = Bootstrap::new(failing.clone(), key(), scratch.path()).segments_in_flight(1);
        let error = bootstrap.run(&table).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Transport(_)), "{error:?}");
        assert_eq!(error.kind(), alluvium_core::ErrorKind::Transient);
        assert!(table.cursor().is_none() && content(table.as_ref()).is_empty());
        let before = failing.take();
        assert_eq!(before.len(), fails_at);

        // The same transport, which fails no more.
        let done = bootstrap.run(&table).await.unwrap();
        let after = failing.take();
        assert_eq!(after.len(), all - fails_at);
        assert!(before.iter().all(|segment| !after.contains(segment)));
        assert_eq!(done.fetched.reused, fails_at as u64);
        assert_eq!(content(table.as_ref()), shelf.state(3_000));
        assert!(!scratch.path().exists());
    }
}

#[tokio::test]
async fn a_narrower_table_fetches_only_what_can_have_its_keys() {
    let shelf = three_runs().await;
    let manifest = &shelf.newest.as_ref().unwrap().1;
    let scope = Scope::of(["routes.eu.*"]).unwrap();
    let watched = Watched::new(shelf.transport.clone());
    let scratch = tempfile::tempdir().unwrap();
    let table = new_table();
    let bootstrap = Bootstrap::new(watched.clone(), key(), scratch.path()).scope(scope.clone());
    let done = bootstrap.run(&table).await.unwrap();
    let mut expected = shelf.state(3_000);
    expected.retain(|key, _| scope.matches(key));
    assert!(!expected.is_empty());
    assert_eq!(content(table.as_ref()), expected);
    assert_eq!(table.binding().unwrap().scope, scope);

    let in_range = |key: &[u8]| key.starts_with(b"routes.eu.");
    let can_have = manifest.segments().filter(|(_, segment)| {
        let info = &segment.info;
        in_range(&info.first_key)
            || in_range(&info.last_key)
            || (info.first_key < b"routes.eu."[..] && info.last_key > b"routes.eu."[..])
    });
    let mut wanted: Vec<_> = can_have.map(|(_, segment)| segment.info.sha256).collect();
    let mut fetched = watched.take();
    wanted.sort_unstable();
    fetched.sort_unstable();
    assert_eq!(fetched, wanted);
    assert!(wanted.len() * 2 < manifest.segments().count());
    assert_eq!(
        done.fetched.unneeded,
        (manifest.segments().count() - wanted.len()) as u64
    );
}

#[tokio::test]
async fn the_past_is_restored_as_it_was_and_replaces_what_is_there() {
    let shelf = three_runs().await;
    let table = new_table();
    let scratch = tempfile::tempdir().unwrap();
    for (at, expected) in [
        (u64::MAX, 3_000),
        (2_999, 2_000),
        (2_000, 2_000),
        (1_500, 1_500),
        (3_000, 3_000),
    ] {
        let bootstrap = Bootstrap::new(shelf.transport.clone(), key(), scratch.path().join("s"));
        let done = bootstrap.at(Sequence::new(at)).run(&table).await.unwrap();
        assert_eq!(done.id.sequence(), Sequence::new(expected));
        assert_eq!(content(table.as_ref()), shelf.state(expected), "at {at}");
        assert_eq!(table.cursor(), Some(shelf.cursor(expected)));
    }
    let bootstrap = Bootstrap::new(shelf.transport.clone(), key(), scratch.path().join("s"));
    let error = bootstrap.at(Sequence::new(1_499)).run(&table).await.unwrap_err();
    assert!(matches!(error, BootstrapError::NoArtifact { .. }), "{error:?}");
    assert!(error.to_string().contains("1499"), "{error}");
    assert_eq!(content(table.as_ref()), shelf.state(3_000));
}

#[tokio::test]
async fn what_is_left_of_an_older_artifact_is_used_or_goes() {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    let scratch = tempfile::tempdir().unwrap();
    let older = shelf.newest.clone().unwrap().1;
    let watched = Watched::new(shelf.transport.clone());
    fetch_artifact(watched.clone(), &key(), &older, scratch.path(), |_| ())
        .await
        .unwrap();
    assert_eq!(watched.take().len(), older.segments().count());
    // A run of it stays in the next one, and none in the one after.
    shelf.delta(2_000, 60, TRUTH).await;
    let newer = shelf.newest.clone().unwrap().1;
    let fetched = fetch_artifact(watched.clone(), &key(), &newer, scratch.path(), |_| ())
        .await
        .unwrap();
    assert_eq!(fetched.reused, older.segments().count() as u64);
    assert_eq!(watched.take().len(), newer.runs[1].segments.len());
    shelf.base(3_000, 40, TRUTH).await;
    let newest = shelf.newest.clone().unwrap().1;
    let fetched = fetch_artifact(watched.clone(), &key(), &newest, scratch.path(), |_| ())
        .await
        .unwrap();
    assert_eq!(fetched.reused, 0);
    let names = std::fs::read_dir(scratch.path()).unwrap().count();
    assert_eq!(names, 1 + newest.segments().count());
}

#[tokio::test]
async fn a_fetched_artifact_can_be_read_where_it_is() {
    let shelf = three_runs().await;
    let manifest = shelf.newest.clone().unwrap().1;
    let scratch = tempfile::tempdir().unwrap();
    fetch_artifact(shelf.transport.clone(), &key(), &manifest, scratch.path(), |_| ())
        .await
        .unwrap();
    let opened = ArtifactDir::open(scratch.path()).unwrap();
    assert_eq!(opened.manifest(), &manifest);
    let rows: Result<shelf::Content, _> = opened.rows(&Scope::all()).unwrap().collect();
    assert_eq!(rows.unwrap(), shelf.state(3_000));
    let scope = Scope::of(["routes.us.007", "routes.ap.>"]).unwrap();
    let rows: Result<shelf::Content, _> = opened.rows(&scope).unwrap().collect();
    let mut expected = shelf.state(3_000);
    expected.retain(|key, _| scope.matches(key));
    assert_eq!(rows.unwrap(), expected);

    // It lies open to everybody, so it is checked again.
    let (_, segment) = manifest.segments().last().unwrap();
    let path = scratch.path().join(format!("{}.parquet", segment.info.sha256));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let rows: Result<Vec<_>, _> = opened.rows(&Scope::all()).unwrap().collect();
    assert!(matches!(rows.unwrap_err(), BootstrapError::Segment { .. }));
}

#[tokio::test]
async fn two_do_not_share_a_directory() {
    let shelf = three_runs().await;
    let scratch = tempfile::tempdir().unwrap();
    let (first, second): (Arc<dyn Table>, Arc<dyn Table>) = (new_table(), new_table());
    let bootstrap = Bootstrap::new(shelf.transport.clone(), key(), scratch.path());
    let (one, other) = tokio::join!(bootstrap.run(&first), bootstrap.run(&second));
    let results = [one, other];
    let done = results.iter().filter(|result| result.is_ok()).count();
    let in_use = |result: &&Result<_, _>| matches!(result, Err(BootstrapError::InUse { .. }));
    assert_eq!(done + results.iter().filter(in_use).count(), 2, "{results:?}");
    assert!(done > 0);
}
