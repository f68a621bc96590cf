//! Waiting for a condition that nobody tells of.

use std::time::Duration;

/// Waits until it is so. On a clock that is paused that takes no time.
pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(10), waiting).await;
    waited.unwrap_or_else(|_| panic!("{what} does not come"));
}
