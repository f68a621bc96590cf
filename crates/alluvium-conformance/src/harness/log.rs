//! What the author of a log writes: how to make one, and what its writers and its server do to it.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Log, LogError, Sequence};
use async_trait::async_trait;
use bytes::Bytes;

/// Makes logs for the [`log`](crate::log) suite.
#[async_trait]
pub trait LogHarness: Send + Sync + 'static {
    /// Makes an empty log that keeps the last `history` messages of each key, 1 to 64, and evicts nothing else by itself.
    /// It takes the keys that match [`FILTERS`](crate::log::FILTERS). No two tests have the same log.
    async fn make_log(&self, history: u64) -> Box<dyn LogOwner>;

    /// How many messages of 1 KiB a reader that is not polled holds at most, on both sides and under way. Tests have some times
    /// more: a log whose reader holds thousands is opened so that it holds fewer.
    fn in_flight(&self) -> u64 {
        1_000
    }

    /// How long a test waits for what has to come before it fails. No speed is asked for: this is for what never comes.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A log, as those have it who write to it and run it. Whatever is told to be done is done when the method returns; what
/// cannot be done is a panic.
///
/// Whatever lies behind this ends when it is dropped. The methods that not every log can have belong to a word of
/// [`log_suite!`](crate::log_suite): they are called only if the word is given there.
#[async_trait]
pub trait LogOwner: Send + Sync {
    /// Opens the log, as another process would: with a connection of its own, if it has any.
    ///
    /// # Errors
    ///
    /// Those of the log, unchanged.
    async fn open(&self) -> Result<Arc<dyn Log>, LogError>;

    /// Stores a put.
    async fn put(&self, key: &str, value: Bytes) -> Sequence;

    /// Stores puts in this order, all of the same value. Several may be under way at once.
    async fn put_all(&self, keys: Vec<String>, value: Bytes) {
        for key in keys {
            self.put(&key, value.clone()).await;
        }
    }

    /// Takes a single message away, as an operator does or a time to live.
    async fn remove(&self, sequence: Sequence);

    /// Takes away every message before this one, as retention does.
    async fn evict_before(&self, first: Sequence);

    /// Deletes the log.
    async fn destroy(&self);

    /// Makes the log that was deleted again: of the same name and history, empty.
    async fn recreate(&self);

    /// Word `markers`. Stores a delete marker.
    async fn delete(&self, key: &str) -> Sequence {
        panic!("to delete {key} {}", needs("markers"));
    }

    /// Word `markers`. Takes every message of a key away and stores a purge marker.
    async fn purge(&self, key: &str) -> Sequence {
        panic!("to purge {key} {}", needs("markers"));
    }

    /// Word `headers`. Stores a put whose message has these headers, in their order.
    async fn put_with_headers(&self, key: &str, value: Bytes, headers: &[(&str, &str)]) -> Sequence {
        let _ = (value, headers);
        panic!("to put {key} with headers {}", needs("headers"));
    }

    /// Word `tail`. Remembers the log as it is.
    async fn back_up(&self) {
        panic!("to back it up {}", needs("tail"));
    }

    /// Word `tail`. Makes the log what it was when it was backed up: its later messages are lost, and their sequences given
    /// again. What happened to earlier messages since may be undone or not.
    async fn put_back(&self) {
        panic!("to put it back {}", needs("tail"));
    }

    /// Word `served`. Cuts the connections of all who have opened the log, and keeps them out.
    async fn disconnect(&self) {
        panic!("to cut connections {}", needs("served"));
    }

    /// Word `served`. Lets those in again that were cut off, and returns when one of them is back.
    async fn reconnect(&self) {
        panic!("to connect again {}", needs("served"));
    }

    /// Word `served`. How many readers and listings the server keeps something for.
    async fn readers(&self) -> usize {
        panic!("to count readers {}", needs("served"));
    }
}

fn needs(word: &str) -> String {
    format!("needs a method of LogOwner: write it, or leave the word `{word}` out of log_suite!")
}
