//! `alluvium verify`: the state against the live bucket, key by key.
//!
//! The bucket is listed (the latest message of each key) and each key is looked up in one snapshot of the table; then
//! the table is read once for rows that the listing did not name. Nothing but 8 bytes a key is held in memory: a
//! keyed hash of it, so that a row that is too much is overlooked with a chance of one in 2^64 for each key.
//!
//! A table is exact at its cursor. What the bucket has had since then differs and is no fault of the table, so each
//! difference is also told apart by whether the bucket's message is newer than the cursor.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use alluvium::{
    Binding, Bounds, Change, Cursor, EngineTable, Entry, KeyRange, Log, LogEvent, Scope, Sequence,
    Table as _, TableError, TableSnapshot,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::connect::{self, Connection};
use crate::error::Failure;
use crate::output::{Output, bytes_field, escaped};
use crate::runtime;
use crate::state::with_table;

pub(crate) fn run(args: &VerifyArgs, output: Output) -> Result<(), Failure> {
    let runtime = runtime::start()?;
    with_table(&args.state, |table| runtime.block_on(verify(args, table, output)))
}

async fn verify(args: &VerifyArgs, table: &EngineTable, output: Output) -> Result<(), Failure> {
    let connection = connect::connect(&args.connection, "verify").await?;
    let (log, bounds) = connection.bucket(&args.bucket).await?;
    let no_cursor = || Failure::NoCursor {
        state: args.state.state.to_string(),
    };
    let binding = table.binding().ok_or_else(no_cursor)?;
    if binding.log != log.name() {
        let expected = Binding {
            log: log.name().to_owned(),
            scope: binding.scope.clone(),
            mode: binding.mode,
        };
        return Err(TableError::Mismatch {
            stored: Box::new(binding),
            expected: Box::new(expected),
        }
        .into());
    }
    let snapshot = table.snapshot()?;
    let cursor = snapshot.cursor().ok_or_else(no_cursor)?;
    let mut comparison = Comparison::new(snapshot, cursor, args.examples);
    let position = comparison
        .list(&connection, &log, &bounds, &binding.scope)
        .await?;
    comparison.sweep()?;
    comparison.tell(&args.bucket, &bounds, position, output)
}

/// How a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    /// The bucket has it, the table has not.
    Missing,
    /// The table has it, the bucket has not.
    Extra,
    /// Both have it, with another value, sequence or timestamp.
    Different,
}

impl Difference {
    const ALL: [Self; 3] = [Self::Missing, Self::Extra, Self::Different];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key that differs, with the messages that put it where.
struct Example {
    difference: Difference,
    key: Bytes,
    in_table: Option<Sequence>,
    in_bucket: Option<Sequence>,
}

struct Comparison {
    snapshot: Arc<dyn TableSnapshot>,
    cursor: Cursor,
    /// Keys of the table that the listing named, hashed.
    listed: Vec<u64>,
    hasher: RandomState,
    /// Keys that the bucket holds a value of.
    bucket_keys: u64,
    /// Keys that the table holds.
    table_keys: u64,
    /// By [`Difference`], in the order of its variants.
    counts: [u64; 3],
    /// Differences of which the bucket's message is newer than the cursor.
    newer: u64,
    examples: Vec<Example>,
    max_examples: usize,
}

impl Comparison {
    fn new(snapshot: Arc<dyn TableSnapshot>, cursor: Cursor, max_examples: usize) -> Self {
        Self {
            snapshot,
            cursor,
            listed: Vec::new(),
            hasher: RandomState::new(),
            bucket_keys: 0,
            table_keys: 0,
            counts: [0; 3],
            newer: 0,
            examples: Vec::new(),
            max_examples,
        }
    }

    /// Looks up every key that the bucket lists. Returns up to where the listing is complete.
    async fn list(
        &mut self,
        connection: &Connection,
        log: &Arc<dyn Log>,
        bounds: &Bounds,
        scope: &Scope,
    ) -> Result<Sequence, Failure> {
        let failure = |error| connection.log_failure(error);
        let mut position = bounds.last;
        let mut stream = log.current(scope).await.map_err(failure)?;
        while let Some(event) = stream.next().await {
            match event.map_err(failure)? {
                LogEvent::Change(change) => self.look_up(&change)?,
                LogEvent::CaughtUp(sequence) => position = position.max(sequence),
            }
        }
        Ok(position)
    }

    fn look_up(&mut self, change: &Change) -> Result<(), Failure> {
        let entry = self.snapshot.get(&change.key)?;
        if entry.is_some() {
            self.listed.push(self.hasher.hash_one(&change.key));
        }
        self.bucket_keys += u64::from(change.value().is_some());
        let difference = match (change.value(), &entry) {
            (Some(value), Some(entry)) => {
                let same = entry.value == *value
                    && entry.sequence == change.sequence
                    && entry.timestamp == change.timestamp;
                (!same).then_some(Difference::Different)
            }
            (Some(_), None) => Some(Difference::Missing),
            (None, Some(_)) => Some(Difference::Extra),
            (None, None) => None,
        };
        if let Some(difference) = difference {
            let in_table = entry.map(|entry| entry.sequence);
            self.note(difference, &change.key, in_table, Some(change.sequence));
        }
        Ok(())
    }

