//! What the `Log` trait promises, kept by the log in memory.

use alluvium_core::{Change, Headers, Log, LogError, LogEvent, LogStream, Retention, Scope, Sequence};
use alluvium_memory::MemoryLog;
use futures_util::{FutureExt as _, StreamExt as _};

async fn read(log: &MemoryLog, from: u64) -> LogStream {
    log.read(Sequence::new(from), &Scope::all()).await.unwrap()
}

/// What is there to be given without waiting.
fn ready(stream: &mut LogStream) -> Vec<LogEvent> {
    std::iter::from_fn(|| stream.next().now_or_never())
        .map(|event| event.expect("it goes on").expect("it goes well"))
        .collect()
}

/// The sequences of changes, and 0 and where for what was caught up.
fn told(events: &[LogEvent]) -> Vec<(u64, u64)> {
    events
        .iter()
        .map(|event| match event {
            LogEvent::Change(change) => (1, change.sequence.get()),
            LogEvent::CaughtUp(sequence) => (0, sequence.get()),
        })
        .collect()
}

#[tokio::test]
async fn obligation_1_in_order_once_and_the_end_is_told_once() {
    let log = MemoryLog::new("log");
    let mut stream = read(&log, 1).await;
    assert_eq!(told(&ready(&mut stream)), [(0, 0)]);
    for key in ["a", "b", "a"] {
        log.put(key, "1");
    }
    assert_eq!(told(&ready(&mut stream)), [(1, 1), (1, 2), (1, 3), (0, 3)]);
    log.delete("a");
    assert!(log.remove(Sequence::new(2)) && !log.remove(Sequence::new(2)));
    assert_eq!(told(&ready(&mut stream)), [(1, 4), (0, 4)]);
    assert_eq!(told(&ready(&mut read(&log, 2).await)), [(1, 3), (1, 4), (0, 4)]);
    let scope = Scope::of(["b"]).unwrap();
    let mut some = log.read(Sequence::FIRST, &scope).await.unwrap();
    assert_eq!(told(&ready(&mut some)), [(0, 4)]);
    log.put("c", "");
    assert_eq!(told(&ready(&mut some)), [(0, 5)], "told of what it does not want");
}

#[tokio::test]
async fn obligation_1_whoever_waits_is_woken() {
    let log = MemoryLog::new("log");
    let mut streams = vec![read(&log, 1).await, read(&log, 1).await];
    let waiting = streams.drain(..).map(|stream| {
        tokio::spawn(async move {
            let changes = stream.filter_map(|event| {
                std::future::ready(match event.unwrap() {
                    LogEvent::Change(change) => Some(change.sequence.get()),
                    LogEvent::CaughtUp(_) => None,
                })
            });
            changes.take(100).collect::<Vec<_>>().await
        })
    });
    let waiting: Vec<_> = waiting.collect();
    for _ in 0..100 {
        log.put("key", "value");
        tokio::task::yield_now().await;
    }
    for reader in waiting {
        assert_eq!(reader.await.unwrap(), (1..=100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn obligation_3_replaced_or_cut_short_is_an_error_and_the_end() {
    let log = MemoryLog::new("log");
    for _ in 0..5 {
        log.put("key", "value");
    }
    let identity = log.bounds().await.unwrap().log;
    let (mut ahead, mut behind) = (read(&log, 1).await, read(&log, 1).await);
    assert_eq!(ready(&mut ahead).len(), 6);
    assert_eq!(told(&[behind.next().await.unwrap().unwrap()]), [(1, 1)]);
    let fifth = log.message_at(Sequence::new(5)).await.unwrap().unwrap();
    log.cut_after(Sequence::new(3));
    // Also where others took the places of what was lost.
    log.put("key", "value");
    log.put("key", "value");
    let again = log.message_at(Sequence::new(5)).await.unwrap().unwrap();
    assert_ne!(again.timestamp, fifth.timestamp);
    let Some(Err(LogError::TailLost { expected, last, .. })) = ahead.next().await else {
        panic!("it lost what it had read")
    };
    assert_eq!((expected.get(), last.get()), (5, 3));
    assert!(ahead.next().await.is_none());
    assert_eq!(
        told(&ready(&mut behind)),
        [(1, 2), (1, 3), (1, 4), (1, 5), (0, 5)]
    );
    log.replace();
    assert!(matches!(
        behind.next().await,
        Some(Err(LogError::Replaced { .. }))
    ));
    assert!(behind.next().await.is_none());
    assert_ne!(log.bounds().await.unwrap().log, identity);
    assert!(log.bounds().await.unwrap().is_empty());
}

#[tokio::test]
async fn bounds_and_where_a_read_begins() {
    let log = MemoryLog::new("log");
    let bounds = log.bounds().await.unwrap();
    assert_eq!((bounds.first, bounds.last), (Sequence::FIRST, Sequence::ZERO));
    for _ in 0..10 {
        log.put("key", "value");
    }
    log.evict_before(Sequence::new(4));
    let retention = Retention {
        max_messages: Some(7),
        ..Retention::default()
    };
    log.set_retention(retention.clone());
    let bounds = log.bounds().await.unwrap();
    assert_eq!(
        (
            bounds.first.get(),
            bounds.last.get(),
            bounds.messages,
            bounds.bytes
        ),
        (4, 10, 7, 56)
    );
    assert_eq!((bounds.retention, log.name()), (retention, "log"));
    for from in [0, 1, 4] {
        assert_eq!(ready(&mut read(&log, from).await).len(), 8);
    }
    assert_eq!(told(&ready(&mut read(&log, 11).await)), [(0, 10)]);
    assert!(matches!(
        log.read(Sequence::new(12), &Scope::all()).await,
        Err(LogError::BeyondEnd { .. })
    ));
    log.evict_before(Sequence::new(11));
    let bounds = log.bounds().await.unwrap();
    assert_eq!((bounds.first.get(), bounds.is_empty()), (11, true));
}

#[tokio::test]
async fn current_and_keys_are_of_the_last_message_of_each_key() {
    let log = MemoryLog::new("log");
    let headers: Headers = [("A", "b")].into_iter().collect();
    log.put("a.1", "1");
    log.put_with_headers("b.1", "2", headers.clone());
    log.put("a.1", "3");
    log.delete("a.2");
    let mut current = log.current(&Scope::all()).await.unwrap();
    let events: Vec<_> = current.by_ref().map(Result::unwrap).collect().await;
    assert_eq!(told(&events), [(1, 2), (1, 3), (1, 4), (0, 4)]);
    let LogEvent::Change(change) = &events[0] else {
        panic!("a change")
    };
    assert_eq!(change.headers, headers);
    assert_eq!(
        log.message_at(Sequence::new(2)).await.unwrap().as_ref(),
        Some::<&Change>(change)
    );
    assert_eq!(log.message_at(Sequence::new(5)).await.unwrap(), None);
    let keys = log.keys(&Scope::of(["a.*"]).unwrap()).await.unwrap();
    let keys: Vec<_> = keys.map(Result::unwrap).collect().await;
    assert_eq!(keys, ["a.1", "a.2"]);
}
