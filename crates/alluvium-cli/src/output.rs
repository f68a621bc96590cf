//! What is printed on standard output: entries, values, facts, for people and as JSON.

use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use alluvium::{Entry, Timestamp};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Failure;

/// How standard output is to be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

/// Standard output, held for many lines.
pub(crate) struct Lines {
    json: bool,
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A value: its bytes, and a newline only for somebody who looks at a terminal.
    pub(crate) fn value(self, key: &[u8], entry: &Entry) -> Result<(), Failure> {
        if self.json {
            let mut lines = self.lines();
            lines.entry(key, entry)?;
            return lines.finish();
        }
        raw(&entry.value)?;
        if io::stdout().is_terminal() {
            raw(b"\n")?;
        }
        Ok(())
    }

    /// One JSON object on a line, at once.
    pub(crate) fn object(self, object: &impl Serialize) -> Result<(), Failure> {
        let mut lines = self.lines();
        lines.object(object)?;
        lines.finish()
    }

    /// Many lines.
    pub(crate) fn lines(self) -> Lines {
        Lines {
            json: self.json,
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
        }
    }
}

/// An entry in JSON. Bytes that are not UTF-8 are in the field with `_base64` in its name.
#[derive(Serialize)]
struct EntryLine<'a> {
    #[serde(flatten)]
    key: Map<String, Value>,
    sequence: u64,
    timestamp: &'a str,
    #[serde(flatten)]
    value: Map<String, Value>,
}

impl Lines {
    /// An entry: JSON, or key, tab, value.
    pub(crate) fn entry(&mut self, key: &[u8], entry: &Entry) -> Result<(), Failure> {
        if self.json {
            return self.object(&EntryLine {
                key: bytes_field("key", key),
                sequence: entry.sequence.get(),
                timestamp: &rfc3339(entry.timestamp),
                value: bytes_field("value", &entry.value),
            });
        }
        writeln!(self.out, "{}\t{}", escaped(key), escaped(&entry.value)).map_err(Failure::Output)
    }

    /// One JSON object on a line.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, object)
            .map_err(|error| Failure::Output(error.into()))
            .and_then(|()| self.out.write_all(b"\n").map_err(Failure::Output))
    }

    /// One line of text.
    pub(crate) fn text(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(Failure::Output)
    }

    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// Bytes as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// Says something on standard error. That nobody listens there stops nothing.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A field of JSON that holds bytes: `name` where they are UTF-8, else `name_base64`.
pub(crate) fn bytes_field(name: &str, bytes: &[u8]) -> Map<String, Value> {
    let (name, value) = match std::str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.to_owned()),
        Err(_) => (format!("{name}_base64"), BASE64_STANDARD.encode(bytes)),
    };
    Map::from_iter([(name, Value::String(value))])
}

/// Bytes for people, on one line: what is not printable is escaped, and so is the backslash.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// An instant in RFC 3339 with nanoseconds, in UTC.
pub(crate) fn rfc3339(timestamp: Timestamp) -> String {
    // Every i64 of nanoseconds lies between the years 1677 and 2262.
    let instant = time::OffsetDateTime::from_unix_timestamp_nanos(timestamp.as_nanos().into())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        instant.year(),
        u8::from(instant.month()),
        instant.day(),
        instant.hour(),
        instant.minute(),
        instant.second(),
        instant.nanosecond()
    )
}

/// A number of bytes for people.
#[allow(clippy::cast_precision_loss, reason = "shown to people with one digit")]
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_all_nine_digits() {
        let nanos = 1_700_000_000_000_000_042;
        assert_eq!(
            rfc3339(Timestamp::from_nanos(nanos)),
            "2023-11-14T22:13:20.000000042Z"
        );
        assert_eq!(
            rfc3339(Timestamp::from_nanos(0)),
            "1970-01-01T00:00:00.000000000Z"
        );
        assert_eq!(
            rfc3339(Timestamp::from_nanos(i64::MIN)),
            "1677-09-21T00:12:43.145224192Z"
        );
        assert_eq!(
            rfc3339(Timestamp::from_nanos(i64::MAX)),
            "2262-04-11T23:47:16.854775807Z"
        );
    }

    #[test]
    fn an_escaped_entry_is_one_line_without_tabs() {
        assert_eq!(
            escaped(b"a\tb\nc\\d\xff\xe2\x82\xac"),
            "a\\tb\\nc\\\\d\\xff\u{20ac}"
        );
    }

    #[test]
    fn bytes_that_are_not_text_go_to_base64() {
        assert_eq!(
            Value::Object(bytes_field("key", b"a")),
            serde_json::json!({ "key": "a" })
        );
        assert_eq!(
            Value::Object(bytes_field("key", b"\xff")),
            serde_json::json!({ "key_base64": "/w==" })
        );
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(human_bytes(1023), "1023 B");
        assert_eq!(human_bytes(1536), "1.5 KiB");
        assert_eq!(human_bytes(u64::MAX), "16384.0 PiB");
    }
}
