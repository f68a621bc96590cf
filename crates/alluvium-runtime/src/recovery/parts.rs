//! What takes part in a recovery: operators, which hold state, and sources, which are read from somewhere on.

use std::io;

use alluvium_core::checkpoint::SourcePosition;
use alluvium_core::{BoxError, ByteStream};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;

/// The most bytes of one file that an operator is given at once: 256 MiB. One that may have more implements
/// [`Restorable::restore_stream`] and [`Restorable::apply_delta_stream`].
pub const MAX_COLLECTED_BYTES: usize = 256 << 20;

/// An operator: partitioned state that a checkpoint holds.
///
/// A recovery calls [`reset`](Restorable::reset) first, and then for each partition in turn
/// [`restore`](Restorable::restore) once and [`apply_delta`](Restorable::apply_delta) for every delta that was saved since, oldest
/// first. If anything goes wrong it resets again, and may begin again with another checkpoint. So nothing of what an operator is
/// given counts before the recovery as a whole has succeeded.
///
/// An error of an operator ends the recovery: the bytes are those that it once saved, so that an older checkpoint
/// would be no better.
///
/// Any call may be dropped half-way, for the time is up or another operator's file is damaged. What comes next is a reset.
#[async_trait]
pub trait Restorable: Send {
    /// Its name in the manifest.
    fn id(&self) -> &str;

    /// How many partitions it has. A checkpoint with another number does not fit.
    fn partitions(&self) -> u32;

    /// Forgets everything: afterwards it is as it was before it ever held a state. Called more than once. It should not wait
    /// for anything remote, for the time-out of the recovery does not end it.
    ///
    /// # Errors
    ///
    /// What it returns is not a state any more, and has to be thrown away: [`RecoveryError::NotReset`](crate::RecoveryError::NotReset).
    async fn reset(&mut self) -> Result<(), BoxError>;

    /// Takes the whole state of a partition, as it was saved.
    ///
    /// # Errors
    ///
    /// Ends the recovery.
    async fn restore(&mut self, partition: u32, snapshot: Bytes) -> Result<(), BoxError>;

    /// Takes what changed in a partition, as it was saved. One of no bytes is not handed over: nothing changed.
    ///
    /// # Errors
    ///
    /// Ends the recovery.
    async fn apply_delta(&mut self, partition: u32, delta: Bytes) -> Result<(), BoxError>;

    /// Takes the whole state of a partition, piece by piece. This is what a recovery calls; provided, it collects up to
    /// [`MAX_COLLECTED_BYTES`] for [`restore`](Restorable::restore).
    ///
    /// The bytes are checked when the stream ends, and may be anything until then: believe no length in them. Where they
    /// turn out to be damaged, whatever this returned is forgotten. The stream need not be read to its end.
    ///
    /// # Errors
    ///
    /// Ends the recovery.
    async fn restore_stream(
        &mut self,
        partition: u32,
        snapshot: ByteStream<io::Error>,
    ) -> Result<(), BoxError> {
        let snapshot = collect(snapshot, MAX_COLLECTED_BYTES).await?;
        self.restore(partition, snapshot).await
    }

    /// Takes what changed in a partition, piece by piece, as [`restore_stream`](Restorable::restore_stream) does the whole state.
    ///
    /// # Errors
    ///
    /// Ends the recovery.
    async fn apply_delta_stream(
        &mut self,
        partition: u32,
        delta: ByteStream<io::Error>,
    ) -> Result<(), BoxError> {
        let delta = collect(delta, MAX_COLLECTED_BYTES).await?;
        self.apply_delta(partition, delta).await
    }
}

/// A source: what the operators' state was made from, and is made from again after the position that a checkpoint holds.
#[async_trait]
pub trait Seekable: Send {
    /// Its name in the manifest.
    fn id(&self) -> &str;

    /// Whether it can go on from there: whether what comes after the position is still there. Asked before anything is
    /// loaded; changes nothing.
    ///
    /// # Errors
    ///
    /// It cannot tell now. Ends the recovery.
    async fn can_seek(&mut self, position: &SourcePosition) -> Result<bool, BoxError>;

    /// Goes on from there: what comes next is the first that the position has not taken in. Called once every operator is
    /// whole. May be called again with another position, if a recovery fails after it and is run again.
    ///
    /// # Errors
    ///
    /// Ends the recovery.
    async fn seek(&mut self, position: &SourcePosition) -> Result<(), BoxError>;
}

/// All bytes of a stream, up to a bound.
async fn collect(mut stream: ByteStream<io::Error>, most: usize) -> Result<Bytes, BoxError> {
    let first = stream.try_next().await?.unwrap_or_default();
    let Some(second) = stream.try_next().await? else {
        return if first.len() > most {
            Err(too_long(most))
        } else {
            Ok(first)
        };
    };
    let mut all = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if all.len() + piece.len() > most {
            return Err(too_long(most));
        }
        all.extend_from_slice(&piece);
        next = stream.try_next().await?;
    }
    Ok(all.freeze())
}

fn too_long(most: usize) -> BoxError {
    format!(
        "a file has more than {most} bytes, the most that are collected: implement restore_stream and apply_delta_stream"
    )
    .into()
}

const _: fn(&mut dyn Restorable, &mut dyn Seekable) = |_, _| (); // object-safe

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    async fn collected(pieces: &[&'static [u8]], most: usize) -> Result<Bytes, BoxError> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        collect(stream::iter(pieces).boxed(), most).await
    }

    #[tokio::test]
    async fn pieces_are_collected_up_to_a_bound() {
        let fitting: [&[&[u8]]; 3] = [&[], &[b"abc"], &[b"a", b"", b"bc"]];
        for (pieces, whole) in fitting.into_iter().zip(["", "abc", "abc"]) {
            assert_eq!(collected(pieces, 3).await.unwrap(), whole);
        }
        let too_long: [&[&[u8]]; 3] = [&[b"abcd"], &[b"ab", b"cd"], &[b"a", b"b", b"c", b"d"]];
        for pieces in too_long {
            let error = collected(pieces, 3).await.unwrap_err().to_string();
            assert!(error.contains("implement restore_stream"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_breaks_is_no_content() {
        let broken = stream::iter([Ok(Bytes::from_static(b"ab")), Err(io::Error::other("broken"))]);
        assert!(collect(broken.boxed(), 9).await.is_err());
    }
}
