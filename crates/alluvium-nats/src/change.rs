//! From a stored message to the change it made.
//!
//! | headers | change |
//! |---|---|
//! | `KV-Operation: DEL` | deleted |
//! | `KV-Operation: PURGE` | purged |
//! | `Nats-Marker-Reason: MaxAge` | expired |
//! | `Nats-Marker-Reason: Purge` | purged |
//! | `Nats-Marker-Reason: Remove`, or a reason of tomorrow | deleted |
//! | anything else | a put |

use alluvium_core::{Change, DeleteReason, LogError, Sequence, Timestamp};
use async_nats::header::HeaderName;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;

use crate::subject;

/// A client's delete or purge.
const OPERATION: HeaderName = HeaderName::from_static("KV-Operation");
/// The server's own marker for what it removed.
const MARKER_REASON: HeaderName = HeaderName::from_static("Nats-Marker-Reason");

/// What a message says, wherever it came from.
pub(crate) struct Stored {
    pub(crate) subject: Subject,
    pub(crate) payload: Bytes,
    pub(crate) deleted: Option<DeleteReason>,
    pub(crate) sequence: Sequence,
    pub(crate) timestamp: Timestamp,
}

impl Stored {
    /// The change that it made, or [`LogError::Foreign`] if it is no message of a bucket.
    pub(crate) fn into_change(self, log: &str) -> Result<Change, LogError> {
        let key = subject::key_of(self.subject).map_err(|subject| LogError::Foreign {
            log: log.to_owned(),
            subject: subject.into_string(),
        })?;
        Ok(match self.deleted {
            None => Change::put(key, self.payload, self.sequence, self.timestamp),
            Some(reason) => Change::delete(key, reason, self.sequence, self.timestamp),
        })
    }
}

/// Whether the headers make the message a marker, and of what.
pub(crate) fn deleted(headers: &HeaderMap) -> Option<DeleteReason> {
    if let Some(operation) = headers.get(OPERATION) {
        match operation.as_str() {
            "DEL" => return Some(DeleteReason::Deleted),
            "PURGE" => return Some(DeleteReason::Purged),
            _ => {}
        }
    }
    headers.get(MARKER_REASON).map(|reason| match reason.as_str() {
        "MaxAge" => DeleteReason::Expired,
        "Purge" => DeleteReason::Purged,
        _ => DeleteReason::Deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_make_markers() {
        let deleted = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value);
            deleted(&headers)
        };
        assert_eq!(deleted("KV-Operation", "DEL"), Some(DeleteReason::Deleted));
        assert_eq!(deleted("KV-Operation", "PURGE"), Some(DeleteReason::Purged));
        assert_eq!(deleted("KV-Operation", "PUT"), None);
        assert_eq!(
            deleted("Nats-Marker-Reason", "MaxAge"),
            Some(DeleteReason::Expired)
        );
        assert_eq!(deleted("Nats-Marker-Reason", "Purge"), Some(DeleteReason::Purged));
        assert_eq!(
            deleted("Nats-Marker-Reason", "Remove"),
            Some(DeleteReason::Deleted)
        );
        assert_eq!(deleted("Nats-Rollup", "sub"), None);
    }
}
