//! What the server says between messages.

use async_nats::{Message, StatusCode};

/// A message without a message: what became of a pull, or of the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing to deliver, and the consumer is there.
    Heartbeat {
        /// The last consumer sequence that was delivered: whoever has seen less has lost something.
        consumer_sequence: u64,
        /// How far in the log the consumer has looked for messages.
        sequence: u64,
    },
    /// A pull is over.
    Ended {
        /// Messages that it would still have taken.
        messages: u64,
        /// Bytes that it would still have taken.
        bytes: u64,
        /// Whether it ended because the next message did not fit.
        too_large: bool,
    },
    /// A pull is over because there is nothing to deliver just now. Told only of those that asked for it.
    NoMessages,
    /// The consumer is gone, or moved: whether the log is too is to be found out.
    Gone,
    /// The server does not take such pulls.
    Refused(String),
}

impl Status {
    /// What a message says that has a status.
    pub(crate) fn of(code: StatusCode, message: &Message) -> Self {
        let number = |name: &str| {
            message
                .headers
                .as_ref()
                .and_then(|headers| headers.get(name))
                .and_then(|value| value.as_str().parse().ok())
        };
        let description = message.description.as_deref().unwrap_or_default();
        let ended = |too_large| Self::Ended {
            messages: number("Nats-Pending-Messages").unwrap_or(0),
            bytes: number("Nats-Pending-Bytes").unwrap_or(0),
            too_large,
        };
        match code {
            StatusCode::IDLE_HEARTBEAT => Self::Heartbeat {
                consumer_sequence: number("Nats-Last-Consumer").unwrap_or(0),
                sequence: number("Nats-Last-Stream").unwrap_or(0),
            },
            StatusCode::NOT_FOUND => Self::NoMessages,
            StatusCode::TIMEOUT => ended(false),
            StatusCode::REQUEST_TERMINATED if description == "Batch Completed" => ended(false),
            StatusCode::REQUEST_TERMINATED if description.starts_with("Message Size Exceeds") => ended(true),
            StatusCode::REQUEST_TERMINATED
                if description.starts_with("Exceeded") || description.starts_with("Consumer is push") =>
            {
                Self::Refused(description.to_owned())
            }
            StatusCode::REQUEST_TERMINATED | StatusCode::NO_RESPONDERS => Self::Gone,
            _ => Self::Refused(format!("{code} {description}")),
        }
    }
}
