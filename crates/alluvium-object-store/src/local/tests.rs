//! What one process can see of the store over a directory. That several can share one is in `tests/processes.rs`.

use std::collections::HashSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use object_store::{ObjectStoreExt as _, UpdateVersion};
use tempfile::TempDir;

use super::*;

fn store() -> (TempDir, LocalStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    (dir, store)
}

fn path(key: &str) -> Path {
    Path::parse(key).unwrap()
}

fn update(version: &PutResult) -> PutOptions {
    PutMode::Update(UpdateVersion::from(version.clone())).into()
}

async fn content(store: &LocalStore, key: &Path) -> Bytes {
    store.get(key).await.unwrap().bytes().await.unwrap()
}

async fn keys(store: &LocalStore) -> Vec<String> {
    let mut keys: Vec<String> = store
        .list(None)
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap();
    keys.sort();
    keys
}

/// Every file of the directory, ours included.
fn files(dir: &FsPath) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn contents_of_every_size_come_back() {
    let (_dir, store) = store();
    for size in [0, 1, 64 << 20] {
        let bytes = Bytes::from(vec![7; size]);
        let key = path(&format!("sizes/{size}"));
        let put = store.put(&key, bytes.clone().into()).await.unwrap();
        assert!(content(&store, &key).await == bytes, "{size} bytes");
        let meta = store.head(&key).await.unwrap();
        assert_eq!((meta.size, meta.e_tag), (size as u64, put.e_tag));
    }
}

#[tokio::test]
async fn a_put_that_creates_does_so_once() {
    let (_dir, store) = store();
    let key = path("a/b/c");
    store
        .put_opts(&key, "first".into(), PutMode::Create.into())
        .await
        .unwrap();
    let second = store
        .put_opts(&key, "second".into(), PutMode::Create.into())
        .await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
    assert_eq!(content(&store, &key).await, "first");
}

#[tokio::test]
async fn a_put_that_updates_replaces_the_version_it_names_and_no_other() {
    let (_dir, store) = store();
    let key = path("pointer");
    let missing = PutResult {
        e_tag: Some("\"1-1\"".into()),
        ..put_result(String::new())
    };
    let refused = store.put_opts(&key, "x".into(), update(&missing)).await;
    assert!(matches!(refused, Err(Error::Precondition { .. })), "{refused:?}");

    let first = store.put(&key, "1".into()).await.unwrap();
    let second = store.put_opts(&key, "2".into(), update(&first)).await.unwrap();
    let stale = store.put_opts(&key, "3".into(), update(&first)).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
    assert_eq!(content(&store, &key).await, "2");
    store.put_opts(&key, "3".into(), update(&second)).await.unwrap();
    assert_eq!(content(&store, &key).await, "3");

    let unversioned = PutMode::Update(UpdateVersion {
        e_tag: None,
        version: None,
    });
    let refused = store.put_opts(&key, "4".into(), unversioned.into()).await;
    assert!(matches!(refused, Err(Error::Generic { .. })), "{refused:?}");
}

#[tokio::test]
async fn no_version_comes_twice() {
    let (_dir, store) = store();
    let key = path("pointer");
    let mut seen = HashSet::new();
    // The same size in the same tick of the clock, and the inode of the one before the last: what a version made of
    // these takes for the same.
    for round in 0..300 {
        let put = store.put(&key, "same size".into()).await.unwrap();
        assert!(seen.insert(put.e_tag.unwrap()), "round {round}");
        if round % 3 == 0 {
            store.delete(&key).await.unwrap();
        }
    }
}

#[tokio::test]
async fn everyone_gives_an_object_the_same_version() {
    let (dir, store) = store();
    let key = path("a/b");
    let put = store.put(&key, "x".into()).await.unwrap().e_tag;
    assert!(put.is_some());
    assert_eq!(store.head(&key).await.unwrap().e_tag, put);
    let other = LocalStore::open(dir.path()).unwrap();
    assert_eq!(other.get(&key).await.unwrap().meta.e_tag, put);
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed[0].e_tag, put);
    let listed: Vec<ObjectMeta> = store
        .list_with_offset(None, &path("a"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed[0].e_tag, put);
    let listed = store.list_with_delimiter(Some(&path("a"))).await.unwrap();
    assert_eq!(listed.objects[0].e_tag, put);
}

