//! What a log holds now, key by key, without the values.

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;

use crate::{Bounds, Change, DeleteReason, LogError, Operation, Sequence, Timestamp};

/// The latest message of a key, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: Bytes,
    /// Where the message stands in its log.
    pub sequence: Sequence,
    /// When the server stored it.
    pub timestamp: Timestamp,
    /// Why the key is gone, if the message is a delete marker.
    pub deleted: Option<DeleteReason>,
}

impl Listed {
    /// What a listing tells of the message that made this change.
    pub fn of(change: Change) -> Self {
        Self {
            key: change.key,
            sequence: change.sequence,
            timestamp: change.timestamp,
            deleted: match change.operation {
                Operation::Put(_) => None,
                Operation::Delete(reason) => Some(reason),
            },
        }
    }
}

/// What a log holds right now, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Its bounds.
    pub bounds: Bounds,
    /// Of how many keys it holds a message, markers included, at the very moment of the bounds; `None` where the log does not
    /// count them.
    pub keys: Option<u64>,
}

/// What whoever lists a log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEvent {
    /// The next key.
    Key(Listed),
    /// The listing is complete up to this sequence, and at its end: reading from the one after it misses nothing.
    Complete(Sequence),
}

/// Keys with the places of their latest messages, rising in sequence. A key that is overwritten meanwhile may come twice; the
/// later one is the latest.
pub type ListStream = Pin<Box<dyn Stream<Item = Result<ListEvent, LogError>> + Send>>;
