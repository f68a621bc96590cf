//! What the tests of the suite share: a log with its owner, readers that fail instead of waiting for ever, and listings.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{
    Bounds, Change, ListEvent, Listed, Log, LogError, LogEvent, LogStream, Operation, Scope, Sequence,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::support::{block_on, found};
use crate::{LogHarness, LogOwner};

/// Filters that every key of the suite matches, for a log that has to be told.
pub const FILTERS: [&str; 6] = ["a", "a.>", "b", "b.>", "c", "c.>"];

/// Within this time of the server's knowing it, a reader has to be told that its log is gone.
const SOON: Duration = Duration::from_secs(10);
/// Within this time, nothing is left of a reader.
const MINUTE: Duration = Duration::from_mins(1);

/// A log, gone when the test is over.
pub(super) struct Place {
    pub(super) owner: Box<dyn LogOwner>,
    /// As the first process has it that reads it.
    pub(super) log: Arc<dyn Log>,
    pub(super) in_flight: u64,
    patience: Duration,
}

/// Runs a test on a new log with so many messages of each key.
pub(super) fn with_log(harness: &dyn LogHarness, history: u64, test: impl AsyncFnOnce(&Place)) {
    block_on(async {
        let owner = harness.make_log(history).await;
        let place = Place {
            log: owner.open().await.unwrap(),
            owner,
            in_flight: harness.in_flight(),
            patience: harness.patience(),
        };
        test(&place).await;
    });
}

impl Place {
    /// What has to come.
    pub(super) async fn in_time<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let done = timeout(self.patience, work).await;
        done.unwrap_or_else(|_| panic!("{what}: nothing came in {:?}", self.patience))
    }

    pub(super) async fn put(&self, key: &str, value: &str) -> u64 {
        self.owner.put(key, value.to_owned().into()).await.get()
    }

    /// Puts these keys in this order, each with its own name as the value.
    pub(super) async fn put_each(&self, keys: &[&str]) {
        for key in keys {
            self.put(key, key).await;
        }
    }

    /// Puts `a.<first>` and so on, each with a value of so many bytes.
    pub(super) async fn fill(&self, first: u64, count: u64, bytes: usize) {
        let keys = (first..first + count).map(|number| format!("a.{number}"));
        self.owner
            .put_all(keys.collect(), Bytes::from(vec![b'x'; bytes]))
            .await;
    }

    pub(super) async fn bounds(&self) -> Bounds {
        self.in_time("bounds", self.log.bounds()).await.unwrap()
    }

    pub(super) async fn at(&self, sequence: u64) -> Option<Change> {
        let message = self.log.message_at(Sequence::new(sequence));
        self.in_time("a message", message).await.unwrap()
    }

    /// Reads everything from a sequence on.
    pub(super) async fn read(&self, from: u64) -> Reader<'_> {
        self.read_scope(from, &Scope::all()).await
    }

    pub(super) async fn read_scope(&self, from: u64, scope: &Scope) -> Reader<'_> {
        let stream = self.log.read(Sequence::new(from), scope);
        let stream = self.in_time("a read", stream).await.unwrap();
        self.reader(stream)
    }

    /// One that has been given every message up to the last, which is this one, and has said so.
    pub(super) async fn read_to_end(&self, last: u64) -> Reader<'_> {
        let mut reader = self.read(1).await;
        reader.expect(1..=last).await;
        reader.expect_caught_up(last).await;
        reader
    }

    /// Lists the latest messages, and reads on no further.
    pub(super) async fn current(&self, scope: &Scope) -> Reader<'_> {
        let stream = self.in_time("a listing", self.log.current(scope)).await.unwrap();
        self.reader(stream)
    }

    pub(super) fn reader(&self, stream: LogStream) -> Reader<'_> {
        Reader { place: self, stream }
    }

    /// What is listed, rising in sequence, and up to where.
    pub(super) async fn list(&self, scope: &Scope) -> (Vec<Change>, u64) {
        self.current(scope).await.rest().await
    }

    /// What is listed without values, and up to where.
    pub(super) async fn list_without_values(&self, scope: &Scope) -> (Vec<Listed>, u64) {
        let events = async {
            let events = self.log.list(scope).await.unwrap();
            events.map(Result::unwrap).collect::<Vec<_>>().await
        };
        let (mut listed, mut ends) = (Vec::new(), Vec::new());
        for event in self.in_time("a listing without values", events).await {
            match event {
                ListEvent::Key(key) if ends.is_empty() => listed.push(key),
                ListEvent::Key(key) => panic!("{key:?} comes after the end of the listing"),
                ListEvent::Complete(sequence) => ends.push(sequence.get()),
            }
        }
        assert_eq!(ends.len(), 1, "a listing ends once: {ends:?}");
        (listed, ends.remove(0))
    }

    /// Every key, as often as it comes, sorted.
    pub(super) async fn keys(&self, scope: &Scope) -> Vec<Bytes> {
        let keys = async {
            let keys = self.log.keys(scope).await.unwrap();
            keys.map(Result::unwrap).collect::<Vec<_>>().await
        };
        let mut keys = self.in_time("keys", keys).await;
        keys.sort();
        keys
    }

    /// Waits until the server keeps something for so many readers only.
    pub(super) async fn readers_become(&self, count: usize) {
        let what = format!("{count} readers are left");
        found(MINUTE.min(self.patience), &what, || async {
            let readers = self.owner.readers().await;
            if readers == count { Ok(()) } else { Err(readers) }
        })
        .await;
    }
}

