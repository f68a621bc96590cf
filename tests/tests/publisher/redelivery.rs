//! Messages that are given again.

use std::sync::Arc;

use alluvium::{Effect, Headers, LogCursor, Publisher, Scope, StreamLog};
use async_nats::jetstream;

use crate::support::{config, connect, create, effects, log, message, publisher, stored};

/// A worker that is given everything again after a roll-back, in other batches, and one in another process after that.
#[tokio::test]
async fn a_redelivery_is_published_once_however_its_batches_are_cut() {
    const MESSAGES: usize = 10;
    let client = connect().await;
    create(&client, config("SOURCE")).await;
    let context = jetstream::new(client.clone());
    for _ in 0..MESSAGES {
        let ack = context.publish("source.x", "an order".into()).await.unwrap();
        ack.await.unwrap();
    }
    let (target, _) = publisher(&client, "TARGET").await;

    for (attempt, cut) in [4, 10, 3].into_iter().enumerate() {
        // All that is left of the attempt before is on the server.
        let client = connect().await;
        let source = StreamLog::open(client.clone(), "SOURCE").await.unwrap();
        let mails = Publisher::open(client, "TARGET").await.unwrap();
        let mut cursor = LogCursor::builder(Arc::new(source), Scope::all())
            .open()
            .await
            .unwrap();
        let mut given = 0;
        while given < MESSAGES {
            let batch = cursor.poll_batch(cut).await.unwrap();
            let mut effects = mails.effects_of("mailer", cursor.position().log.clone());
            for order in &batch {
                for label in ["customer", "sales"] {
                    let effect = Effect::new(format!("target.{label}"), order.sequence.to_string());
                    effects.publish(order, label, effect).await.unwrap();
                }
            }
            let flushed = effects.flush().await.unwrap();
            assert_eq!(flushed.messages.len(), 2 * batch.len());
            let again = if attempt == 0 { 0 } else { 2 * batch.len() };
            assert_eq!(flushed.duplicates(), again, "attempt {attempt}");
            for (index, message) in flushed.messages.iter().enumerate() {
                let expected = 2 * given + index + 1;
                assert_eq!(message.sequence.get(), u64::try_from(expected).unwrap());
            }
            given += batch.len();
        }
        let stored = stored(&target).await;
        let told: Vec<String> = stored
            .iter()
            .map(|message| {
                format!(
                    "{} {}",
                    message.subject,
                    String::from_utf8_lossy(&message.payload)
                )
            })
            .collect();
        let expected: Vec<String> = (1..=MESSAGES)
            .flat_map(|order| ["customer", "sales"].map(|label| format!("target.{label} {order}")))
            .collect();
        assert_eq!(told, expected, "attempt {attempt}");
    }
}

/// Another worker, log, message or label is another effect.
#[tokio::test]
async fn what_is_another_effect_is_stored() {
    let client = connect().await;
    let (target, mails) = publisher(&client, "OTHER").await;
    let mut created_again = log();
    created_again.created = alluvium::Timestamp::from_nanos(8);
    for (worker, log, sequence, label) in [
        ("mailer", log(), 1, "0"),
        ("mailer", log(), 1, "1"),
        ("mailer", log(), 2, "0"),
        ("mailer 2", log(), 1, "0"),
        ("mailer", created_again, 1, "0"),
    ] {
        let mut effects = mails.effects_of(worker, log);
        let effect = Effect::new("other.x", "a mail");
        effects.publish(&message(sequence), label, effect).await.unwrap();
        assert_eq!(effects.flush().await.unwrap().duplicates(), 0);
    }
    assert_eq!(stored(&target).await.len(), 5);
}

#[tokio::test]
async fn headers_go_along() {
    let client = connect().await;
    let (target, mails) = publisher(&client, "HEADERS").await;
    let headers: Headers = [("Via", "x"), ("Trace", "a"), ("Via", "y")].into_iter().collect();
    let mut effects = effects(&mails);
    let effect = Effect::new("headers.x", "a mail").with_headers(headers);
    effects.publish(&message(1), "ä", effect).await.unwrap();
    let flushed = effects.flush().await.unwrap();
    assert_eq!(flushed.messages[0].id, "mailer/ORDERS/7/1/%C3%A4/1");
    let log = StreamLog::open(client, "HEADERS").await.unwrap();
    let stored = alluvium::Log::message_at(&log, flushed.messages[0].sequence)
        .await
        .unwrap()
        .unwrap();
    let values = |name: &str| {
        stored
            .headers
            .get_all(name)
            .map(|value| value.to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("Via"), [b"x", b"y"]);
    assert_eq!(values("Nats-Msg-Id"), [flushed.messages[0].id.as_bytes()]);
    assert_eq!(target.get_info().await.unwrap().state.messages, 1);
}

/// A flush that has nothing to do does nothing, and a dropped batch is given up.
#[tokio::test]
async fn a_flush_begins_anew() {
    let client = connect().await;
    let (target, mails) = publisher(&client, "ANEW").await;
    let mut first = effects(&mails);
    assert_eq!(first.flush().await.unwrap(), alluvium::Flushed::default());
    crate::support::publish(&mut first, "ANEW", 1..=3).await;
    assert_eq!(first.flush().await.unwrap().messages.len(), 3);
    // The same again after a flush is a redelivery, and before it a mistake.
    crate::support::publish(&mut first, "ANEW", [3]).await;
    let again = first
        .publish(&message(3), 0, Effect::new("anew.x", "something else"))
        .await;
    assert_eq!(again.unwrap_err().kind(), alluvium::ErrorKind::Invalid);
    assert_eq!(first.flush().await.unwrap().duplicates(), 1);
    crate::support::publish(&mut first, "ANEW", 4..=6).await;
    drop(first);
    let flushed = crate::support::once(&mails, 1..=6).await;
    assert_eq!(flushed.messages.len(), 6);
    assert_eq!(stored(&target).await.len(), 6);
}

#[tokio::test]
async fn no_more_is_in_flight_than_may_be() {
    let client = connect().await;
    let stream = create(&client, config("NARROW")).await;
    for (messages, bytes, first) in [(4, usize::MAX, 1), (1_000, 100, 101), (1, 1, 201)] {
        let mails = Publisher::builder(client.clone(), "NARROW")
            .max_in_flight_messages(messages)
            .max_in_flight_bytes(bytes);
        let mails = mails.open().await.unwrap();
        let mut effects = effects(&mails);
        for sequence in first..first + 100 {
            crate::support::publish(&mut effects, "NARROW", [sequence]).await;
            // The shortest is longer than 18 bytes.
            assert!(effects.unacknowledged() <= messages.min((bytes / 18).max(1)));
        }
        assert_eq!(effects.flush().await.unwrap().messages.len(), 100);
        assert_eq!(effects.unacknowledged(), 0);
    }
    assert_eq!(stored(&stream).await.len(), 300);
}
