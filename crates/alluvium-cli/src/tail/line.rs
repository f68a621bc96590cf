//! A message as a line of JSON.
//!
//! ```text
//! {"sequence":7,"timestamp":"2026-11-21T14:00:00.000000000Z","subject":"orders.eu","headers":{"Trace":["a"]},"value":"2 lemons"}
//! {"sequence":9,"timestamp":"…","key":"api.eu","operation":"put","value_base64":"/w=="}
//! {"sequence":10,"timestamp":"…","key":"api.eu","operation":"delete","reason":"expired"}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use alluvium::{Change, DeleteReason, Headers, Operation};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::{bytes_field, rfc3339};

/// Bytes that are not UTF-8 are in the field with `_base64` in its name.
#[derive(Serialize)]
struct Line<'a> {
    sequence: u64,
    timestamp: String,
    #[serde(flatten)]
    subject: Map<String, Value>,
    /// Of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<&'a str, Vec<Cow<'a, str>>>>,
    /// Of a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(flatten)]
    value: Map<String, Value>,
}

/// A line for each message, each with its newline.
pub(super) fn lines(messages: &[Change], is_bucket: bool) -> Vec<u8> {
    let mut lines = Vec::new();
    for message in messages {
        // Memory is the only writer, and every key of the maps is text.
        let _ = serde_json::to_writer(&mut lines, &line(message, is_bucket));
        lines.push(b'\n');
    }
    lines
}

fn line(message: &Change, is_bucket: bool) -> Line<'_> {
    let (operation, reason) = match &message.operation {
        Operation::Put(_) => ("put", None),
        Operation::Delete(reason) => ("delete", Some(word(*reason))),
    };
    Line {
        sequence: message.sequence.get(),
        timestamp: rfc3339(message.timestamp),
        subject: bytes_field(if is_bucket { "key" } else { "subject" }, &message.key),
        headers: (!is_bucket).then(|| headers(&message.headers)),
        operation: is_bucket.then_some(operation),
        reason,
        value: message
            .value()
            .map(|value| bytes_field("value", value))
            .unwrap_or_default(),
    }
}

fn headers(headers: &Headers) -> BTreeMap<&str, Vec<Cow<'_, str>>> {
    let mut map: BTreeMap<&str, Vec<Cow<'_, str>>> = BTreeMap::new();
    for (name, value) in headers.iter() {
        map.entry(name).or_default().push(String::from_utf8_lossy(value));
    }
    map
}

fn word(reason: DeleteReason) -> &'static str {
    match reason {
        DeleteReason::Deleted => "deleted",
        DeleteReason::Purged => "purged",
        DeleteReason::Expired => "expired",
        DeleteReason::Vanished => "vanished",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use alluvium::{Sequence, Timestamp};

    use super::*;

    fn text(message: Change, is_bucket: bool) -> String {
        String::from_utf8(lines(&[message], is_bucket)).unwrap()
    }

    #[test]
    fn a_message_is_one_line() {
        let (sequence, stored) = (Sequence::new(7), Timestamp::from_nanos(0));
        let headers = [("Via", "x"), ("Trace", "a\nb"), ("Via", "y")]
            .into_iter()
            .collect();
        let message = Change::put("orders.eu", "2\n\"lemons\"", sequence, stored).with_headers(headers);
        assert_eq!(
            text(message, false),
            "{\"sequence\":7,\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"subject\":\"orders.eu\",\
             \"headers\":{\"Trace\":[\"a\\nb\"],\"Via\":[\"x\",\"y\"]},\"value\":\"2\\n\\\"lemons\\\"\"}\n"
        );
        let message = Change::put("a", &b"\xff"[..], sequence, stored);
        assert_eq!(
            text(message, true),
            "{\"sequence\":7,\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"key\":\"a\",\"operation\":\"put\",\
             \"value_base64\":\"/w==\"}\n"
        );
        let message = Change::delete("a", DeleteReason::Expired, sequence, stored);
        assert_eq!(
            text(message, true),
            "{\"sequence\":7,\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"key\":\"a\",\"operation\":\"delete\",\
             \"reason\":\"expired\"}\n"
        );
    }
}
