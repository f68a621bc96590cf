//! fjall's errors and panics as [`EngineError`]s.
//!
//! fjall names no file in its errors and panics on some damaged ones. A call into it that reads files goes through
//! [`guarded`]; what comes out as damage is then looked for by [`damage::locate`], which reads everything, but only
//! once something is known to be wrong.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use alluvium_core::BoxError;
use alluvium_engine::{EngineError, StateDirError};

use crate::damage;

/// The engine's name, as it is recorded in state directories.
pub(crate) const NAME: &str = "fjall";

/// What a call into fjall ended with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Fjall(#[from] fjall::Error),
    #[error("fjall panicked: {0}")]
    Panic(String),
}

/// Calls into fjall; a panic becomes a [`Failure`].
pub(crate) fn guarded<T>(call: impl FnOnce() -> fjall::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Failure::from),
        Err(panic) => Err(Failure::Panic(message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "for no stated reason".into())
}

impl Failure {
    /// As an error of a call on the database in this data directory. `within` is where the damage is if it can be
    /// told no closer.
    pub(crate) fn into_engine_error(self, doing: &'static str, data: &Path, within: &Path) -> EngineError {
        use fjall::{Error, LsmError};
        let Self::Fjall(error) = self else {
            return corrupt(data, within, Box::new(self));
        };
        match error {
            Error::Io(source) | Error::Storage(LsmError::Io(source)) if !is_damage(&source) => {
                EngineError::Io {
                    doing,
                    path: within.into(),
                    source,
                }
            }
            Error::Poisoned => EngineError::Poisoned {
                path: data.into(),
                source: None,
            },
            Error::KeyspaceDeleted => EngineError::NoSpace,
            Error::Locked => EngineError::StateDir(StateDirError::Locked { path: data.into() }),
            other => corrupt(data, within, Box::new(other)),
        }
    }
}

/// Whether an I/O error says that a file is not as it was written: cut off, gone, no longer what it was, or telling
/// of a place before its beginning.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(
        error.kind(),
        UnexpectedEof | NotFound | InvalidData | InvalidInput
    )
}

fn corrupt(data: &Path, within: &Path, source: BoxError) -> EngineError {
    EngineError::Corrupt {
        path: damage::locate(data).unwrap_or_else(|| within.into()),
        source,
    }
}

/// The operating system refused.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    let path = path.to_path_buf();
    move |source| EngineError::Io { doing, path, source }
}
