//! Waiting for conditions, never for time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
///
/// # Panics
///
/// After `patience`, naming what never came to hold.
pub async fn until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let look = || std::future::ready(holds().then_some(()).ok_or("it does not"));
    until_ok(patience, what, look).await;
}

/// Tries until it goes well, and gives what comes of it.
///
/// # Panics
///
/// After `patience`, naming what never came to hold, and how the last attempt failed.
pub async fn until_ok<T, E, Attempt>(
    patience: Duration,
    what: &str,
    mut attempt: impl FnMut() -> Attempt,
) -> T
where
    E: Debug,
    Attempt: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(
                begin.elapsed() < patience,
                "waited {patience:?}, and it never came to hold that {what}: {error:?}"
            ),
        }
        tokio::time::sleep(LOOK).await;
    }
}
