//! Directories that are not what was expected: one clear error each, and everything left as it was.

use std::collections::BTreeMap;

use super::*;

/// Every file below a directory, with its content.
fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Opens a directory that must be refused, either way, and must stay as it is.
fn refused(path: &Path, engine: &str) -> StateDirError {
    let before = files(path);
    let error = StateDir::open_or_create(path, engine).unwrap_err();
    let again = StateDir::open(path, engine).unwrap_err();
    assert_eq!(error.to_string(), again.to_string());
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error} does not say where"
    );
    assert_eq!(files(path), before, "{error}");
    error
}

#[test]
fn what_was_created_can_be_opened_again_by_its_engine() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep/down");
    let created = StateDir::open_or_create(&path, "fjall").unwrap();
    assert!(created.data().is_dir());
    drop(created);
    assert_eq!(StateDir::stored_engine(&path).unwrap(), "fjall");
    let opened = StateDir::open(&path, "fjall").unwrap();
    assert_eq!((opened.engine(), opened.path()), ("fjall", path.as_path()));
}

#[test]
fn nothing_is_missing_and_stays_so() {
    let home = tempfile::tempdir().unwrap();
    for path in [home.path().to_owned(), home.path().join("not there")] {
        let error = StateDir::open(&path, "fjall").unwrap_err();
        assert!(matches!(error, StateDirError::Missing { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert!(files(home.path()).is_empty());
}

#[test]
fn another_engines_directory_is_refused() {
    let home = tempfile::tempdir().unwrap();
    drop(StateDir::open_or_create(home.path(), "memory").unwrap());
    let error = refused(home.path(), "fjall");
    assert!(
        matches!(&error, StateDirError::OtherEngine { stored, .. } if stored == "memory"),
        "{error:?}"
    );
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.tex"), "chapter one").unwrap();
    let error = refused(home.path(), "fjall");
    assert!(matches!(error, StateDirError::NotOurs { .. }), "{error:?}");
}

#[test]
fn another_format_is_refused_by_its_number() {
    let home = tempfile::tempdir().unwrap();
    drop(StateDir::open_or_create(home.path(), "fjall").unwrap());
    fs::write(
        home.path().join(RECORD),
        r#"{"format":2,"engine":{"name":"fjall"}}"#,
    )
    .unwrap();
    let error = refused(home.path(), "fjall");
    assert!(
        matches!(
            error,
            StateDirError::OtherFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_damaged_record_is_named() {
    let home = tempfile::tempdir().unwrap();
    drop(StateDir::open_or_create(home.path(), "fjall").unwrap());
    let whole = fs::read(home.path().join(RECORD)).unwrap();
    // The record ends with a line feed, which it can do without.
    for length in 0..whole.len() - 1 {
        fs::write(home.path().join(RECORD), &whole[..length]).unwrap();
        let error = refused(home.path(), "fjall");
        assert!(
            matches!(error, StateDirError::Corrupt { .. }),
            "{length} bytes: {error:?}"
        );
        assert!(error.to_string().contains(RECORD), "{error}");
    }
}

#[test]
fn only_one_has_it_open() {
    let home = tempfile::tempdir().unwrap();
    let first = StateDir::open_or_create(home.path(), "fjall").unwrap();
    let error = refused(home.path(), "fjall");
    assert!(matches!(error, StateDirError::Locked { .. }), "{error:?}");
    drop(first);
    StateDir::open(home.path(), "fjall").unwrap();
}

#[test]
fn a_creation_that_was_cut_short_is_taken_up() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(DATA)).unwrap();
    fs::write(home.path().join(LOCK), "").unwrap();
    fs::write(home.path().join(format!("{RECORD}.tmp")), "{\"for").unwrap();
    assert!(matches!(
        StateDir::open(home.path(), "fjall"),
        Err(StateDirError::Missing { .. })
    ));
    drop(StateDir::open_or_create(home.path(), "fjall").unwrap());
    StateDir::open(home.path(), "fjall").unwrap();
}
