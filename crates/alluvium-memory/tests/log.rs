//! The suite of the conformance kit for the log in memory, and what only that can do.

use std::sync::{Arc, Mutex};

use alluvium_conformance::{LogHarness, LogOwner};
use alluvium_core::{Log, LogError, LogEvent, LogStream, Retention, Scope, Sequence};
use alluvium_memory::MemoryLog;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};

#[derive(Default)]
struct InMemory;

#[async_trait]
impl LogHarness for InMemory {
    async fn make_log(&self, history: u64) -> Box<dyn LogOwner> {
        Box::new(Owner {
            log: MemoryLog::with_history("log", history),
            backed_up: Mutex::default(),
        })
    }

    fn in_flight(&self) -> u64 {
        0
    }
}

struct Owner {
    log: MemoryLog,
    backed_up: Mutex<Sequence>,
}

#[async_trait]
impl LogOwner for Owner {
    async fn open(&self) -> Result<Arc<dyn Log>, LogError> {
        Ok(Arc::new(self.log.clone()))
    }

    async fn put(&self, key: &str, value: Bytes) -> Sequence {
        // A writer to a server does not go on at once either.
        tokio::task::yield_now().await;
        self.log.put(key.to_owned(), value)
    }

    async fn remove(&self, sequence: Sequence) {
        assert!(self.log.remove(sequence), "{sequence} is there");
    }

    async fn evict_before(&self, first: Sequence) {
        self.log.evict_before(first);
    }

    async fn destroy(&self) {
        self.log.destroy();
    }

    async fn recreate(&self) {
        self.log.replace();
    }

    async fn delete(&self, key: &str) -> Sequence {
        self.log.delete(key.to_owned())
    }

    async fn purge(&self, key: &str) -> Sequence {
        self.log.purge(key.to_owned())
    }

    async fn put_with_headers(&self, key: &str, value: Bytes, headers: &[(&str, &str)]) -> Sequence {
        let headers = headers.iter().map(|(name, value)| (*name, value.to_string()));
        self.log
            .put_with_headers(key.to_owned(), value, headers.collect())
    }

    async fn back_up(&self) {
        let last = self.log.bounds().await.unwrap().last;
        *self.backed_up.lock().unwrap() = last;
    }

    async fn put_back(&self) {
        self.log.cut_after(*self.backed_up.lock().unwrap());
    }
}

alluvium_conformance::log_suite!(InMemory, markers, headers, tail);

/// What is there to be given without waiting: sequences of changes, or 0 and where for what was caught up.
fn ready(stream: &mut LogStream) -> Vec<(u64, u64)> {
    std::iter::from_fn(|| stream.next().now_or_never())
        .map(|event| match event.expect("it goes on").expect("it goes well") {
            LogEvent::Change(change) => (1, change.sequence.get()),
            LogEvent::CaughtUp(sequence) => (0, sequence.get()),
        })
        .collect()
}

#[tokio::test]
async fn nothing_is_waited_for_that_is_there() {
    let log = MemoryLog::new("log");
    let mut everything = log.read(Sequence::FIRST, &Scope::all()).await.unwrap();
    let mut of_b = log
        .read(Sequence::FIRST, &Scope::of(["b"]).unwrap())
        .await
        .unwrap();
    assert_eq!(ready(&mut everything), [(0, 0)]);
    for key in ["a", "b", "a"] {
        log.put(key, "1");
    }
    assert_eq!(ready(&mut everything), [(1, 1), (1, 2), (1, 3), (0, 3)]);
    log.delete("a");
    assert!(log.remove(Sequence::new(2)) && !log.remove(Sequence::new(2)));
    assert_eq!(ready(&mut everything), [(1, 4), (0, 4)]);
    // Told at once of where the log ends, and of nothing that it does not want.
    assert_eq!(ready(&mut of_b), [(0, 4)]);
    assert_eq!(ready(&mut of_b), []);
}

#[tokio::test]
async fn it_says_that_it_evicts_what_it_is_told_to_say() {
    let log = MemoryLog::with_history("log", 0);
    let retention = log.bounds().await.unwrap().retention;
    assert_eq!(retention.history, Some(1));
    let retention = Retention {
        max_messages: Some(7),
        ..retention
    };
    log.set_retention(retention.clone());
    for _ in 0..10 {
        log.put("key", "value");
    }
    let bounds = log.bounds().await.unwrap();
    assert_eq!(
        (bounds.messages, bounds.bytes, bounds.retention),
        (1, 8, retention)
    );
}

#[tokio::test]
async fn what_is_written_where_there_is_no_log_is_lost() {
    let log = MemoryLog::new("log");
    log.destroy();
    log.put("key", "value");
    assert!(matches!(log.bounds().await, Err(LogError::NotFound { .. })));
    log.replace();
    assert!(log.bounds().await.unwrap().is_empty());
    assert_eq!(log.put("key", "value"), Sequence::FIRST);
}
