//! The bytes of one file on their way to an operator, watched: whatever the operator makes of them, it is known in the end
//! whether they were what was saved.
//!
//! An operator that decodes while it reads meets damage before the digest does, and fails with an error of its own; one
//! whose format says where it ends may never read as far as the verdict. Both look like something else than they are. So
//! the verdict is not taken from the operator: the stream is read to its end here once the operator is done with it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use alluvium_core::{ByteStream, CheckpointError};
use bytes::Bytes;
use futures_core::Stream;

/// What became of the bytes so far.
enum State {
    Flowing(ByteStream<CheckpointError>),
    /// All came, and were what was saved.
    Whole,
    Broken(CheckpointError),
    /// The verdict has been taken: nobody may read on.
    Taken,
}

/// The driver's end.
pub(super) struct Feed(Arc<Mutex<State>>);

/// The operator's end.
struct Pieces(Arc<Mutex<State>>);

impl Feed {
    pub(super) fn new(bytes: ByteStream<CheckpointError>) -> Self {
        Self(Arc::new(Mutex::new(State::Flowing(bytes))))
    }

    /// The stream to give to the operator.
    pub(super) fn pieces(&self) -> ByteStream<io::Error> {
        Box::pin(Pieces(Arc::clone(&self.0)))
    }

    /// Reads what the operator has left, and says whether all that there was is what was saved.
    pub(super) async fn verdict(self) -> Result<(), CheckpointError> {
        let mut pieces = Pieces(self.0);
        let ended = |pieces: &mut Pieces, context: &mut Context<'_>| loop {
            match ready!(Pin::new(&mut *pieces).poll_next(context)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        };
        std::future::poll_fn(|context| ended(&mut pieces, context)).await;
        let state = std::mem::replace(&mut *pieces.lock(), State::Taken);
        match state {
            State::Broken(error) => Err(error),
            State::Whole | State::Flowing(_) | State::Taken => Ok(()),
        }
    }
}

impl Pieces {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poll that panicked has left a state that is as good as before it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.lock();
        let polled = match &mut *state {
            State::Flowing(bytes) => ready!(bytes.as_mut().poll_next(context)),
            State::Whole => return Poll::Ready(None),
            State::Broken(error) => return Poll::Ready(Some(Err(broken(error)))),
            State::Taken => {
                let late = io::Error::other("the stream was read after the call that it was given to");
                return Poll::Ready(Some(Err(late)));
            }
        };
        Poll::Ready(match polled {
            Some(Ok(piece)) => Some(Ok(piece)),
            Some(Err(error)) => {
                let told = broken(&error);
                *state = State::Broken(error);
                Some(Err(told))
            }
            None => {
                *state = State::Whole;
                None
            }
        })
    }
}

/// What the operator is told; the error itself stays with the driver.
fn broken(error: &CheckpointError) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, TryStreamExt as _, stream};

    use super::*;

    /// Two pieces, and then the end or damage.
    fn feed(damaged: bool) -> Feed {
        let damage = || CheckpointError::Missing { path: "x".to_owned() };
        let pieces = [Ok(Bytes::from("a")), Ok(Bytes::from("b"))];
        let end = damaged.then(|| Err(damage()));
        Feed::new(stream::iter(pieces.into_iter().chain(end)).boxed())
    }

    #[tokio::test]
    async fn the_verdict_does_not_depend_on_how_far_the_operator_reads() {
        for read in 0..4 {
            for damaged in [false, true] {
                let feed = feed(damaged);
                let mut pieces = feed.pieces();
                for _ in 0..read {
                    let _ = pieces.next().await;
                }
                assert_eq!(feed.verdict().await.is_err(), damaged, "after {read}");
            }
        }
    }

    #[tokio::test]
    async fn the_operator_is_told_of_damage_and_reads_no_further() {
        let mut pieces = feed(true).pieces();
        assert!(pieces.try_next().await.unwrap().is_some());
        assert!(pieces.try_next().await.unwrap().is_some());
        for _ in 0..2 {
            assert!(pieces.try_next().await.unwrap_err().to_string().contains("gone"));
        }
        let mut whole = feed(false).pieces();
        assert_eq!(whole.by_ref().try_collect::<Vec<_>>().await.unwrap().len(), 2);
        assert!(whole.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_is_kept_gives_nothing_after_the_verdict() {
        let feed = feed(false);
        let mut kept = feed.pieces();
        feed.verdict().await.unwrap();
        assert!(kept.next().await.unwrap().is_err());
    }
}
