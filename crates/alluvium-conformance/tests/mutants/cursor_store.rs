//! Cursor stores with one sin each.

use std::path::Path;
use std::sync::Arc;

use alluvium_conformance::{CursorStoreHarness, cursor_store as suite};
use alluvium_core::cursor_store::cursor_key;
use alluvium_core::{Change, CursorRecord, CursorStore, CursorStoreError, HeldCursor};
use alluvium_engine::FileCursorStore;
use async_trait::async_trait;
use bytes::Bytes;

use super::{assert_each_finds, assert_found};

type Test = fn(&dyn CursorStoreHarness);

/// What a test says when something that it wanted refused was not.
const DONE: &str = "what should have been refused was done";
const NOT_FENCED: &str = "it should be fenced";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sin {
    None,
    NobodyIsFenced,
    SavesNothing,
    ForgetsOnHold,
    NeverGoesBack,
    TakesNamesForTheSame,
    TakesEveryName,
    DropsRows,
    TakesDamageForNothing,
    TakesNewerForDamage,
    ListsNothing,
    RemovesNothing,
}

/// Cursors in files, but for the sin.
#[derive(Clone)]
struct Sinful(Sin, Option<FileCursorStore>);

impl Sinful {
    fn store(&self) -> &FileCursorStore {
        self.1.as_ref().expect("it is open")
    }

    fn name(&self, name: &str) -> String {
        match self.0 {
            Sin::TakesNamesForTheSame => name.to_lowercase(),
            Sin::TakesEveryName => format!("{:.60}", name.replace(char::is_control, "?")) + "x",
            _ => name.to_owned(),
        }
    }

    /// What a record that cannot be read is taken for.
    async fn unreadable(&self, name: &str, error: CursorStoreError) -> Result<(), CursorStoreError> {
        match (self.0, error) {
            (Sin::TakesDamageForNothing, CursorStoreError::Corrupt { .. }) => self.store().remove(name).await,
            (Sin::TakesNewerForDamage, CursorStoreError::Newer { path, .. }) => {
                Err(CursorStoreError::Corrupt {
                    path,
                    source: "it is damaged".into(),
                })
            }
            (_, error) => Err(error),
        }
    }
}

#[async_trait]
impl CursorStoreHarness for Sinful {
    async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
        Ok(Arc::new(Self(self.0, Some(FileCursorStore::open(dir)?))))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let file = format!("cursors/{}.ckpt", cursor_key(name, '%').unwrap());
        std::fs::write(dir.join(file), bytes).unwrap();
    }
}

#[async_trait]
impl CursorStore for Sinful {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        let key = self.name(name);
        if let Err(error) = self.store().load(&key).await {
            self.unreadable(&key, error).await?;
        }
        if self.0 == Sin::ForgetsOnHold {
            self.store().remove(&key).await?;
        }
        let held = self.store().hold(&key).await?;
        Ok(Arc::new(SinfulHeld(self.clone(), name.to_owned(), held)))
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        let key = self.name(name);
        match self.store().load(&key).await {
            Ok(record) => Ok(record),
            Err(error) => self.unreadable(&key, error).await.map(|()| None),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        if self.0 == Sin::RemovesNothing {
            return Ok(());
        }
        self.store().remove(&self.name(name)).await
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        if self.0 == Sin::ListsNothing {
            return Ok(Vec::new());
        }
        self.store().list().await
    }
}

struct SinfulHeld(Sinful, String, Arc<dyn HeldCursor>);

#[async_trait]
impl HeldCursor for SinfulHeld {
    fn name(&self) -> &str {
        &self.1
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        if self.0.0 == Sin::NobodyIsFenced {
            return self.0.load(&self.1).await;
        }
        self.2.load().await
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        match self.0.0 {
            Sin::NobodyIsFenced => {
                self.0
                    .store()
                    .hold(&self.0.name(&self.1))
                    .await?
                    .save(record)
                    .await
            }
            Sin::SavesNothing => Ok(()),
            Sin::NeverGoesBack => match self.2.load().await? {
                Some(found) if found.cursor.sequence > record.cursor.sequence => Ok(()),
                _ => self.2.save(record).await,
            },
            _ => self.2.save(record).await,
        }
    }

    async fn save_with(&self, record: &CursorRecord, rows: Arc<[Change]>) -> Result<(), CursorStoreError> {
        if self.0.0 == Sin::DropsRows || rows.is_empty() {
            return self.save(record).await;
        }
        self.2.save_with(record, rows).await
    }
}

#[track_caller]
fn found(sin: Sin, tests: &[(Test, &str)]) {
    assert_each_finds(
        tests,
        |test| test(&Sinful(Sin::None, None)),
        |test| test(&Sinful(sin, None)),
    );
}

#[test]
fn a_former_holder_that_is_not_fenced() {
    let tests: [(Test, &str); 4] = [
        (
            suite::o3_the_last_holder_goes_on_and_the_others_are_fenced,
            NOT_FENCED,
        ),
        (suite::o3_a_name_without_a_record_is_taken_over, NOT_FENCED),
        (suite::o6_a_removed_cursor_is_gone, NOT_FENCED),
        (suite::o6_a_removal_fences_who_has_saved_nothing, NOT_FENCED),
    ];
    found(Sin::NobodyIsFenced, &tests);
    assert_found(
        || suite::o3_of_16_who_race_one_is_not_fenced(&Sinful(Sin::NobodyIsFenced, None)),
        "",
    );
}

#[test]
fn records_that_are_lost() {
    found(
        Sin::SavesNothing,
        &[
            (suite::o1_a_saved_record_comes_back, "assertion"),
            (suite::o2_a_save_can_be_repeated, "assertion"),
        ],
    );
    found(
        Sin::ForgetsOnHold,
        &[
            (suite::o1_a_saved_record_comes_back, "assertion"),
            (
                suite::o3_the_last_holder_goes_on_and_the_others_are_fenced,
                "assertion",
            ),
        ],
    );
    found(
        Sin::NeverGoesBack,
        &[(suite::o1_a_record_may_lie_before_the_last_one, "assertion")],
    );
}

#[test]
fn names_that_are_mixed_up() {
    found(
        Sin::TakesNamesForTheSame,
        &[(suite::o4_names_of_every_kind_stay_apart, "")],
    );
    found(
        Sin::TakesEveryName,
        &[(suite::o4_a_name_that_cannot_be_kept_is_refused, DONE)],
    );
    found(
        Sin::ListsNothing,
        &[
            (suite::o4_names_of_every_kind_stay_apart, "assertion"),
            (suite::o6_a_removed_cursor_is_gone, "assertion"),
        ],
    );
}

#[test]
fn records_that_are_misread() {
    found(
        Sin::TakesDamageForNothing,
        &[(suite::o5_what_cannot_be_decoded_is_named, DONE)],
    );
    found(
        Sin::TakesNewerForDamage,
        &[(suite::o5_a_newer_version_is_left_alone, "not the error")],
    );
}

#[test]
fn a_removal_that_is_none() {
    found(
        Sin::RemovesNothing,
        &[
            (suite::o6_a_removed_cursor_is_gone, "assertion"),
            (suite::o6_a_removal_fences_who_has_saved_nothing, NOT_FENCED),
        ],
    );
}

#[test]
fn rows_that_are_dropped() {
    found(
        Sin::DropsRows,
        &[(suite::o7_rows_without_a_table_are_refused, DONE)],
    );
}