#[tokio::test]
async fn reads_take_conditions_and_ranges() {
    let (_dir, store) = store();
    let key = path("object");
    let version = store.put(&key, "0123456789".into()).await.unwrap().e_tag;
    let conditional = |if_match: bool, e_tag: &Option<String>| GetOptions {
        if_match: e_tag.clone().filter(|_| if_match),
        if_none_match: e_tag.clone().filter(|_| !if_match),
        ..GetOptions::default()
    };
    assert!(store.get_opts(&key, conditional(true, &version)).await.is_ok());
    let unchanged = store.get_opts(&key, conditional(false, &version)).await;
    assert!(
        matches!(unchanged, Err(Error::NotModified { .. })),
        "{unchanged:?}"
    );
    let other = Some("\"0-0\"".to_owned());
    let changed = store.get_opts(&key, conditional(true, &other)).await;
    assert!(matches!(changed, Err(Error::Precondition { .. })), "{changed:?}");
    assert_eq!(store.get_range(&key, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_ranges(&key, &[0..1, 9..10]).await.unwrap(), ["0", "9"]);
}

#[tokio::test]
async fn parts_become_an_object_when_they_are_all_there() {
    let (dir, store) = store();
    let key = path("in/parts");
    let mut upload = store.put_multipart(&key).await.unwrap();
    let (first, second) = (upload.put_part("one ".into()), upload.put_part("two".into()));
    second.await.unwrap();
    first.await.unwrap();
    assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })));
    let put = upload.complete().await.unwrap();
    assert_eq!(content(&store, &key).await, "one two");
    assert_eq!(store.head(&key).await.unwrap().e_tag, put.e_tag);
    assert!(upload.complete().await.is_err());
    assert!(upload.put_part("three".into()).await.is_err());

    let mut holed = store.put_multipart(&key).await.unwrap();
    drop(holed.put_part("never waited for".into()));
    holed.put_part("end".into()).await.unwrap();
    assert!(holed.complete().await.is_err());
    let mut aborted = store.put_multipart(&key).await.unwrap();
    aborted.put_part("nothing".into()).await.unwrap();
    aborted.abort().await.unwrap();
    drop(store.put_multipart(&key).await.unwrap());
    assert_eq!(content(&store, &key).await, "one two");
    assert_eq!(files(dir.path()), [".alluvium-lock#0", "in"]);
}

