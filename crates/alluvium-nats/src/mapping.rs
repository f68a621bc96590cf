//! What tells a bucket from a plain stream: which subjects a scope means, and which change a message makes.
//!
//! | | bucket | plain stream |
//! |---|---|---|
//! | key | the subject after its second token | the whole subject |
//! | change | put or delete, as the headers say | always a put of the payload |
//! | headers | left out | given |

use std::sync::Arc;

use alluvium_core::{Change, Filter, LogError, Scope, Sequence, Timestamp};
use async_nats::jetstream::stream;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;

use crate::{headers, subject};

/// How subjects and messages become keys and changes.
#[derive(Clone, Debug)]
pub(crate) enum Mapping {
    /// The stream is the one behind the bucket of this name.
    Bucket(Arc<str>),
    /// The stream is just that.
    Stream,
}

/// What a message says, wherever it came from.
pub(crate) struct Stored {
    pub(crate) subject: Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) payload: Bytes,
    pub(crate) sequence: Sequence,
    pub(crate) timestamp: Timestamp,
}

impl Mapping {
    /// The change that a message of this log made, or [`LogError::Foreign`] if it is no message of a bucket.
    pub(crate) fn change(&self, stored: Stored, log: &str) -> Result<Change, LogError> {
        let Stored {
            subject,
            headers,
            payload,
            sequence,
            timestamp,
        } = stored;
        match self {
            Self::Bucket(_) => {
                let key = subject::key_of(subject).map_err(|subject| LogError::Foreign {
                    log: log.to_owned(),
                    subject: subject.into_string(),
                })?;
                Ok(match headers.as_ref().and_then(headers::deleted) {
                    None => Change::put(key, payload, sequence, timestamp),
                    Some(reason) => Change::delete(key, reason, sequence, timestamp),
                })
            }
            Self::Stream => {
                let change = Change::put(subject.into_string(), payload, sequence, timestamp);
                Ok(match headers {
                    None => change,
                    Some(map) => change.with_headers(headers::given(&map)),
                })
            }
        }
    }

    /// The subjects that one consumer has to be given for a scope: none for every key.
    pub(crate) fn filters(&self, scope: &Scope, cover: &[Filter], config: &stream::Config) -> Vec<String> {
        if scope.is_all() || cover.iter().any(|filter| filter.as_str() == ">") {
            return Vec::new();
        }
        match self {
            Self::Bucket(bucket) => subject::filters(cover, bucket, config),
            // Also where the stream transforms subjects: consumers are asked about what is stored, and that is the key.
            Self::Stream => cover.iter().map(ToString::to_string).collect(),
        }
    }
}
