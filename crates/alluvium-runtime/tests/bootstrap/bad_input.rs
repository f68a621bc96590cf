//! Anybody can have written what is in the store, and anything can be in the way: a typed error, and the table as it was.

use std::fs;
use std::sync::Arc;

use alluvium_core::artifact::Unfit;
use alluvium_core::{Binding, ErrorKind, Mode, Scope, Sequence, Table, Transport as _, TransportError};
use alluvium_runtime::{Bootstrap, BootstrapError, fetch_artifact};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use crate::shelf::{Lie, Shelf, TRUTH, content, key, new_table};
use crate::watched::Watched;

/// Puts something at a path.
type Make<'a> = dyn Fn(&std::path::Path) + 'a;

/// A table at 700, which something is to replace.
fn old_table(shelf: &Shelf) -> Arc<dyn Table> {
    let table = new_table();
    let binding = Binding {
        log: shelf.log.name.clone(),
        scope: shelf.scope.clone(),
        mode: Mode::default(),
    };
    table.bind(&binding).unwrap();
    table.apply(&shelf.changes[..700], &shelf.cursor(700)).unwrap();
    table
}

/// Tries to fill an old table, and checks that it stays what it was.
async fn refused(shelf: &Shelf, change: impl FnOnce(Bootstrap) -> Bootstrap) -> BootstrapError {
    let scratch = tempfile::tempdir().unwrap();
    let table = old_table(shelf);
    let bootstrap = change(Bootstrap::new(shelf.transport.clone(), key(), scratch.path()));
    let error = bootstrap.run(&table).await.unwrap_err();
    assert_eq!(content(table.as_ref()), shelf.state(700), "{error:?}");
    assert_eq!(table.cursor(), Some(shelf.cursor(700)));
    error
}

