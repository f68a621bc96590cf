//! Whether somebody reads what is printed. While no message comes nothing is written, and so no write would tell.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::AsFd as _;

#[cfg(unix)]
use tokio::io::Interest;
#[cfg(unix)]
use tokio::net::unix::pipe::Sender;

/// Returns when standard output is a pipe that nobody reads any more, or a terminal that is gone.
#[cfg(unix)]
pub(super) async fn gone() {
    // Unchecked is not more than that it stays as it is, blocking: nothing is written by this one.
    let output = io::stdout().as_fd().try_clone_to_owned();
    let watched = output.and_then(Sender::from_owned_fd_unchecked);
    // A file cannot be watched, and has no reader who could go.
    let Ok(output) = watched else {
        return std::future::pending().await;
    };
    if output.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(not(unix))]
pub(super) async fn gone() {
    std::future::pending().await
}
