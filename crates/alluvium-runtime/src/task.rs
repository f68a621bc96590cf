//! How tasks end.

use tokio::task::{JoinError, JoinHandle};

use crate::error::panic_message;

/// Waits for a task. A panic of it goes on here; `cancelled` is told if its runtime is gone.
pub(crate) async fn joined<T, E>(task: &mut JoinHandle<Result<T, E>>, cancelled: E) -> Result<T, E> {
    match task.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(cancelled),
        },
    }
}

/// Why a task has not come to its end, in words.
pub(crate) fn why(error: JoinError) -> String {
    error
        .try_into_panic()
        .map_or_else(|error| error.to_string(), |panic| panic_message(panic.as_ref()))
}
