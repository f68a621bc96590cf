//! Answers that do not come, and streams that go.

use std::time::Duration;

use alluvium::{Effect, ErrorKind, Publisher, PublisherError};
use alluvium_e2e::{NatsServer, Proxy};
use async_nats::jetstream;
use async_nats::jetstream::stream::{self, DiscardPolicy};

use crate::support::{
    PATIENCE, config, connect, create, effects, message, once, publish, publisher, server, stored,
};

fn unacknowledged(error: &PublisherError) -> (usize, ErrorKind) {
    match error {
        PublisherError::Unacknowledged { missing, kind, .. } => (*missing, *kind),
        error => panic!("{error:?}"),
    }
}

/// The messages arrive and the answers do not; then the connection is cut. Flushed again, everything is stored once, in
/// order.
#[tokio::test]
async fn lost_answers_are_asked_for_again() {
    let direct = connect().await;
    let stream = create(&direct, config("LOST")).await;
    let proxy = Proxy::start(server().await.port()).await;
    let options = async_nats::ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(20));
    let client = options.connect(proxy.url()).await.unwrap();
    let mails = Publisher::builder(client, "LOST").request_timeout(Duration::from_millis(500));
    let mails = mails.open().await.unwrap();

    let mut effects = effects(&mails);
    publish(&mut effects, "LOST", 1..=3).await;
    assert_eq!(effects.flush().await.unwrap().duplicates(), 0);
    proxy.deafen(true);
    publish(&mut effects, "LOST", 4..=10).await;
    let error = effects.flush().await.unwrap_err();
    assert_eq!(unacknowledged(&error), (7, ErrorKind::Transient), "{error}");
    assert_eq!(stored(&stream).await.len(), 10, "they have arrived");
    assert_eq!(effects.unacknowledged(), 7);

    proxy.cut();
    proxy.deafen(false);
    let flushed = tokio::time::timeout(PATIENCE, async {
        loop {
            match effects.flush().await {
                Ok(flushed) => return flushed,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error}"),
            }
        }
    });
    let flushed = flushed.await.expect("the connection is there again");
    let told: Vec<(u64, bool)> = flushed
        .messages
        .iter()
        .map(|message| (message.sequence.get(), message.duplicate))
        .collect();
    assert_eq!(told, (4..=10).map(|number| (number, true)).collect::<Vec<_>>());
    assert_eq!(stored(&stream).await.len(), 10);
    assert_eq!(effects.unacknowledged(), 0);
}

/// A worker that gives up and is given the messages again, instead of flushing again.
#[tokio::test]
async fn a_batch_given_up_is_published_once_by_the_next_attempt() {
    let direct = connect().await;
    let stream = create(&direct, config("GIVENUP")).await;
    let proxy = Proxy::start(server().await.port()).await;
    let client = async_nats::connect(proxy.url()).await.unwrap();
    let mails = Publisher::builder(client, "GIVENUP").request_timeout(Duration::from_millis(500));
    let mails = mails.open().await.unwrap();
    let mut first = effects(&mails);
    proxy.deafen(true);
    publish(&mut first, "GIVENUP", 1..=5).await;
    let error = first.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    drop(first);
    proxy.deafen(false);
    assert_eq!(once(&mails, 1..=8).await.duplicates(), 5);
    assert_eq!(stored(&stream).await.len(), 8);
}

#[tokio::test]
async fn a_server_that_is_gone_for_a_while_is_waited_for() {
    let mut server = NatsServer::start().await;
    let client = server.client().await;
    let stream = create(&client, config("DOWN")).await;
    let mails = Publisher::builder(client, "DOWN").request_timeout(Duration::from_millis(300));
    let mails = mails.open().await.unwrap();
    once(&mails, 1..=2).await;
    server.kill().await;
    let mut effects = effects(&mails);
    publish(&mut effects, "DOWN", 1..=5).await;
    let error = effects.flush().await.unwrap_err();
    assert_eq!(unacknowledged(&error), (5, ErrorKind::Transient), "{error}");
    server.restart().await;
    let flushed = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(flushed) = effects.flush().await {
                return flushed;
            }
        }
    });
    let flushed = flushed.await.expect("the server is back");
    assert_eq!(flushed.messages.len(), 5);
    let told: Vec<u64> = flushed
        .messages
        .iter()
        .map(|message| message.sequence.get())
        .collect();
    assert_eq!(told, [1, 2, 3, 4, 5]);
    assert_eq!(stored(&stream).await.len(), 5);
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_told() {
    let client = connect().await;
    let (_, mails) = publisher(&client, "GONE").await;
    let mut effects = effects(&mails);
    publish(&mut effects, "GONE", [1]).await;
    effects.flush().await.unwrap();
    jetstream::new(client.clone())
        .delete_stream("GONE")
        .await
        .unwrap();
    publish(&mut effects, "GONE", 2..=3).await;
    for _ in 0..2 {
        let error = effects.flush().await.unwrap_err();
        assert_eq!(unacknowledged(&error), (2, ErrorKind::NotFound), "{error}");
    }
    // Made again it gets what is left.
    let stream = create(&client, config("GONE")).await;
    assert_eq!(effects.flush().await.unwrap().messages.len(), 2);
    assert_eq!(stored(&stream).await.len(), 2);
}

/// One that fails does not take the others along, and the first that failed is named.
#[tokio::test]
async fn an_effect_that_cannot_be_stored_fails_alone() {
    let client = connect().await;
    let (stream, mails) = publisher(&client, "ALONE").await;
    create(&client, config("ELSEWHERE")).await;
    let large = vec![0; 2 << 20];
    for (subject, payload, kind) in [
        ("nowhere.x", vec![], ErrorKind::NotFound),
        ("elsewhere.x", vec![], ErrorKind::Invalid),
        ("alone.x", large, ErrorKind::Invalid),
    ] {
        let mut effects = effects(&mails);
        publish(&mut effects, "ALONE", [1]).await;
        effects
            .publish(&message(2), 0, Effect::new(subject, payload))
            .await
            .unwrap();
        publish(&mut effects, "ALONE", [3]).await;
        let error = effects.flush().await.unwrap_err();
        assert_eq!(unacknowledged(&error), (1, kind), "{error}");
        assert!(error.to_string().contains(subject), "{error}");
        assert!(error.to_string().contains("/2/0/2"), "{error}");
    }
    assert_eq!(stored(&stream).await.len(), 2);
}

/// Without room because what failed takes it all, nothing more is published.
#[tokio::test]
async fn what_failed_takes_room() {
    let client = connect().await;
    let config = stream::Config {
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..config("FULL")
    };
    let stream = create(&client, config).await;
    let mails = Publisher::builder(client, "FULL").max_in_flight_messages(2);
    let mails = mails.open().await.unwrap();
    let mut effects = effects(&mails);
    publish(&mut effects, "FULL", 1..=3).await;
    let error = effects
        .publish(&message(4), 0, Effect::new("full.4", ""))
        .await
        .unwrap_err();
    assert_eq!(unacknowledged(&error), (2, ErrorKind::Transient), "{error}");
    // A message that was refused is not known.
    stream.purge().await.unwrap();
    let error = effects.flush().await.unwrap_err();
    assert_eq!(unacknowledged(&error), (1, ErrorKind::Transient), "{error}");
    stream.purge().await.unwrap();
    assert_eq!(effects.flush().await.unwrap().messages.len(), 3);
}