#[tokio::test]
async fn copies_and_renames_keep_their_conditions() {
    let (dir, store) = store();
    let [a, b, c] = ["x/a", "y/b", "z/c"].map(path);
    store.put(&a, "a".into()).await.unwrap();
    store.copy(&a, &b).await.unwrap();
    // Of a file with two names, one put in place of the other.
    store.copy(&a, &b).await.unwrap();
    assert!(matches!(
        store.copy_if_not_exists(&a, &b).await,
        Err(Error::AlreadyExists { .. })
    ));
    store.put(&a, "changed".into()).await.unwrap();
    assert_eq!(content(&store, &b).await, "a");

    assert!(matches!(
        store.rename_if_not_exists(&a, &b).await,
        Err(Error::AlreadyExists { .. })
    ));
    store.rename_if_not_exists(&a, &c).await.unwrap();
    store.copy(&c, &b).await.unwrap();
    store.rename(&c, &b).await.unwrap();
    store.rename(&b, &b).await.unwrap();
    assert_eq!(keys(&store).await, ["y/b"]);
    assert_eq!(content(&store, &b).await, "changed");
    for missing in [
        store.copy(&a, &b).await,
        store.rename(&a, &b).await,
        store.copy_if_not_exists(&a, &c).await,
        store.rename_if_not_exists(&a, &c).await,
        store.delete(&a).await,
    ] {
        match missing {
            Err(Error::NotFound { path, .. }) => assert_eq!(path, "x/a"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(files(dir.path()), [".alluvium-lock#0", "y"]);
}

#[tokio::test]
async fn directories_come_and_go_with_what_is_in_them() {
    let (dir, store) = store();
    for key in ["a/b/c/1", "a/b/2", "d/3"] {
        store.put(&path(key), "x".into()).await.unwrap();
    }
    // As a process that was killed leaves them.
    fs::create_dir_all(dir.path().join("e/f")).unwrap();
    let listed = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(listed.common_prefixes, [path("a"), path("d")]);
    store.put(&path("e/f/g/4"), "x".into()).await.unwrap();
    let all = ["a/b/c/1", "a/b/2", "d/3", "e/f/g/4"].map(|key| Ok(path(key)));
    let deleted: Vec<Path> = store
        .delete_stream(futures_util::stream::iter(all).boxed())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(deleted.len(), 4);
    assert_eq!(files(dir.path()), [".alluvium-lock#0"]);
}

#[tokio::test]
async fn what_a_killed_writer_leaves_is_removed_and_what_a_living_one_writes_stays() {
    let (dir, store) = store();
    let mut living = store.put_multipart(&path("living")).await.unwrap();
    living.put_part("still".into()).await.unwrap();
    let left = dir.path().join(".alluvium-staged#4711");
    fs::write(&left, "cut off").unwrap();
    assert_eq!(keys(&store).await, [""; 0]);
    assert!(store.list_with_delimiter(None).await.unwrap().objects.is_empty());

    let other = LocalStore::open(dir.path()).unwrap();
    assert!(!left.exists());
    living.put_part(" there".into()).await.unwrap();
    living.complete().await.unwrap();
    assert_eq!(content(&other, &path("living")).await, "still there");
}

#[tokio::test]
async fn a_number_that_is_taken_is_passed_over() {
    let (dir, store) = store();
    // The count is lost with the lock file, and contents of its first numbers are still being written.
    let uploads = [store.put_multipart(&path("a")).await.unwrap()];
    fs::remove_file(dir.path().join(".alluvium-lock#0")).unwrap();
    for key in ["b", "c", "d"] {
        store.put(&path(key), "x".into()).await.unwrap();
    }
    drop(uploads);
    assert_eq!(keys(&store).await, ["b", "c", "d"]);
}

#[tokio::test]
async fn no_key_leaves_the_directory_or_reaches_our_own_files() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    let store = LocalStore::open(&root).unwrap();
    fs::write(outer.path().join("secret"), "outside").unwrap();
    for hostile in ["../secret", "..", "a/../../secret", "./..", "a\0b"] {
        assert!(
            Path::parse(hostile).is_err() || hostile.contains('\0'),
            "{hostile}"
        );
        let _ = store.put(&Path::from(hostile), "hostile".into()).await;
        let _ = store.delete(&Path::from(hostile)).await;
    }
    for hostile in ["%2e%2e/secret", "..%2fsecret", "..\\secret", "%2e%2e%2fsecret"] {
        if let Ok(key) = Path::parse(hostile) {
            let _ = store.put(&key, "hostile".into()).await;
            let _ = store.rename(&key, &Path::from(hostile)).await;
        }
        if let Ok(key) = Path::from_url_path(hostile) {
            let _ = store.put(&key, "hostile".into()).await;
        }
    }
    assert_eq!(files(outer.path()), ["root", "secret"]);
    let secret = fs::read_to_string(outer.path().join("secret")).unwrap();
    assert_eq!(secret, "outside");

    for ours in [".alluvium-lock#0", ".alluvium-staged#1", ".alluvium-lock#0/x"] {
        let key = path(ours);
        assert!(store.put(&key, "x".into()).await.is_err(), "{ours}");
        assert!(store.get(&key).await.is_err(), "{ours}");
        assert!(store.delete(&key).await.is_err(), "{ours}");
        assert!(store.copy(&path("a"), &key).await.is_err(), "{ours}");
    }
}

#[tokio::test]
async fn an_object_is_no_directory_and_a_directory_no_object() {
    let (_dir, store) = store();
    store.put(&path("a/b"), "x".into()).await.unwrap();
    for mode in [PutMode::Overwrite, PutMode::Create] {
        let refused = store.put_opts(&path("a"), "x".into(), mode.clone().into()).await;
        assert!(matches!(refused, Err(Error::Generic { .. })), "{refused:?}");
        let refused = store.put_opts(&path("a/b/c"), "x".into(), mode.into()).await;
        assert!(matches!(refused, Err(Error::Generic { .. })), "{refused:?}");
    }
    let missing = store.delete(&path("a")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    assert_eq!(keys(&store).await, ["a/b"]);
}

#[tokio::test]
async fn what_others_put_there_has_a_version_too() {
    let (dir, store) = store();
    let file = File::create(dir.path().join("theirs")).unwrap();
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(10);
    for time in [SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567), before] {
        file.set_modified(time).unwrap();
        let found = store.head(&path("theirs")).await.unwrap();
        let version = UpdateVersion {
            e_tag: found.e_tag,
            version: None,
        };
        let update = PutMode::Update(version).into();
        store
            .put_opts(&path("theirs"), "ours".into(), update)
            .await
            .unwrap();
        fs::rename(dir.path().join("theirs"), dir.path().join("old")).unwrap();
        fs::write(dir.path().join("theirs"), "").unwrap();
    }
}

#[tokio::test]
async fn attributes_are_refused() {
    let (_dir, store) = store();
    let options = PutOptions {
        attributes: [(object_store::Attribute::ContentType, "text/plain")]
            .into_iter()
            .collect(),
        ..PutOptions::default()
    };
    let refused = store.put_opts(&path("a"), "x".into(), options).await;
    assert!(
        matches!(refused, Err(Error::NotImplemented { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_directory_is_made_with_those_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    let store = LocalStore::open(&deep).unwrap();
    assert_eq!(store.path(), fs::canonicalize(&deep).unwrap());
    assert_eq!(files(&deep), [".alluvium-lock#0"]);
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(LocalStore::open(dir.path().join("file")).is_err());
    assert!(LocalStore::open(dir.path().join("file/below")).is_err());
}
