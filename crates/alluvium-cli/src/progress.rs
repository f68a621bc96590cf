//! How a replica is doing, told while it runs: a bar on a terminal, else a line whenever its state changes; with
//! `--json` an object on every change of state and every second.
//!
//! ```text
//! {"event":"start","plan":"fill|resume|reconcile","from":1,…}    once
//! {"event":"status","state":"filling|live|stalled|…","cursor":…,"log_last":…,"lag":…,"rate":…,…}
//! {"event":"end","state":"stopped|failed","read":…,"changes":…,"seconds":…,…}    last
//! ```

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium::{Bounds, Cursor, Plan, PlanInput, ReconcileReason, Sequence, State, Status, Timestamp, plan};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::error::{Failure, chain};
use crate::output::{Output, human_bytes, say};

/// How the table goes on from the log: what the replica is about to decide, said beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    Filling(Sequence),
    Resuming(Sequence),
    Reconciling(ReconcileReason),
}

impl Beginning {
    /// None where there is no correct way: the replica says why.
    pub(crate) fn of(
        bound_to: Option<&str>,
        cursor: Option<&Cursor>,
        has_rows: bool,
        bounds: &Bounds,
        at_cursor: Option<Timestamp>,
    ) -> Option<Self> {
        let input = PlanInput {
            bound_to,
            cursor,
            has_rows,
            bounds,
            at_cursor,
        };
        match plan(&input) {
            Plan::Resume { from } if cursor.is_none() => Some(Self::Filling(from)),
            Plan::Resume { from } => Some(Self::Resuming(from)),
            Plan::Reconcile(reason) => Some(Self::Reconciling(reason)),
            Plan::Refuse(_) => None,
        }
    }

    fn for_people(self) -> String {
        match self {
            Self::Filling(from) => format!("filling from {from}"),
            Self::Resuming(from) => format!("resuming at {from}"),
            Self::Reconciling(reason) => format!("reconciling: {reason}"),
        }
    }

    fn for_programs(self) -> Value {
        match self {
            Self::Filling(from) => json!({ "plan": "fill", "from": from.get() }),
            Self::Resuming(from) => json!({ "plan": "resume", "from": from.get() }),
            Self::Reconciling(reason) => json!({ "plan": "reconcile", "reason": reason.to_string() }),
        }
    }
}

/// What is being replicated into what.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) bucket: String,
    pub(crate) state_dir: String,
    pub(crate) engine: String,
}

/// Tells of a replica until it ends.
pub(crate) struct Progress {
    output: Output,
    subject: Subject,
    bar: Option<ProgressBar>,
    started: Instant,
    /// Messages received, counted where they come in.
    read: Arc<AtomicU64>,
    rate: Rate,
}

/// Changes a second since the last look that was long enough ago.
struct Rate {
    since: Instant,
    changes: u64,
    per_second: f64,
}

impl Rate {
    #[allow(clippy::cast_precision_loss, reason = "a rate is shown to people")]
    fn at(&mut self, changes: u64) -> f64 {
        let elapsed = self.since.elapsed();
        if elapsed >= Duration::from_millis(500) {
            self.per_second = changes.saturating_sub(self.changes) as f64 / elapsed.as_secs_f64();
            self.since = Instant::now();
            self.changes = changes;
        }
        self.per_second
    }
}

impl Progress {
    /// A bar is drawn unless something else is to stand on the terminal: JSON lines or log lines.
    pub(crate) fn new(output: Output, verbose: u8, subject: Subject, read: Arc<AtomicU64>) -> Self {
        let wants_bar = !output.is_json() && verbose == 0 && io::stderr().is_terminal();
        let now = Instant::now();
        Self {
            output,
            subject,
            bar: wants_bar.then(bar),
            started: now,
            read,
            rate: Rate {
                since: now,
                changes: 0,
                per_second: 0.0,
            },
        }
    }