/// A reader, or a listing.
pub(super) struct Reader<'p> {
    place: &'p Place,
    stream: LogStream,
}

impl Reader<'_> {
    pub(super) async fn event(&mut self) -> LogEvent {
        let event = self.place.in_time("an event", self.stream.next()).await;
        event.expect("the stream ended").expect("the stream failed")
    }

    /// The next change, whatever is said in between.
    pub(super) async fn change(&mut self) -> Change {
        loop {
            if let LogEvent::Change(change) = self.event().await {
                return change;
            }
        }
    }

    /// Expects exactly these sequences.
    pub(super) async fn expect(&mut self, sequences: RangeInclusive<u64>) {
        for sequence in sequences {
            let change = self.change().await;
            assert_eq!(
                change.sequence.get(),
                sequence,
                "not the next one: {change:.100?}"
            );
        }
    }

    /// Expects that it says that it is at the end, at this sequence.
    pub(super) async fn expect_caught_up(&mut self, at: u64) {
        match self.event().await {
            LogEvent::CaughtUp(sequence) => assert_eq!(sequence.get(), at, "caught up elsewhere"),
            LogEvent::Change(change) => panic!("caught up was expected: {change:.100?}"),
        }
    }

    /// Expects that it says so sooner or later, and nothing else comes. Where the last messages are not wanted or went, it may
    /// say it of the last one that was given first.
    pub(super) async fn expect_end(&mut self, at: u64) {
        let mut told = Sequence::ZERO;
        loop {
            match self.event().await {
                LogEvent::CaughtUp(sequence) if sequence.get() == at => return,
                LogEvent::CaughtUp(sequence) => {
                    assert!(
                        sequence > told && sequence.get() < at,
                        "caught up at {sequence} after {told}, not at {at}"
                    );
                    told = sequence;
                }
                LogEvent::Change(change) => panic!("caught up was expected: {change:.100?}"),
            }
        }
    }

    /// All changes up to the next word that it is at the end, rising in sequence, and what that says.
    pub(super) async fn until_caught_up(&mut self) -> (Vec<Change>, u64) {
        let mut changes: Vec<Change> = Vec::new();
        loop {
            match self.event().await {
                LogEvent::Change(change) => {
                    let last = changes.last().map_or(Sequence::ZERO, |last| last.sequence);
                    assert!(
                        change.sequence > last,
                        "not in order, after {last}: {change:.100?}"
                    );
                    changes.push(change);
                }
                LogEvent::CaughtUp(sequence) => {
                    let last = changes.last().map_or(Sequence::ZERO, |last| last.sequence);
                    assert!(sequence >= last, "caught up at {sequence}, after {last}");
                    return (changes, sequence.get());
                }
            }
        }
    }

    /// What a listing brings, which ends.
    pub(super) async fn rest(mut self) -> (Vec<Change>, u64) {
        let listed = self.until_caught_up().await;
        let end = self.place.in_time("the end", self.stream.next()).await;
        assert!(end.is_none(), "that should be the end: {end:?}");
        listed
    }

    /// What it ends with, which has to come soon, and before any change.
    pub(super) async fn failure(&mut self) -> LogError {
        let nothing = |change: &Change| panic!("it was to end, and gave {change:?}");
        self.failure_after(nothing).await
    }

    /// What it ends with, which has to come soon; `before` sees the changes that come before.
    pub(super) async fn failure_after(&mut self, mut before: impl FnMut(&Change)) -> LogError {
        let limit = SOON.min(self.place.patience);
        let failure = timeout(limit, async {
            loop {
                match self
                    .stream
                    .next()
                    .await
                    .expect("the stream ended without an error")
                {
                    Ok(LogEvent::Change(change)) => before(&change),
                    Ok(LogEvent::CaughtUp(_)) => {}
                    Err(error) => return error,
                }
            }
        });
        let error = failure
            .await
            .unwrap_or_else(|_| panic!("no error within {limit:?}"));
        let end = self.place.in_time("the end", self.stream.next()).await;
        assert!(end.is_none(), "an error is the last item: {end:?}");
        error
    }

    /// Whatever comes next.
    pub(super) async fn item(&mut self) -> Option<Result<LogEvent, LogError>> {
        self.place.in_time("an event", self.stream.next()).await
    }
}

pub(super) fn scope(filters: &[&str]) -> Scope {
    Scope::of(filters).unwrap()
}

/// Sequences of changes.
pub(super) fn sequences(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.sequence.get()).collect()
}

/// Asserts that these are the changes of these sequences.
pub(super) fn assert_whole(changes: &[Change], expected: RangeInclusive<u64>) {
    let expected: Vec<u64> = expected.collect();
    assert!(
        sequences(changes) == expected,
        "{} of {} are listed",
        changes.len(),
        expected.len()
    );
}

/// Key and value; a delete has none.
pub(super) fn told(change: &Change) -> (&str, Option<&str>) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    let value = match &change.operation {
        Operation::Put(value) => Some(text(value)),
        Operation::Delete(_) => None,
    };
    (text(&change.key), value)
}
