//! One server for most of these tests, streams on it, and messages that cause effects.

use std::time::Duration;

use alluvium::{Change, Effect, Effects, Flushed, LogIdentity, Publisher, Sequence, Timestamp};
use alluvium_e2e::NatsServer;
use async_nats::Client;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::{self, stream};
use tokio::sync::OnceCell;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The server. It ends with this process.
pub(crate) async fn server() -> &'static NatsServer {
    static SERVER: OnceCell<NatsServer> = OnceCell::const_new();
    SERVER.get_or_init(NatsServer::start).await
}

/// A client of its own: no two tests have the same runtime.
pub(crate) async fn connect() -> Client {
    async_nats::connect(server().await.url()).await.unwrap()
}

/// A stream of this name, with the subjects below it in lower case.
pub(crate) fn config(name: &str) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{}.>", name.to_lowercase())],
        ..stream::Config::default()
    }
}

pub(crate) async fn create(client: &Client, config: stream::Config) -> stream::Stream {
    let context = jetstream::new(client.clone());
    context.create_stream(config).await.unwrap()
}

/// The stream, created, and a publisher to it.
pub(crate) async fn publisher(client: &Client, name: &str) -> (stream::Stream, Publisher) {
    let stream = create(client, config(name)).await;
    let publisher = Publisher::open(client.clone(), name).await.unwrap();
    (stream, publisher)
}

pub(crate) fn log() -> LogIdentity {
    LogIdentity::new("ORDERS", Timestamp::from_nanos(7))
}

/// The message of this sequence.
pub(crate) fn message(sequence: u64) -> Change {
    let stored = Timestamp::from_nanos(i64::try_from(sequence).unwrap());
    Change::put("orders.eu", "an order", Sequence::new(sequence), stored)
}

pub(crate) fn effects(publisher: &Publisher) -> Effects {
    publisher.effects_of("mailer", log())
}

/// Publishes one effect of each of these messages under `<stream>.<sequence>`.
pub(crate) async fn publish(effects: &mut Effects, stream: &str, sequences: impl IntoIterator<Item = u64>) {
    for sequence in sequences {
        let subject = format!("{}.{sequence}", stream.to_lowercase());
        let effect = Effect::new(subject, format!("about {sequence}"));
        effects.publish(&message(sequence), 0, effect).await.unwrap();
    }
}

/// The same from the beginning to the flush.
pub(crate) async fn once(publisher: &Publisher, sequences: impl IntoIterator<Item = u64>) -> Flushed {
    let mut effects = effects(publisher);
    publish(&mut effects, publisher.stream(), sequences).await;
    effects.flush().await.unwrap()
}

/// What the stream holds, oldest first.
pub(crate) async fn stored(stream: &stream::Stream) -> Vec<StreamMessage> {
    let state = stream.get_info().await.unwrap().state;
    let mut messages = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        // Some may be deleted.
        messages.extend(stream.get_raw_message(sequence).await.ok());
    }
    messages
}
