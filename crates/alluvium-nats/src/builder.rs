//! [`LogBuilder`]: how a log reaches its stream.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::LogError;
use async_nats::Client;

use crate::api::Api;
use crate::jetstream::JetStream;
use crate::mapping::Mapping;
use crate::reader::Budget;

/// How a [`KvLog`](crate::KvLog) or a [`StreamLog`](crate::StreamLog) reaches its stream. The builders of both have the
/// same to say.
#[must_use = "a builder does nothing until `open`"]
pub struct LogBuilder<L> {
    client: Client,
    pub(crate) name: String,
    prefix: String,
    timeout: Duration,
    budget: Budget,
    log: PhantomData<fn() -> L>,
}

impl<L> LogBuilder<L> {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self {
            client,
            name,
            prefix: "$JS.API".to_owned(),
            timeout: Duration::from_secs(5),
            budget: Budget {
                messages: 16_384,
                bytes: 8 << 20,
            },
            log: PhantomData,
        }
    }

    /// The stream is in this JetStream domain.
    pub fn domain(mut self, domain: impl AsRef<str>) -> Self {
        self.prefix = format!("$JS.{}.API", domain.as_ref());
        self
    }

    /// The JetStream API is found below this subject, as an import from another account may have it.
    pub fn api_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Until a request is given up that the server does not answer. 5 seconds by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

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
        let api = Api::new(self.client, stream, mapping, self.prefix, self.timeout);
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
            client: self.client.clone(),
            name: self.name.clone(),
            prefix: self.prefix.clone(),
            ..*self
        }
    }
}

impl<L> fmt::Debug for LogBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBuilder")
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
