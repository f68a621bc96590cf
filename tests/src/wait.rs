//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
///
/// # Panics
///
/// After `patience`, naming what never came to hold.
pub async fn until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < patience,
            "waited {patience:?}, and it never came to hold that {what}"
        );
        tokio::time::sleep(LOOK).await;
    }
}
