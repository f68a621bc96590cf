//! Directories written by earlier versions stay readable: `fixtures/v1` is one, and is reopened here.
//!
//! A new one is written by running this test with `ALLUVIUM_FJALL_FIXTURE` naming the directory to write.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, WriteBatch};
use alluvium_fjall::{Compression, FjallEngine, FjallOptions};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Tables of each compression, an ingested space, a dropped one, and a journal.
fn write(dir: &Path) -> Result {
    for (name, compression) in [("plain", Compression::None), ("packed", Compression::Lz4)] {
        let engine = FjallEngine::open(dir, FjallOptions::default().compression(compression))?;
        let mut pairs = (0..200).map(|n| Ok((format!("{n:04}").into(), format!("{name} {n}").into())));
        let space = engine.ingest(name, &mut pairs)?;
        let gone = engine.space("gone")?;
        let mut batch = WriteBatch::default();
        batch.put(space, "0003", "changed");
        batch.remove(space, "0004");
        batch.put(gone, "k", "v");
        engine.commit(batch)?;
        engine.drop_space("gone")?;
        engine.close()?;
    }
    // Once more, so that the journal is no longer than what it holds.
    FjallEngine::open(dir, FjallOptions::default())?.close()?;
    Ok(())
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

fn check(dir: &Path) -> Result {
    for round in 0..2 {
        let engine = FjallEngine::open_existing(dir, FjallOptions::default())?;
        let mut spaces = engine.spaces()?;
        spaces.sort();
        assert_eq!(spaces, ["packed", "plain"]);
        for name in spaces {
            let space = engine.space(&name)?;
            let compression = engine.space_options(&name)?.map(|options| options.compression);
            assert_eq!(
                compression,
                Some(if name == "plain" {
                    Compression::None
                } else {
                    Compression::Lz4
                })
            );
            let mut expected: BTreeMap<String, String> = (0..200)
                .map(|n| (format!("{n:04}"), format!("{name} {n}")))
                .collect();
            expected.insert("0003".into(), "changed".into());
            expected.remove("0004");
            if round > 0 {
                expected.insert("0005".into(), "new".into());
            }
            let found = engine.snapshot()?.scan(space, &KeyRange::all())?;
            let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
            let found = found
                .map(|pair| pair.map(|(key, value)| (text(key), text(value))))
                .collect::<std::result::Result<BTreeMap<_, _>, _>>()?;
            assert_eq!(found, expected);
            let mut batch = WriteBatch::default();
            batch.put(space, "0005", "new");
            engine.commit(batch)?;
        }
        engine.close()?;
    }
    Ok(())
}

#[test]
fn a_directory_of_format_1_can_be_read_and_written() -> Result {
    if let Some(dir) = std::env::var_os("ALLUVIUM_FJALL_FIXTURE") {
        return write(Path::new(&dir));
    }
    let dir = tempfile::tempdir()?;
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1"),
        dir.path(),
    )?;
    check(dir.path())
}

#[test]
fn a_directory_of_today_is_of_format_1() -> Result {
    let dir = tempfile::tempdir()?;
    write(dir.path())?;
    check(dir.path())
}
