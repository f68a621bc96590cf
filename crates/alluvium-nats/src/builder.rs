//! [`LogBuilder`]: how a log reaches its stream.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use alluvium_core::LogError;
use async_nats::Client;

use crate::api::Api;
use crate::jetstream::JetStream;
use crate::mapping::Mapping;
use crate::reach::{Reach, reach_methods};
use crate::reader::Budget;

/// How a [`KvLog`](crate::KvLog) or a [`StreamLog`](crate::StreamLog) reaches its stream. The builders of both have the
/// same to say.
#[must_use = "a builder does nothing until `open`"]
pub struct LogBuilder<L> {
    reach: Reach,
    pub(crate) name: String,
    budget: Budget,
    log: PhantomData<fn() -> L>,
}

impl<L> LogBuilder<L> {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self {
            reach: Reach::new(client),
            name,
            budget: Budget {
                messages: 16_384,
                bytes: 8 << 20,
            },
            log: PhantomData,
        }
    }

    reach_methods!(reach);

    /// How many messages a read may have in flight: with the server's consent, on the way, or waiting in the client.
    /// 16,384 by default; more than the client's `subscription_capacity` is found out and halved until it fits.
    pub fn max_in_flight_messages(mut self, messages: u64) -> Self {
        self.budget.messages = messages.max(1);
        self
    }

    /// How many bytes a read may have in flight. 8 MiB by default. A message larger than half of it travels alone.
    pub fn max_in_flight_bytes(mut self, bytes: u64) -> Self {
        self.budget.bytes = bytes.max(1);
        self
    }

    /// Looks whether the stream is there, and can be read as a log.
    pub(crate) async fn look(self, stream: String, mapping: Mapping) -> Result<JetStream, LogError> {
        let api = Api::new(self.reach, stream, mapping);
        let log = JetStream {
            api: Arc::new(api),
            budget: self.budget,
        };
        log.check().await?;
        Ok(log)
    }
}

// Derived ones would ask the same of the log.
impl<L> Clone for LogBuilder<L> {
    fn clone(&self) -> Self {
        Self {
            reach: self.reach.clone(),
            name: self.name.clone(),
            ..*self
        }
    }
}

impl<L> fmt::Debug for LogBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBuilder")
            .field("name", &self.name)
            .field("prefix", &self.reach.prefix)
            .field("timeout", &self.reach.timeout)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
