//! For how long the server knows an id, and what makes it forget or remember.

use std::time::{Duration, Instant};

use alluvium::Publisher;
use alluvium_e2e::NatsServer;
use async_nats::jetstream::{self, stream};

use crate::support::{PATIENCE, config, connect, create, once, publisher, stored};

/// Published again and again, an effect is stored a second time when the window of the first one is over: not before, by
/// the server's clock, and although there were duplicates in between.
#[tokio::test]
async fn after_the_window_it_is_stored_again() {
    const WINDOW: Duration = Duration::from_millis(700);
    let client = connect().await;
    let config = stream::Config {
        duplicate_window: WINDOW,
        ..config("SHORT")
    };
    let stream = create(&client, config).await;
    let mails = Publisher::open(client, "SHORT").await.unwrap();
    assert_eq!(mails.window(), WINDOW);
    once(&mails, [1]).await;
    let begin = Instant::now();
    let mut duplicates = 0;
    while once(&mails, [1]).await.duplicates() == 1 {
        duplicates += 1;
        assert!(begin.elapsed() < PATIENCE, "the window never ends");
    }
    assert!(duplicates > 1, "{duplicates}");
    let stored = stored(&stream).await;
    assert_eq!(stored.len(), 2);
    let apart = stored[1].time - stored[0].time;
    assert!(apart >= WINDOW, "{apart}");
}

/// What is removed from a stream stays known to the server that removed it.
#[tokio::test]
async fn what_was_removed_is_a_duplicate_until_the_server_restarts() {
    let mut server = NatsServer::start().await;
    let client = server.client().await;
    let (stream, mails) = publisher(&client, "REMOVED").await;
    once(&mails, 1..=3).await;
    stream.delete_message(2).await.unwrap();
    let again = once(&mails, 1..=3).await;
    assert_eq!(again.duplicates(), 3);
    assert_eq!(stored(&stream).await.len(), 2, "the second one is nowhere");

    server.kill().await;
    server.restart().await;
    let again = once(&mails, 1..=3).await;
    let told: Vec<(u64, bool)> = again
        .messages
        .iter()
        .map(|message| (message.sequence.get(), message.duplicate))
        .collect();
    assert_eq!(told, [(1, true), (4, false), (3, true)]);

    stream.purge().await.unwrap();
    assert_eq!(once(&mails, 1..=3).await.duplicates(), 3);
    assert!(stored(&stream).await.is_empty());
}

/// Nothing is left out, and everything is published twice.
#[tokio::test]
async fn a_stream_made_again_knows_nothing() {
    let client = connect().await;
    let (_, mails) = publisher(&client, "AGAIN").await;
    once(&mails, 1..=3).await;
    let context = jetstream::new(client.clone());
    context.delete_stream("AGAIN").await.unwrap();
    let stream = create(&client, config("AGAIN")).await;
    assert_eq!(once(&mails, 1..=3).await.duplicates(), 0);
    assert_eq!(stored(&stream).await.len(), 3);
}

/// A window that was made smaller since is the one that counts.
#[tokio::test]
async fn the_window_is_that_of_the_stream_and_not_of_the_publisher() {
    let client = connect().await;
    let (stream, mails) = publisher(&client, "SHRUNK").await;
    assert_eq!(mails.window(), Duration::from_mins(2), "the server's default");
    once(&mails, [1]).await;
    let smaller = stream::Config {
        duplicate_window: Duration::from_millis(100),
        ..config("SHRUNK")
    };
    let context = jetstream::new(client.clone());
    context.update_stream(smaller).await.unwrap();
    let begin = Instant::now();
    while once(&mails, [1]).await.duplicates() == 1 {
        assert!(begin.elapsed() < PATIENCE, "the window never ends");
    }
    assert_eq!(stored(&stream).await.len(), 2);
}
