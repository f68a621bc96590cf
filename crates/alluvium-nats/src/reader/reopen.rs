//! Going on with another consumer, as soon as there can be one.
//!
//! Servers store messages that the client cannot read: subjects or headers that are not UTF-8, headers that are none. It
//! takes such a message for a broken connection, connects again, and is sent it again. Who was disconnected a few times
//! without having been given anything looks at what comes next, by way of the API, which can tell.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::LogError;
use backoff::ExponentialBackoff;

use crate::api::Api;
use crate::consumer::{self, Course, Open};

/// The longest pause between two attempts to go on.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// So many connections in a row that brought nothing may be the fault of a message.
const SUSPICIOUS: u32 = 3;

/// Pauses between attempts, for ever.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBackoff {
        initial_interval: Duration::from_millis(50),
        current_interval: Duration::from_millis(50),
        max_interval: LONGEST_PAUSE,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

/// Another consumer for the rest of the course, after a pause, and after so many connections that brought nothing.
pub(super) async fn reopen(
    api: Arc<Api>,
    course: Course,
    pause: Duration,
    fruitless: u32,
) -> Result<Open, LogError> {
    tokio::time::sleep(pause).await;
    backoff::future::retry(pauses(), || async {
        api.connected().await.map_err(backoff::Error::permanent)?;
        let opened = async {
            let info = consumer::verify(&api, &course).await?;
            if fruitless >= SUSPICIOUS {
                consumer::check_next(&api, &course, &info).await?;
            }
            consumer::open(&api, &course, &info).await
        };
        opened.await.map_err(|error| match error {
            LogError::Unavailable { .. } if !api.is_closed() => backoff::Error::transient(error),
            error => backoff::Error::permanent(error),
        })
    })
    .await
}