    /// How often to call [`tick`](Self::tick).
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(if self.bar.is_some() { 200 } else { 1000 })
    }

    /// Before anything is read.
    pub(crate) fn begin(
        &self,
        beginning: Beginning,
        cursor: Option<&Cursor>,
        bounds: &Bounds,
    ) -> Result<(), Failure> {
        let Subject {
            bucket,
            state_dir,
            engine,
        } = &self.subject;
        if self.output.is_json() {
            let mut line = json!({
                "event": "start",
                "bucket": bucket,
                "state_dir": state_dir,
                "engine": engine,
                "cursor": cursor.map(|cursor| cursor.sequence.get()),
                "log_last": bounds.last.get(),
            });
            merge(&mut line, beginning.for_programs());
            return self.output.object(&line);
        }
        self.say(&format!(
            "{}: the bucket {bucket}, at {} now, into {state_dir} ({engine})",
            beginning.for_people(),
            bounds.last
        ));
        Ok(())
    }

    /// The state that need not be told when it is the first: how the replica begins has been said in words.
    pub(crate) fn told(&self) -> Option<State> {
        (!self.output.is_json()).then_some(State::Filling)
    }

    /// The state has changed.
    pub(crate) fn changed(&mut self, status: &Status) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.status_line("status", status);
        }
        if self.bar.is_some() {
            self.draw(status);
            if let Some(error) = &status.error {
                self.say(&format!("{}: {}", status.state, chain(error)));
            }
            return Ok(());
        }
        let position = status.position();
        let error = status.error.as_ref().map(|error| format!(": {}", chain(error)));
        self.say(&format!(
            "{} at {position} of {}{}",
            status.state,
            status.log_last,
            error.unwrap_or_default()
        ));
        Ok(())
    }

    /// Some time has passed.
    pub(crate) fn tick(&mut self, status: &Status) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.status_line("status", status);
        }
        self.draw(status);
        Ok(())
    }

    /// The replica has ended, well or not.
    pub(crate) fn end(&mut self, status: &Status) -> Result<(), Failure> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.output.is_json() {
            return self.status_line("end", status);
        }
        let position = status.cursor.as_ref().map_or_else(
            || "without a cursor".to_owned(),
            |_| format!("at {}", status.position()),
        );
        self.say(&format!(
            "{} {position}: read {} messages, applied {} changes ({}) in {:.1} s",
            status.state,
            self.read.load(Ordering::Relaxed),
            status.changes,
            human_bytes(status.bytes),
            self.started.elapsed().as_secs_f64(),
        ));
        Ok(())
    }

    fn status_line(&mut self, event: &str, status: &Status) -> Result<(), Failure> {
        let mut line = json!({
            "event": event,
            "state": status.state.as_str(),
            "cursor": status.cursor.as_ref().map(|cursor| cursor.sequence.get()),
            "caught_up": status.caught_up.map(Sequence::get),
            "log_last": status.log_last.get(),
            "lag": status.lag(),
            "rate": (self.rate.at(status.changes) * 10.0).round() / 10.0,
            "changes": status.changes,
            "bytes": status.bytes,
            "read": self.read.load(Ordering::Relaxed),
            "restarts": status.restarts,
            "seconds": (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        });
        if let Some(error) = &status.error {
            merge(&mut line, json!({ "error": chain(error) }));
        }
        self.output.object(&line)
    }

    fn draw(&mut self, status: &Status) {
        let Some(bar) = &self.bar else { return };
        let rate = self.rate.at(status.changes);
        bar.set_prefix(status.state.as_str());
        bar.set_length(status.log_last.get());
        bar.set_position(status.position().get());
        bar.set_message(format!(
            "lag {}, {rate:.0}/s, {}",
            status.lag(),
            human_bytes(status.bytes)
        ));
    }

    /// A line of its own, above the bar if there is one.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>8} [{wide_bar}] {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use alluvium::{LogIdentity, Retention};

    use super::*;

    #[test]
    fn what_is_said_is_what_the_replica_decides() {
        let log = LogIdentity::new("KV_b", Timestamp::from_nanos(1));
        let bounds = Bounds {
            log: log.clone(),
            first: Sequence::new(3),
            last: Sequence::new(9),
            messages: 7,
            bytes: 7,
            retention: Retention::default(),
        };
        let begin = |cursor: Option<&Cursor>, has_rows| {
            Beginning::of(Some("KV_b"), cursor, has_rows, &bounds, None).unwrap()
        };
        assert_eq!(begin(None, false), Beginning::Filling(Sequence::new(3)));
        assert_eq!(
            begin(None, true),
            Beginning::Reconciling(ReconcileReason::Interrupted)
        );
        let cursor = Cursor::start_of(log).at(Sequence::new(5), Timestamp::from_nanos(5));
        assert_eq!(begin(Some(&cursor), true), Beginning::Resuming(Sequence::new(6)));
        assert_eq!(Beginning::of(Some("KV_other"), None, false, &bounds, None), None);
        assert_eq!(begin(Some(&cursor), true).for_people(), "resuming at 6");
    }
}
