//! What a bucket was told, which is taken back when it loses some of that; and what somebody saw who read all the while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use alluvium::{Sequence, Table};
use alluvium_e2e::bucket::Rows;

/// One write. No two have the same value.
#[derive(Clone, Debug)]
struct Write {
    key: String,
    /// None for a delete.
    value: Option<String>,
    sequence: Sequence,
}

/// Every write that a log has been given and not lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Write>);

impl History {
    pub(crate) fn put(&mut self, key: &str, value: &str, sequence: Sequence) {
        self.0.push(Write {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            sequence,
        });
    }

    pub(crate) fn delete(&mut self, key: &str, sequence: Sequence) {
        self.0.push(Write {
            key: key.to_owned(),
            value: None,
            sequence,
        });
    }

    /// Every write minus every delete.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for Write { key, value, sequence } in &self.0 {
            let key = key.clone().into_bytes();
            match value {
                Some(value) => rows.insert(key, (value.clone().into_bytes(), sequence.get())),
                None => rows.remove(&key),
            };
        }
        rows
    }

    fn of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (usize, &'a Write)> {
        self.0
            .iter()
            .enumerate()
            .filter(move |(_, write)| write.key == key)
    }
}

/// What each key showed, one after the other.
pub(crate) struct Seen(BTreeMap<String, Vec<Option<String>>>);

impl Seen {
    /// Checks that no key went back to what it was before in this history, nor to what is not in it at all; and that none was
    /// away for a while that was `held` all the time.
    pub(crate) fn never_went_back(&self, history: &History, held: &Rows) {
        for (key, shown) in &self.0 {
            let mut at = None;
            for (index, value) in shown.iter().enumerate() {
                let found = match value {
                    Some(value) => history
                        .of(key)
                        .find(|(_, write)| write.value.as_ref() == Some(value)),
                    None => history
                        .of(key)
                        .find(|(place, write)| write.value.is_none() && at.is_none_or(|at| *place > at)),
                };
                let Some((place, _)) = found else {
                    let was_away = value.is_none() && index > 0 && held.contains_key(key.as_bytes());
                    assert!(at.is_none() && !was_away, "{key} showed {shown:?}");
                    continue;
                };
                assert!(at.is_none_or(|at| place > at), "{key} went back: {shown:?}");
                at = Some(place);
            }
        }
    }
}

/// Somebody who reads keys again and again.
pub(crate) struct Reader {
    enough: Arc<AtomicBool>,
    reading: JoinHandle<Seen>,
}

impl Reader {
    /// Has read every key once when this returns.
    pub(crate) async fn start(table: Arc<dyn Table>, keys: Vec<String>) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (stop, (begun, begins)) = (Arc::clone(&enough), tokio::sync::oneshot::channel());
        let reading = std::thread::spawn(move || {
            let (mut seen, mut begun) = (BTreeMap::<String, Vec<_>>::new(), Some(begun));
            // Before there is any key, there is nothing to see.
            while !keys.is_empty() && !stop.load(Ordering::Relaxed) {
                for key in &keys {
                    let entry = table.get(key.as_bytes()).expect("the table is read");
                    let value = entry.map(|entry| String::from_utf8(entry.value.to_vec()).expect("a text"));
                    let shown = seen.entry(key.clone()).or_default();
                    if shown.last() != Some(&value) {
                        shown.push(value);
                    }
                }
                if let Some(begun) = begun.take() {
                    // Whoever started this may be gone.
                    let _ = begun.send(());
                }
                std::thread::yield_now();
            }
            Seen(seen)
        });
        // Without a key, that it has ended is the answer.
        let _ = begins.await;
        Self { enough, reading }
    }

    /// What it saw.
    pub(crate) fn end(self) -> Seen {
        self.enough.store(true, Ordering::Relaxed);
        self.reading.join().expect("the reader goes on")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        history.put("k", "1", Sequence::new(1));
        history.put("k", "2", Sequence::new(2));
        history.delete("d", Sequence::new(3));
        history
    }

    fn check(key: &str, shown: &[Option<&str>]) {
        let shown = shown.iter().map(|value| value.map(str::to_owned)).collect();
        Seen([(key.to_owned(), shown)].into()).never_went_back(&history(), &history().rows());
    }

    #[test]
    fn from_what_was_lost_a_key_may_go_to_what_is_held_and_on() {
        check("k", &[Some("lost"), Some("1"), Some("2")]);
        check("k", &[None, Some("2")]);
        check("d", &[Some("lost"), None]);
        check("other", &[Some("lost"), None]);
    }

    #[test]
    #[should_panic(expected = "went back")]
    fn a_key_must_not_go_back() {
        check("k", &[Some("2"), Some("1")]);
    }

    #[test]
    #[should_panic(expected = "showed")]
    fn nor_to_what_was_lost() {
        check("k", &[Some("2"), Some("lost")]);
    }

    #[test]
    #[should_panic(expected = "showed")]
    fn nor_be_away() {
        check("k", &[Some("lost"), None, Some("2")]);
    }
}
