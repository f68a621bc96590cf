//! What the errors of the client ask for.

use std::error::Error;

use alluvium_core::ErrorKind;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};

/// What to do about a stream that could not be got.
pub(crate) fn of_get_stream(error: &(dyn Error + 'static)) -> ErrorKind {
    let mut chain = std::iter::successors(Some(error), |error| (**error).source());
    let got = chain.find_map(|error| error.downcast_ref::<jetstream::context::GetStreamError>());
    match got.map(jetstream::context::GetStreamError::kind) {
        Some(GetStreamErrorKind::JetStream(error)) => of_api(&error),
        Some(GetStreamErrorKind::Request) | None => ErrorKind::Transient,
        Some(_) => ErrorKind::Invalid,
    }
}

/// What an answer of the API asks for that says no.
pub(crate) fn of_api(error: &jetstream::Error) -> ErrorKind {
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => ErrorKind::NotFound,
        // The 500s are a server that starts, a cluster without a leader, resources that are short just now.
        _ if error.code() >= 500 => ErrorKind::Transient,
        _ => ErrorKind::Invalid,
    }
}

/// What a write that failed asks for; transient is, too, what may have been done.
pub(crate) fn of_publish(error: &PublishError) -> ErrorKind {
    let refused = error
        .source()
        .and_then(|source| source.downcast_ref::<jetstream::Error>());
    match (error.kind(), refused) {
        (PublishErrorKind::StreamNotFound, _) => ErrorKind::NotFound,
        (PublishErrorKind::MaxPayloadExceeded, _) => ErrorKind::Invalid,
        (PublishErrorKind::WrongLastSequence, _) => ErrorKind::Transient,
        // The same, of a cluster where another write of the key is under way: it does not know yet what the last one is.
        (_, Some(error)) if error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => {
            ErrorKind::Transient
        }
        // A bucket that is full or closed, a sealed stream: an operator has to act.
        (_, Some(error)) if error.code() < 500 => ErrorKind::Unavailable,
        _ => ErrorKind::Transient,
    }
}
