//! Where cursors are kept on this machine: in files of a directory, and in a table beside its rows.
//!
//! Both belong to what a process has on its own disk, as [`StateDir`](crate::StateDir) does. Which of them to take:
//!
//! - [`FileCursorStore`] for work whose effects are elsewhere. The cursor is saved after the work, so what was done last is
//!   done again after a crash.
//! - [`TableCursorStore`] for work whose effects are rows of a table: they and the cursor are one commit, and so every
//!   effect is there exactly once.

mod file;
mod held_file;
mod table;

pub use file::FileCursorStore;
pub use table::TableCursorStore;

use std::path::Path;
use std::sync::PoisonError;

use alluvium_core::{CursorStoreError, ErrorKind};

/// Does something on a thread that may block. It is done even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    doing: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, CursorStoreError> + Send + 'static,
) -> Result<T, CursorStoreError> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Err(CursorStoreError::Invalid(
            "there is no tokio runtime: await the methods of this cursor store in one".to_owned(),
        ));
    };
    match runtime.spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(CursorStoreError::Storage {
            doing,
            path: path.into(),
            kind: ErrorKind::Unavailable,
            source: error.into(),
        }),
    }
}

/// A poisoned lock is fine wherever this is used: what it guards is changed in one step.
fn unpoisoned<T>(lock: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