    /// Finds rows that the listing did not name.
    fn sweep(&mut self) -> Result<(), Failure> {
        self.listed.sort_unstable();
        for row in self.snapshot.scan(&KeyRange::all())? {
            let (key, Entry { sequence, .. }) = row?;
            self.table_keys += 1;
            if self.listed.binary_search(&self.hasher.hash_one(&key)).is_err() {
                self.note(Difference::Extra, &key, Some(sequence), None);
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        difference: Difference,
        key: &Bytes,
        in_table: Option<Sequence>,
        in_bucket: Option<Sequence>,
    ) {
        self.counts[difference as usize] += 1;
        self.newer += u64::from(in_bucket.is_some_and(|sequence| sequence > self.cursor.sequence));
        if self.examples.len() < self.max_examples {
            self.examples.push(Example {
                difference,
                // A copy: what was listed is a slice of a large receive buffer.
                key: Bytes::copy_from_slice(key),
                in_table,
                in_bucket,
            });
        }
    }

    fn tell(&self, bucket: &str, bounds: &Bounds, position: Sequence, output: Output) -> Result<(), Failure> {
        let at = self.cursor.sequence;
        let same_log = self.cursor.log == bounds.log;
        let behind = if same_log { position.distance_from(at) } else { 0 };
        let differences: u64 = self.counts.iter().sum();
        let equal = same_log && differences == 0;
        if output.is_json() {
            output.object(&json!({
                "equal": equal,
                "bucket": bucket,
                "cursor": at.get(),
                "log_last": position.get(),
                "behind": behind,
                "same_log": same_log,
                "bucket_keys": self.bucket_keys,
                "table_keys": self.table_keys,
                "missing": self.counts[Difference::Missing as usize],
                "extra": self.counts[Difference::Extra as usize],
                "different": self.counts[Difference::Different as usize],
                "newer_than_cursor": self.newer,
                "examples": self.examples.iter().map(Example::for_programs).collect::<Vec<_>>(),
            }))?;
        } else {
            let mut lines = output.lines();
            for example in &self.examples {
                lines.text(&example.for_people())?;
            }
            let untold = differences - self.examples.len() as u64;
            if untold > 0 && !self.examples.is_empty() {
                lines.text(&format!("… and {untold} more"))?;
            }
            if equal {
                let since = match behind {
                    0 => String::new(),
                    n => format!(
                        "; the bucket is at {position}, {n} messages further, which left no difference"
                    ),
                };
                lines.text(&format!(
                    "equal: {} keys of the bucket {bucket}, at {at}{since}",
                    self.table_keys
                ))?;
            }
            lines.finish()?;
        }
        if equal {
            return Ok(());
        }
        Err(Failure::Differs {
            summary: self.summary(bucket, same_log, position, behind),
        })
    }

    fn summary(&self, bucket: &str, same_log: bool, position: Sequence, behind: u64) -> String {
        let counts: Vec<String> = Difference::ALL
            .into_iter()
            .filter(|difference| self.counts[*difference as usize] > 0)
            .map(|difference| format!("{} {difference}", self.counts[difference as usize]))
            .collect();
        let at = self.cursor.sequence;
        let summary = format!(
            "the state at {at} is not equal to the bucket {bucket} at {position}: {} of {} keys",
            if counts.is_empty() {
                "none different".to_owned()
            } else {
                counts.join(", ")
            },
            self.bucket_keys.max(self.table_keys)
        );
        let advice = if !same_log {
            "the bucket was deleted and created again since: replicate again to reconcile with it".to_owned()
        } else if behind > 0 {
            format!(
                "the bucket has moved on by {behind} messages since, which {} of these differences are: \
                 catch up with `alluvium replicate --until-caught-up` and verify again",
                self.newer
            )
        } else {
            "both are at the same position: move the state directory away and replicate anew".to_owned()
        };
        format!("{summary}; {advice}")
    }
}

impl Example {
    fn for_people(&self) -> String {
        let places = [("table", self.in_table), ("bucket", self.in_bucket)];
        let places: Vec<String> = places
            .into_iter()
            .filter_map(|(place, sequence)| Some(format!("{place} at {}", sequence?)))
            .collect();
        let difference = self.difference.as_str();
        format!("{difference:<9} {} ({})", escaped(&self.key), places.join(", "))
    }

    fn for_programs(&self) -> Value {
        let mut object = bytes_field("key", &self.key);
        let sequence = |sequence: Option<Sequence>| sequence.map_or(Value::Null, |at| at.get().into());
        object.insert("difference".to_owned(), self.difference.as_str().into());
        object.insert("table_sequence".to_owned(), sequence(self.in_table));
        object.insert("bucket_sequence".to_owned(), sequence(self.in_bucket));
        Value::Object(object)
    }
}
