//! What the headers of a message mean to a bucket, and how they are given where they mean nothing.
//!
//! To a bucket they say what a message did:
//!
//! | headers | change |
//! |---|---|
//! | `KV-Operation: DEL` | deleted |
//! | `KV-Operation: PURGE` | purged |
//! | `Nats-Marker-Reason: MaxAge` | expired |
//! | `Nats-Marker-Reason: Purge` | purged |
//! | `Nats-Marker-Reason: Remove`, or a reason of tomorrow | deleted |
//! | anything else | a put |

use std::str::FromStr as _;

use alluvium_core::{DeleteReason, Headers};
use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use async_nats::jetstream::stream::RawMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// A client's delete or purge.
const OPERATION: HeaderName = HeaderName::from_static("KV-Operation");
/// The server's own marker for what it removed.
const MARKER_REASON: HeaderName = HeaderName::from_static("Nats-Marker-Reason");

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

/// The headers as a change has them. The client keeps no order of names, only of the values of one: names are sorted,
/// so that the same message is always the same change.
pub(crate) fn given(headers: &HeaderMap) -> Headers {
    let mut pairs: Vec<(&str, &str)> = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(|value| (name.as_ref(), value.as_str())))
        .collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs
        .into_iter()
        .map(|(name, value)| (name, Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

/// Headers as they are stored, read as the client reads those of what it is sent; `None` if it could not. The client's
/// own way to read stored ones keeps only the last value of a name.
pub(crate) fn parse(stored: &[u8]) -> Option<HeaderMap> {
    let mut lines = std::str::from_utf8(stored).ok()?.lines().peekable();
    let status = lines.next()?.strip_prefix("NATS/1.0")?.trim();
    if let Some(code) = status.split(' ').next().filter(|code| !code.is_empty()) {
        code.parse::<async_nats::StatusCode>().ok()?;
    }
    let mut headers = HeaderMap::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        let name = HeaderName::from_str(name).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim_end()).ok()?);
    }
    Some(headers)
}

/// Whether the client can read a message that it is sent. It breaks off the connection where it cannot.
pub(crate) fn is_readable(message: &RawMessage) -> bool {
    // The server's JSON has that where a subject is not UTF-8. A subject may also have it in it, and be fine.
    if message.subject.contains(char::REPLACEMENT_CHARACTER) {
        return false;
    }
    let Some(headers) = &message.headers else {
        return true;
    };
    // The client divides the line that has the subject in it at any white space.
    !message.subject.contains(char::is_whitespace)
        && STANDARD
            .decode(headers)
            .is_ok_and(|headers| parse(&headers).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_headers_keep_every_value() {
        let stored = b"NATS/1.0\r\nVia: x\r\nTrace:a: b \r\nVia:y\r\n z\r\nEmpty:\r\n\r\n";
        let headers = given(&parse(stored).unwrap());
        let expected = [("Empty", ""), ("Trace", "a: b"), ("Via", "x"), ("Via", "y z")];
        assert_eq!(headers, expected.into_iter().collect());
        assert_eq!(
            given(&parse(b"NATS/1.0 100 Idle\r\nA: b\r\n\r\n").unwrap()),
            [("A", "b")].into_iter().collect(),
            "what looks like a word of the server's is a message like any other"
        );
    }

    #[test]
    fn what_the_client_could_not_read_is_none() {
        for stored in [
            &b""[..],
            b"garbage",
            b"NATS/1.0 abc\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nX: \xff\r\n\r\n",
            b"NATS/1.0\r\na b: c\r\n\r\n",
        ] {
            assert!(parse(stored).is_none(), "{:?}", stored.escape_ascii().to_string());
        }
    }

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