#[tokio::test]
async fn a_manifest_that_lies_about_a_segment() {
    let lies: [(&str, Lie); 6] = [
        ("rows", |infos| infos.last_mut().unwrap().rows += 1),
        ("first key", |infos| infos[0].first_key = "routes.ap".into()),
        ("last key", |infos| {
            infos.last_mut().unwrap().last_key = "routes.vv".into();
        }),
        ("first sequence", |infos| {
            infos[2].first_sequence = Sequence::new(infos[2].first_sequence.get() - 1);
        }),
        ("last sequence", |infos| {
            infos[1].last_sequence = Sequence::new(1_999);
        }),
        ("two swapped", |infos| {
            let first = infos[0].sha256;
            (infos[0].sha256, infos[1].sha256) = (infos[1].sha256, first);
        }),
    ];
    for (what, lie) in lies {
        let mut shelf = Shelf::new();
        shelf.base(2_000, 40, lie).await;
        let error = refused(&shelf, |bootstrap| bootstrap).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
        assert!(error.is_damage(), "{what}: {error:?}");
    }
    // Deletes can be lied about in a delta only.
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    shelf.delta(2_000, 40, |infos| infos[0].deletes += 1).await;
    let error = refused(&shelf, |bootstrap| bootstrap).await;
    assert!(matches!(error, BootstrapError::Segment { .. }), "{error:?}");
    // A segment of one run in another one.
    let mut shelf = Shelf::new();
    shelf.base(1_500, 1_000, TRUTH).await;
    let base = shelf.newest.clone().unwrap().1.runs[0].segments[0].info.sha256;
    assert_eq!(shelf.newest.as_ref().unwrap().1.segments().count(), 1);
    shelf.delta(2_000, 1_000, TRUTH).await;
    let (transport, store) = (&shelf.transport, &shelf.store);
    let pointer = Path::from("artifacts/routes.manifest.json");
    let json = store.get(&pointer).await.unwrap().bytes().await.unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&json).unwrap();
    manifest.as_object_mut().unwrap().remove("checksum");
    manifest["runs"][1]["segments"][0]["sha256"] = base.to_string().into();
    store
        .put(&pointer, serde_json::to_vec(&manifest).unwrap().into())
        .await
        .unwrap();
    assert!(transport.manifest(&key()).await.unwrap().is_some());
    let error = refused(&shelf, |bootstrap| bootstrap).await;
    assert!(
        matches!(error, BootstrapError::Segment { segment, .. } if segment == base),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_manifest_that_names_a_path() {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 1_000, TRUTH).await;
    let pointer = Path::from("artifacts/routes.manifest.json");
    let json = shelf.store.get(&pointer).await.unwrap().bytes().await.unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let outside = tempfile::tempdir().unwrap();
    for path in [
        "../../evil",
        "/etc/evil",
        "..",
        "",
        outside.path().to_str().unwrap(),
    ] {
        for field in ["sha256", "pack"] {
            let mut manifest = whole.clone();
            manifest.as_object_mut().unwrap().remove("checksum");
            let run = &mut manifest["runs"][0];
            match field {
                "pack" => run["pack"] = path.into(),
                _ => run["segments"][0]["sha256"] = path.into(),
            }
            shelf
                .store
                .put(&pointer, serde_json::to_vec(&manifest).unwrap().into())
                .await
                .unwrap();
            let error = refused(&shelf, |bootstrap| bootstrap).await;
            assert!(
                matches!(error, BootstrapError::Transport(TransportError::Corrupt { .. })),
                "{error:?}"
            );
        }
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// Turns a bit of a pack.
async fn damage(shelf: &Shelf, place: usize) {
    let pack = shelf.newest.as_ref().unwrap().1.packs().pop().unwrap();
    let path = Path::parse(format!("artifacts/{}", key().pack(pack))).unwrap();
    let mut bytes = shelf
        .store
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec();
    bytes[place] ^= 1;
    shelf.store.put(&path, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_damaged_segment_and_the_artifacts_before_it() {
    let mut shelf = Shelf::new();
    shelf.base(1_000, 40, TRUTH).await;
    shelf.base(2_000, 40, TRUTH).await;
    let segment = shelf
        .newest
        .as_ref()
        .unwrap()
        .1
        .segments()
        .last()
        .unwrap()
        .1
        .clone();
    damage(&shelf, usize::try_from(segment.offset).unwrap() + 20).await;
    let error = refused(&shelf, |bootstrap| bootstrap).await;
    assert!(
        matches!(
            error,
            BootstrapError::Transport(TransportError::IntegrityMismatch { .. })
        ),
        "{error:?}"
    );
    let newest = shelf.newest.clone().unwrap().0;
    let table = old_table(&shelf);
    let scratch = tempfile::tempdir().unwrap();
    let bootstrap = Bootstrap::new(shelf.transport.clone(), key(), scratch.path()).fall_back(1);
    let done = bootstrap.run(&table).await.unwrap();
    assert_eq!(done.skipped.len(), 1);
    assert_eq!(done.skipped[0].id, Some(newest));
    assert!(done.skipped[0].error.is_damage());
    assert_eq!(content(table.as_ref()), shelf.state(1_000));

    // The pointer too.
    let pointer = Path::from("artifacts/routes.manifest.json");
    shelf.store.put(&pointer, "garbage".into()).await.unwrap();
    let error = refused(&shelf, |bootstrap| bootstrap).await;
    assert!(
        matches!(error, BootstrapError::Transport(TransportError::Corrupt { .. })),
        "{error:?}"
    );
    let table = old_table(&shelf);
    let done = bootstrap.run(&table).await.unwrap();
    assert_eq!(done.skipped.len(), 1);
    assert_eq!(content(table.as_ref()), shelf.state(1_000));
}

#[tokio::test]
async fn an_artifact_of_something_else() {
    let mut shelf = Shelf::new();
    shelf.scope = Scope::of(["routes.eu.>", "routes.us.>"]).unwrap();
    shelf.changes.retain(|change| shelf.scope.matches(&change.key));
    shelf.base(1_500, 40, TRUTH).await;
    let table = new_table();
    let scratch = tempfile::tempdir().unwrap();
    let run = |change: fn(Bootstrap) -> Bootstrap| {
        let bootstrap = change(Bootstrap::new(shelf.transport.clone(), key(), scratch.path()));
        let table = Arc::clone(&table);
        async move { bootstrap.run(&table).await.unwrap_err() }
    };
    let error = run(|bootstrap| bootstrap.scope(Scope::of(["routes.>"]).unwrap())).await;
    let BootstrapError::Unfit { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, Unfit::Scope { .. }));
    for named in ["routes.eu.>, routes.us.>", "routes.>"] {
        assert!(source.to_string().contains(named), "{source}");
    }
    let error = run(|bootstrap| bootstrap.mode(Mode::Archive)).await;
    assert!(
        matches!(
            &error,
            BootstrapError::Unfit {
                source: Unfit::Mode { .. },
                ..
            }
        ),
        "{error:?}"
    );
    // Nothing was written down by any of that.
    assert!(table.binding().is_none());

    table
        .bind(&Binding {
            log: "KV_flags".to_owned(),
            scope: shelf.scope.clone(),
            mode: Mode::default(),
        })
        .unwrap();
    let error = run(|bootstrap| bootstrap).await;
    assert!(
        matches!(
            &error,
            BootstrapError::Unfit {
                source: Unfit::OtherLog { .. },
                ..
            }
        ),
        "{error:?}"
    );
    let error = run(|bootstrap| bootstrap.scope(Scope::of(["routes.eu.>"]).unwrap())).await;
    assert!(matches!(&error, BootstrapError::Table(_)), "{error:?}");

    let other = Bootstrap::new(shelf.transport.clone(), "flags".parse().unwrap(), scratch.path());
    let error = other.run(&new_table()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_directory_that_holds_something_else() {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    let sha256 = shelf.newest.as_ref().unwrap().1.runs[0].segments[0].info.sha256;
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let segment = format!("{sha256}.parquet");
    let makes: [(&str, &Make<'_>); 5] = [
        ("notes.txt", &|path| fs::write(path, "mine").unwrap()),
        ("x.parquet", &|path| fs::write(path, "mine").unwrap()),
        ("sub", &|path| fs::create_dir(path).unwrap()),
        ("manifest.json", &|path| fs::create_dir(path).unwrap()),
        (&segment, &|path| {
            std::os::unix::fs::symlink(&precious, path).unwrap();
        }),
    ];
    for (name, make) in makes {
        let scratch = tempfile::tempdir().unwrap();
        make(&scratch.path().join(name));
        let table = old_table(&shelf);
        let bootstrap = Bootstrap::new(shelf.transport.clone(), key(), scratch.path());
        let error = bootstrap.run(&table).await.unwrap_err();
        assert!(
            matches!(&error, BootstrapError::Occupied { found, .. } if found == name),
            "{error:?}"
        );
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(content(table.as_ref()), shelf.state(700));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

#[tokio::test]
async fn what_is_not_whole_is_fetched_again() {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    let manifest = shelf.newest.clone().unwrap().1;
    let scratch = tempfile::tempdir().unwrap();
    fetch_artifact(shelf.transport.clone(), &key(), &manifest, scratch.path(), |_| ())
        .await
        .unwrap();
    let paths: Vec<_> = manifest
        .segments()
        .map(|(_, segment)| {
            (
                scratch.path().join(format!("{}.parquet", segment.info.sha256)),
                segment.info.sha256,
            )
        })
        .collect();
    // Cut off, changed, empty, gone, half written.
    let bytes = fs::read(&paths[0].0).unwrap();
    fs::write(&paths[0].0, &bytes[..bytes.len() - 1]).unwrap();
    let mut bytes = fs::read(&paths[1].0).unwrap();
    bytes[100] ^= 4;
    fs::write(&paths[1].0, bytes).unwrap();
    fs::write(&paths[2].0, "").unwrap();
    fs::remove_file(&paths[3].0).unwrap();
    fs::rename(&paths[4].0, format!("{}.partial", paths[4].0.display())).unwrap();
    fs::write(scratch.path().join("manifest.json"), "half of").unwrap();

    let watched = Watched::new(shelf.transport.clone());
    let table = old_table(&shelf);
    let done = Bootstrap::new(watched.clone(), key(), scratch.path())
        .run(&table)
        .await
        .unwrap();
    let mut fetched = watched.take();
    let mut expected: Vec<_> = paths[..5].iter().map(|(_, sha256)| *sha256).collect();
    fetched.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fetched, expected);
    assert_eq!(done.fetched.reused, paths.len() as u64 - 5);
    assert_eq!(content(table.as_ref()), shelf.state(1_500));
}

#[tokio::test]
async fn a_disk_that_takes_no_more_and_then_does() {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    let all = shelf.newest.as_ref().unwrap().1.segments().count();
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_owned();
    // Where the file is to be written is something that cannot be written to.
    let obstructed = Watched::with(shelf.transport.clone(), move |number, segment| {
        if number == 5 {
            let partial = format!("{}.parquet.partial", segment.info.sha256);
            fs::create_dir(directory.join(partial)).unwrap();
        }
        Ok(())
    });
    let table = old_table(&shelf);
    let bootstrap = Bootstrap::new(obstructed.clone(), key(), scratch.path()).segments_in_flight(1);
    let error = bootstrap.run(&table).await.unwrap_err();
    let BootstrapError::Io { path, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(path.starts_with(scratch.path()));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(content(table.as_ref()), shelf.state(700));

    for entry in fs::read_dir(scratch.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir(entry.path()).unwrap();
        }
    }
    obstructed.take();
    bootstrap.run(&table).await.unwrap();
    assert_eq!(obstructed.take().len(), all - 5);
    assert_eq!(content(table.as_ref()), shelf.state(1_500));
}
