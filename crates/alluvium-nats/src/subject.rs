//! Names of buckets and streams; keys and subjects of buckets.
//!
//! The stream behind bucket `B` is `KV_B`, and key `K` is stored in it under `$KV.B.K`. A mirror stores what its
//! origin stored, and so under the origin's name; so does a stream that sources others without transforming their
//! subjects. A key therefore is whatever follows the second token.

use alluvium_core::Filter;
use async_nats::Subject;
use async_nats::jetstream::stream;
use bytes::{Buf as _, Bytes};

/// Whether this can be the name of a bucket.
pub(crate) fn is_bucket(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The name of the stream behind a bucket.
pub(crate) fn stream_of(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// Whether this can be the name of a stream: one token of a subject, and of a path on the server.
pub(crate) fn is_stream(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c))
}

/// The key of a subject, without copying it. The subject comes back when it is none of a bucket.
pub(crate) fn key_of(subject: Subject) -> Result<Bytes, Subject> {
    const PREFIX: &[u8] = b"$KV.";
    let bytes = subject.as_bytes();
    let dot = bytes
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'.'));
    match dot {
        Some(dot) if dot > 0 && PREFIX.len() + dot + 1 < bytes.len() => {
            let mut key = Bytes::from(subject.into_string());
            // Not `slice`: that would make the buffer a shared one, which costs an allocation per message.
            key.advance(PREFIX.len() + dot + 1);
            Ok(key)
        }
        _ => Err(subject),
    }
}

/// The subjects of a bucket that these filters of its keys mean.
///
/// Only of a plain bucket is it known which name stands in the second token. Of a mirror it is not: its origin may be
/// a mirror itself.
pub(crate) fn filters(cover: &[Filter], bucket: &str, config: &stream::Config) -> Vec<String> {
    let plain = config.mirror.is_none()
        && config.sources.as_ref().is_none_or(Vec::is_empty)
        && config.subject_transform.is_none();
    let name = if plain { bucket } else { "*" };
    cover
        .iter()
        .map(|filter| format!("$KV.{name}.{filter}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use alluvium_core::Scope;

    use super::*;

    #[test]
    fn a_key_is_what_follows_the_second_token() {
        let key = |subject: &str| key_of(Subject::from(subject)).ok();
        assert_eq!(key("$KV.b.k"), Some(Bytes::from("k")));
        assert_eq!(key("$KV.other.a.b.c"), Some(Bytes::from("a.b.c")));
        for subject in ["$KV.b", "$KV.b.", "$KV..k", "$KV", "$KVX.b.k", "orders.new.x", ""] {
            assert_eq!(key(subject), None, "{subject:?}");
        }
    }

    #[test]
    fn only_what_the_server_allows_is_a_bucket() {
        assert!(is_bucket("Routes_eu-1"));
        for name in ["", "a.b", "a b", "a*", ">", "a/b", "\u{e4}"] {
            assert!(!is_bucket(name), "{name:?}");
        }
    }

    #[test]
    fn only_what_the_server_allows_is_a_stream() {
        for name in ["ORDERS", "KV_b", "\u{e4}", "$x"] {
            assert!(is_stream(name), "{name:?}");
        }
        for name in [
            "",
            "a.b",
            "a b",
            "*",
            "a>",
            "a/b",
            "a\\b",
            "a\n",
            &"a".repeat(256),
        ] {
            assert!(!is_stream(name), "{name:?}");
        }
    }

    #[test]
    fn filters_name_the_bucket_where_its_name_is_known() {
        let scope = Scope::of(["routes.>", "flags.*"]).unwrap();
        let cover = scope.disjoint_cover();
        let plain = stream::Config::default();
        assert_eq!(filters(&cover, "b", &plain), ["$KV.b.flags.*", "$KV.b.routes.>"]);
        let mirror = stream::Config {
            mirror: Some(stream::Source::default()),
            ..stream::Config::default()
        };
        assert_eq!(filters(&cover, "b", &mirror), ["$KV.*.flags.*", "$KV.*.routes.>"]);
    }
}
