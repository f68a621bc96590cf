//! What a cursor gives.

use std::time::Duration;

use alluvium_core::{Scope, Sequence};
use alluvium_runtime::{LogCursor, LogCursorError};
use futures_util::FutureExt as _;

use crate::place::Place;

impl Place {
    pub(crate) async fn open(&self) -> LogCursor {
        self.cursor().open().await.unwrap()
    }
}

pub(crate) fn only_a() -> Scope {
    Scope::of(["a.>"]).unwrap()
}

/// The next batch; fails if there is none.
pub(crate) async fn batch(cursor: &mut LogCursor, max: usize) -> Vec<u64> {
    try_batch(cursor, max).await.unwrap()
}

pub(crate) async fn try_batch(cursor: &mut LogCursor, max: usize) -> Result<Vec<u64>, LogCursorError> {
    let batch = tokio::time::timeout(Duration::from_secs(10), cursor.poll_batch(max));
    let batch = batch.await.expect("there is something to come")?;
    Ok(batch.iter().map(|change| change.sequence.get()).collect())
}

/// Nothing comes, as far as can be told without waiting.
pub(crate) fn assert_at_rest(cursor: &mut LogCursor) {
    let came = cursor.poll().now_or_never();
    assert!(came.is_none(), "{came:?}");
}

pub(crate) fn sequence(number: u64) -> Sequence {
    Sequence::new(number)
}
