//! What a side of a comparison is, as it is typed.

use std::ffi::OsString;

use alluvium::{ArtifactKey, Sequence, StateConfig};

use crate::error::Failure;
use crate::secret::Secret;
use crate::state::Place;

/// Servers that are named in front of a bucket begin with one of these.
const SERVERS: [&str; 4] = ["nats://", "tls://", "ws://", "wss://"];
/// And stores in front of a key with one of these.
const STORES: [&str; 4] = ["file://", "s3://", "az://", "gs://"];

/// A side as it was typed. What is wrong with it is told when it is used, for it may hold a password, and the command line's own
/// errors repeat what was typed.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// Nothing for what is not UTF-8: that can be a state directory only.
    text: Option<Secret>,
    place: Place,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Kind {
    State(Place),
    Artifact {
        /// Where it is, without options.
        store: StateConfig,
        key: ArtifactKey,
        at: Option<Sequence>,
    },
    Bucket {
        /// That of the connection options, if there is none.
        server: Option<Secret>,
        bucket: String,
    },
}

impl From<OsString> for Operand {
    fn from(text: OsString) -> Self {
        Self {
            text: text.to_str().map(Secret::from),
            place: Place::from(text),
        }
    }
}

impl Operand {
    /// Reads it. `name` is what it is called in errors.
    pub(super) fn read(&self, name: &'static str) -> Result<Kind, Failure> {
        let wrong = |why: &str| Failure::Usage(format!("{name}: {why}"));
        let Some(text) = self.text.as_ref().map(Secret::expose) else {
            return Ok(Kind::State(self.place.clone()));
        };
        if SERVERS.iter().any(|scheme| text.starts_with(scheme)) {
            let (server, bucket) = text
                .rsplit_once('/')
                .filter(|(server, bucket)| !server.ends_with('/') && !bucket.is_empty())
                .ok_or_else(|| wrong("a bucket is written nats:BUCKET or nats://HOST:PORT/BUCKET"))?;
            return Ok(Kind::Bucket {
                server: Some(server.into()),
                bucket: bucket.to_owned(),
            });
        }
        if let Some(bucket) = text.strip_prefix("nats:") {
            if bucket.is_empty() || bucket.contains('/') {
                return Err(wrong(
                    "a bucket is written nats:BUCKET or nats://HOST:PORT/BUCKET",
                ));
            }
            return Ok(Kind::Bucket {
                server: None,
                bucket: bucket.to_owned(),
            });
        }
        if STORES.iter().any(|scheme| text.starts_with(scheme)) {
            let (url, named) = text
                .split_once('#')
                .ok_or_else(|| wrong("an artifact is written URL#KEY or URL#KEY@SEQUENCE"))?;
            let store = StateConfig::new(url).map_err(|error| wrong(&error.to_string()))?;
            let (key, at) = sequence_of(named);
            let key = key
                .parse()
                .map_err(|error: alluvium::TransportError| wrong(&error.to_string()))?;
            return Ok(Kind::Artifact { store, key, at });
        }
        Ok(Kind::State(self.place.clone()))
    }
}

/// A key, and the sequence after its last `@`. Nothing after that is the newest, for keys that end like that.
fn sequence_of(named: &str) -> (&str, Option<Sequence>) {
    match named.rsplit_once('@') {
        Some((key, "")) => (key, None),
        Some((key, at)) => match at.parse() {
            Ok(at) => (key, Some(Sequence::new(at))),
            Err(_) => (named, None),
        },
        None => (named, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Kind, Failure> {
        Operand::from(OsString::from(text)).read("A")
    }

    #[test]
    fn a_side_is_what_it_is_written_as() {
        assert!(matches!(read("./state"), Ok(Kind::State(_))));
        assert!(matches!(read("fjall:./state"), Ok(Kind::State(_))));
        assert!(
            matches!(read("nats:routes"), Ok(Kind::Bucket { server: None, bucket }) if bucket == "routes")
        );
        let bucket = read("nats://h:4222/routes");
        assert!(
            matches!(&bucket, Ok(Kind::Bucket { server: Some(server), bucket })
                if server.expose() == "nats://h:4222" && bucket == "routes"),
            "{bucket:?}"
        );
        for (text, expected, sequence) in [
            ("s3://b/p#routes", "routes", None),
            ("s3://b/p#routes@7", "routes", Some(7)),
            ("file:///d#a@b", "a@b", None),
            ("file:///d#a@5@", "a@5", None),
            ("file:///d#a@5@6", "a@5", Some(6)),
        ] {
            let artifact = read(text);
            assert!(
                matches!(&artifact, Ok(Kind::Artifact { key, at, .. })
                    if key.as_str() == expected && *at == sequence.map(Sequence::new)),
                "{artifact:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_not_shown() {
        for wrong in [
            "s3://b/p",
            "s3://me:hunter2@b/p#k",
            "file:///d#",
            "nats:",
            "nats://",
            "nats://me:hunter2@h",
            "nats:a/b",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(matches!(error, Failure::Usage(_)), "{wrong}: {error:?}");
            assert!(!format!("{error:?} {}", error.line()).contains("hunter2"));
        }
    }
}
