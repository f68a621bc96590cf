//! One keyed effect of one message, and a run of them.

use bytes::Bytes;

use crate::{Cursor, Headers, Sequence, Timestamp};

/// One keyed effect: what the message at [`sequence`](Self::sequence) did to [`key`](Self::key).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The key: of a KV bucket without the subject prefix, of a plain stream the whole subject. Never empty.
    pub key: Bytes,
    /// Where the message that made the change stands in its log.
    pub sequence: Sequence,
    /// When the server stored that message.
    pub timestamp: Timestamp,
    /// What happened to the key.
    pub operation: Operation,
    /// What the message carried beside its payload, where its log tells: a plain stream does, a KV bucket does not. A
    /// table keeps none of it.
    pub headers: Headers,
}

impl Change {
    /// `key` now has `value`.
    pub fn put(
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        sequence: Sequence,
        timestamp: Timestamp,
    ) -> Self {
        Self {
            key: key.into(),
            sequence,
            timestamp,
            operation: Operation::Put(value.into()),
            headers: Headers::NONE,
        }
    }

    /// `key` is gone.
    pub fn delete(
        key: impl Into<Bytes>,
        reason: DeleteReason,
        sequence: Sequence,
        timestamp: Timestamp,
    ) -> Self {
        Self {
            key: key.into(),
            sequence,
            timestamp,
            operation: Operation::Delete(reason),
            headers: Headers::NONE,
        }
    }

    /// The same, of a message with these headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// The value that the key has now, none after a delete.
    pub fn value(&self) -> Option<&Bytes> {
        match &self.operation {
            Operation::Put(value) => Some(value),
            Operation::Delete(_) => None,
        }
    }

    /// Bytes of key, value and headers: what the change weighs in queues and limits.
    pub fn len_bytes(&self) -> usize {
        self.key.len() + self.value().map_or(0, Bytes::len) + self.headers.len_bytes()
    }
}

/// What a change does to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The key has this value now. It may be empty.
    Put(Bytes),
    /// The key is gone.
    Delete(DeleteReason),
}

/// Why a key went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeleteReason {
    /// A client deleted it (`KV-Operation: DEL`).
    Deleted,
    /// A client purged it with its history (`KV-Operation: PURGE`), or the stream was purged and left a marker.
    Purged,
    /// The server let it expire and left a marker (`Nats-Marker-Reason: MaxAge`).
    Expired,
    /// The log no longer holds it, and no marker says why: found by a reconcile.
    Vanished,
}

/// A run of changes that were committed, or are about to be, in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// The changes, rising in sequence where there is a cursor. A key may occur more than once.
    pub changes: Vec<Change>,
    /// Where the table stands after them. `None` for a step of a repair, which brings what differs in no order; the
    /// batch that ends the repair has a cursor again.
    pub cursor: Option<Cursor>,
}

impl Batch {
    /// A batch of these changes, up to this cursor.
    pub fn new(changes: Vec<Change>, cursor: Option<Cursor>) -> Self {
        Self { changes, cursor }
    }
}
