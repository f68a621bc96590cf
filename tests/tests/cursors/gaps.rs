//! A cursor of a stream on a server: what an operator does to the stream is told.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    FileCursorStore, GapReason, LogCursor, LogCursorError, OnLoss, ReconcileReason, Scope, Sequence,
    StreamLog,
};
use async_nats::jetstream::{self, stream};

use crate::support::connect;

const STREAM: &str = "ORDERS";

async fn create(context: &jetstream::Context, messages: u64) -> stream::Stream {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await.unwrap();
    publish(context, messages).await;
    stream
}

async fn publish(context: &jetstream::Context, messages: u64) {
    for number in 0..messages {
        let subject = if number % 2 == 0 { "orders.eu" } else { "orders.us" };
        let ack = context.publish(subject, "an order".into()).await.unwrap();
        ack.await.unwrap();
    }
}

async fn batch(cursor: &mut LogCursor, upto: u64) -> Vec<u64> {
    let mut given = Vec::new();
    while given.last() != Some(&upto) {
        let batch = tokio::time::timeout(Duration::from_secs(20), cursor.poll_batch(100));
        let batch = batch.await.expect("there is more to come").unwrap();
        given.extend(batch.iter().map(|change| change.sequence.get()));
    }
    given
}

#[tokio::test]
async fn what_becomes_of_a_stream_is_told() {
    let client = connect().await;
    let context = jetstream::new(client.clone());
    let stream = create(&context, 20).await;
    stream.delete_message(5).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(FileCursorStore::open(directory.path()).unwrap());
    let log = Arc::new(StreamLog::open(client, STREAM).await.unwrap());
    let builder = LogCursor::builder(log.clone(), Scope::all()).held_in(store.clone(), "mailer");

    let mut cursor = builder.clone().open().await.unwrap();
    let given = batch(&mut cursor, 20).await;
    assert_eq!(given.len(), 19);
    let gaps = cursor.take_gaps().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].to_string(), "expected 5, got 6: 5 to 5 (removed)");
    cursor.commit().await.unwrap();
    drop(cursor);

    // Purged past the cursor while nobody looks.
    publish(&context, 10).await;
    stream.purge().sequence(26).await.unwrap();
    let strict = builder.clone().on_overrun(OnLoss::Stop).open().await;
    assert!(matches!(
        strict.unwrap_err(),
        LogCursorError::Lost {
            reason: ReconcileReason::Overrun,
            ..
        }
    ));
    let mut cursor = builder.clone().open().await.unwrap();
    assert_eq!(batch(&mut cursor, 30).await, [26, 27, 28, 29, 30]);
    let gaps = cursor.take_gaps().gaps;
    let missing = &gaps[0].missing[0];
    assert_eq!((gaps.len(), missing.reason), (1, GapReason::Evicted));
    assert_eq!(
        (missing.first, missing.last),
        (Sequence::new(21), Some(Sequence::new(25)))
    );
    cursor.commit().await.unwrap();

    // Deleted and created again under it.
    context.delete_stream(STREAM).await.unwrap();
    create(&context, 3).await;
    let lost = loop {
        let polled = tokio::time::timeout(Duration::from_secs(20), cursor.poll_batch(1)).await;
        match polled.expect("a stream that was created again is told") {
            // The server may say first that there is none.
            Err(LogCursorError::Log(_)) => {}
            outcome => break outcome.unwrap_err(),
        }
    };
    assert!(matches!(
        lost,
        LogCursorError::Lost {
            reason: ReconcileReason::LogReplaced,
            ..
        }
    ));
    drop(cursor);
    let mut cursor = builder.on_break(OnLoss::Continue).open().await.unwrap();
    assert_eq!(batch(&mut cursor, 3).await, [1, 2, 3]);
    assert_eq!(
        cursor.take_gaps().gaps[0].missing[0].reason,
        GapReason::LogReplaced
    );
    cursor.commit().await.unwrap();
    assert_eq!(cursor.committed().sequence, Sequence::new(3));
}
