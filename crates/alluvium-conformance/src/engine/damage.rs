//! Obligation 8: damage is named.

use std::collections::BTreeMap;
use std::path::Path;

use alluvium_engine::{EngineError, StateDirError};
use bytes::Bytes;

use crate::content::difference;
use crate::damage::{Kind, Outcome, Stock, in_full};
use crate::support::OpenEngine;
use crate::{Commits, Content, EngineHarness, Random, Reach};

/// A byte turned over in any file is an error that names the file, or makes no difference.
pub fn o8_a_flipped_byte_is_named(harness: &dyn EngineHarness) {
    damage_each(harness, Kind::Flipped);
}

/// A file that was cut off is an error that names the file, or loses at most the newest commits of the newest journal.
pub fn o8_a_file_cut_off_is_named(harness: &dyn EngineHarness) {
    damage_each(harness, Kind::CutOff);
}

/// A missing file is an error that names it or its directory, or makes no difference.
pub fn o8_a_missing_file_is_named(harness: &dyn EngineHarness) {
    damage_each(harness, Kind::Missing);
}

const COMMITS: Commits = Commits::new(8, Reach::Across);
const BEFORE: u64 = 200;
const LAST: u64 = 260;
const INGESTED: &str = "ingested";

fn ingested() -> BTreeMap<Bytes, Bytes> {
    let mut random = Random::new(80);
    (0..800_u32)
        .map(|number| {
            (
                Bytes::copy_from_slice(&number.to_be_bytes()),
                Bytes::from(random.bytes(100)),
            )
        })
        .collect()
}

fn damage_each(harness: &dyn EngineHarness, damage: Kind) {
    let mut engine = OpenEngine::new(harness);
    for number in 1..=LAST {
        if number == BEFORE + 1 {
            engine
                .ingest(INGESTED, &mut ingested().into_iter().map(Ok))
                .unwrap();
            engine.drop_space("dropped").unwrap();
        }
        if number == BEFORE / 2 {
            engine.put("dropped", b"key", b"value");
            engine.reopen();
        }
        let spaces = Commits::spaces(&*engine).unwrap();
        engine.commit(COMMITS.batch(number, spaces)).unwrap();
    }
    engine.sync().unwrap();
    engine.close().unwrap();
    let stock = Stock::of(&engine.path());
    let expected = COMMITS.content_at(LAST);
    let is_journal = |file: &Path| harness.is_journal(file);
    stock.damage_each(damage, LAST, &is_journal, &|dir| {
        open_and_read(harness, dir, &expected)
    });
}

fn open_and_read(harness: &dyn EngineHarness, dir: &Path, expected: &Content) -> Outcome {
    let engine = match harness.open(dir) {
        Ok(engine) => engine,
        Err(error) => return refused(error, true),
    };
    let content = Content::of(&*engine);
    // What it says about a close matters no more.
    let _ = engine.close();
    match content {
        Ok(content) => compare(content, expected),
        Err(error) => refused(error, false),
    }
}

fn compare(mut content: Content, expected: &Content) -> Outcome {
    let position = Commits::position(&content);
    let whole = content
        .0
        .remove(INGESTED)
        .map(|found| difference(&found, &ingested()));
    match whole {
        None if position > BEFORE => return Outcome::Wrong("the ingested space is missing".into()),
        Some(Some(different)) => return Outcome::Wrong(format!("in the ingested space: {different}")),
        _ => {}
    }
    if content.0.remove("dropped").is_some() && position > BEFORE {
        return Outcome::Wrong("a dropped space is back".into());
    }
    if position == 0 {
        return Outcome::Holds(0);
    }
    let different = if position == LAST {
        content.difference(expected)
    } else {
        content.difference(&COMMITS.content_at(position))
    };
    match different {
        None => Outcome::Holds(position),
        Some(different) => Outcome::Wrong(format!("up to commit {position}: {different}")),
    }
}

fn refused(error: EngineError, at_open: bool) -> Outcome {
    let (kind, text) = (error.kind(), format!("{} ({error:?})", in_full(&error)));
    let mut whole = false;
    let path = match error {
        EngineError::Corrupt { path, .. } | EngineError::StateDir(StateDirError::Corrupt { path, .. }) => {
            Some(path)
        }
        EngineError::StateDir(error) => {
            whole = matches!(
                error,
                StateDirError::NotOurs { .. }
                    | StateDirError::OtherEngine { .. }
                    | StateDirError::OtherFormat { .. }
            );
            None
        }
        _ => None,
    };
    Outcome::Refused {
        kind,
        path,
        whole,
        at_open,
        text,
    }
}
