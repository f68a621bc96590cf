//! NATS JetStream behind Alluvium's traits: [`KvLog`] is a KV bucket as a [`Log`](alluvium_core::Log), [`StreamLog`] is
//! any stream. [`KvLeaseStore`] keeps leases in a bucket, and [`KvCursorStore`] cursors. A [`Publisher`] publishes what handlers
//! cause, once although its cause is given to them again.
//!
//! It works on the user's own [`async_nats::Client`]: addresses, TLS, credentials and reconnecting stay theirs.
//! While that client goes on reconnecting, a reader goes on reading, however long it takes; what it has given it
//! never gives again, and it leaves nothing out. It ends with an error when the stream is gone, is another one or
//! lost its tail, when the server refuses, and when the client is closed for good.
//!
//! # What it asks of the server
//!
//! nats-server 2.11 or later, and these permissions to publish, below the API prefix (`$JS.API` by default), for the
//! stream, which of a bucket is `KV_<bucket>`; to subscribe it needs the client's inbox alone.
//!
//! | subject | for |
//! |---|---|
//! | `STREAM.INFO.<stream>` | [`bounds`](alluvium_core::Log::bounds), and to know the log again after a reconnect |
//! | `STREAM.MSG.GET.<stream>` | [`message_at`](alluvium_core::Log::message_at), and to know the tail again |
//! | `CONSUMER.CREATE.<stream>.>` | each read: one ephemeral consumer in memory, however many filters the scope has |
//! | `CONSUMER.MSG.NEXT.<stream>.*` | to pull |
//! | `CONSUMER.DELETE.<stream>.*` | to leave nothing behind; without it the server tidies up after half a minute |
//!
//! What leases need, [`KvLeaseStore`] says, and what cursors need, [`KvCursorStore`]. A publisher needs `STREAM.INFO.<stream>`, and the subjects that it publishes under.
//!
//! A server says nothing to whoever asks without permission: such a request ends as
//! [`LogError::Unavailable`](alluvium_core::LogError::Unavailable) when its time is over.

mod api;
mod authority;
mod bucket;
mod builder;
mod consumer;
mod cursor_store;
mod headers;
mod jetstream;
mod kind;
mod kv_log;
mod lease;
mod mapping;
mod publisher;
mod reach;
mod reader;
mod stream_log;
mod subject;

pub use builder::LogBuilder;
pub use cursor_store::{KvCursorStore, KvCursorStoreBuilder};
pub use kv_log::{KvLog, KvLogBuilder};
pub use lease::{KvLeaseStore, KvLeaseStoreBuilder};
pub use publisher::{Acknowledged, Effect, Effects, Flushed, Publisher, PublisherBuilder, PublisherError};
pub use stream_log::{StreamLog, StreamLogBuilder};
