//! How a replica is doing, told while it runs: a bar on a terminal, else a line whenever its state changes; with
//! `--json` an object on every change of state and every second.
//!
//! ```text
//! {"event":"start","plan":"fill|resume|reconcile|restore","from":1,…}    once
//! {"event":"status","state":"bootstrapping|filling|live|stalled|…","cursor":…,"log_last":…,"lag":…,"rate":…,…}
//! {"event":"end","state":"stopped|failed","read":…,"changes":…,"seconds":…,…}    last
//! ```

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use alluvium::{BootstrapStatus, ExportStatus, Plan, Sequence, State, Status};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::error::{Failure, chain};
use crate::human::human_time;
use crate::output::{Output, human_bytes, say};

/// How the table goes on from the log, in words.
fn for_people(status: &Status) -> String {
    match &status.plan {
        Some(Plan::Resume { from }) if status.started_at.is_none() => format!("filling from {from}"),
        Some(Plan::Resume { from }) => format!("resuming at {from}"),
        Some(Plan::Reconcile(reason)) => format!("reconciling: {reason}"),
        Some(Plan::Restore { reason, artifact }) => {
            format!("restoring the artifact at {}: {reason}", artifact.sequence)
        }
        Some(Plan::Refuse(reason)) => format!("refused: {reason}"),
        None => "starting".to_owned(),
    }
}

fn for_programs(status: &Status) -> Value {
    match &status.plan {
        Some(Plan::Resume { from }) if status.started_at.is_none() => {
            json!({ "plan": "fill", "from": from.get() })
        }
        Some(Plan::Resume { from }) => json!({ "plan": "resume", "from": from.get() }),
        Some(Plan::Reconcile(reason)) => json!({ "plan": "reconcile", "reason": reason.to_string() }),
        Some(Plan::Restore { reason, artifact }) => {
            json!({ "plan": "restore", "artifact": artifact.sequence.get(), "reason": reason.to_string() })
        }
        Some(Plan::Refuse(reason)) => json!({ "plan": "refuse", "reason": reason.to_string() }),
        None => json!({}),
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
    /// The state that was told last.
    was: Option<State>,
    /// How many exports have been told.
    published: u64,
}

impl Progress {
    /// A bar is drawn unless something else is to stand on the terminal: JSON lines or log lines.
    pub(crate) fn new(output: Output, verbose: u8, subject: Subject) -> Self {
        let wants_bar = !output.is_json() && verbose == 0 && io::stderr().is_terminal();
        Self {
            output,
            subject,
            bar: wants_bar.then(bar),
            started: Instant::now(),
            was: None,
            published: 0,
        }
    }

    /// How often to call [`tick`](Self::tick).
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(if self.bar.is_some() { 200 } else { 1000 })
    }

    /// The replica has started, and decided how it goes on.
    pub(crate) fn begin(&self, status: &Status) -> Result<(), Failure> {
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
                "cursor": status.started_at.as_ref().map(|cursor| cursor.sequence.get()),
                "log_last": status.log_last.get(),
            });
            merge(&mut line, for_programs(status));
            return self.output.object(&line);
        }
        self.say(&format!(
            "{}: the bucket {bucket}, at {} now, into {state_dir} ({engine})",
            for_people(status),
            status.log_last
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
        if self.was == Some(State::Bootstrapping)
            && let Some(line) = told_bootstrap(status)
        {
            self.say(&line);
        }
        self.was = Some(status.state);
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
            "{} at {position} of {}{}{}",
            status.state,
            status.log_last,
            told_exports(status),
            error.unwrap_or_default()
        ));
        Ok(())
    }

    /// Some time has passed.
    pub(crate) fn tick(&mut self, status: &Status) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.status_line("status", status);
        }
        if self.bar.is_some() {
            self.draw(status);
            return Ok(());
        }
        let exports = status.exports.as_ref();
        let published = exports.map_or(0, |exports| exports.published);
        if published > self.published {
            self.published = published;
            if let Some(cursor) = exports.and_then(|exports| exports.cursor.as_ref()) {
                self.say(&format!("exported {}", cursor.sequence));
            }
        }
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
            "{} {position}: read {} messages, applied {} changes ({}) in {:.1} s{}",
            status.state,
            status.received,
            status.changes,
            human_bytes(status.bytes),
            self.started.elapsed().as_secs_f64(),
            told_exports(status)
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
            "rate": (status.rate * 10.0).round() / 10.0,
            "changes": status.changes,
            "bytes": status.bytes,
            "read": status.received,
            "restarts": status.restarts,
            "seconds": (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        });
        if let Some(error) = &status.error {
            merge(&mut line, json!({ "error": chain(error) }));
        }
        if let Some(bootstrap) = &status.bootstrap {
            merge(&mut line, json!({ "bootstrap": of_bootstrap(bootstrap) }));
        }
        if let Some(exports) = &status.exports {
            merge(&mut line, json!({ "exports": of_exports(exports) }));
        }
        self.output.object(&line)
    }

    fn draw(&mut self, status: &Status) {
        let Some(bar) = &self.bar else { return };
        let rate = status.rate;
        bar.set_prefix(status.state.as_str());
        let fetching = status.bootstrap.as_ref().and_then(|bootstrap| bootstrap.progress);
        if let Some(at) = fetching.filter(|_| status.state == State::Bootstrapping) {
            bar.set_length(at.bytes_total);
            bar.set_position(at.bytes);
            let (bytes, of) = (human_bytes(at.bytes), human_bytes(at.bytes_total));
            bar.set_message(format!(
                "{bytes} of {of}, {} of at most {} rows",
                at.rows, at.rows_total
            ));
            return;
        }
        bar.set_length(status.log_last.get());
        bar.set_position(status.position().get());
        bar.set_message(format!(
            "lag {}, {rate:.0}/s, {}{}",
            status.lag(),
            human_bytes(status.bytes),
            told_exports(status)
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

fn of_bootstrap(bootstrap: &BootstrapStatus) -> Value {
    let progress = bootstrap.progress.as_ref();
    let done = bootstrap.done.as_ref();
    json!({
        "bytes": progress.map(|at| at.bytes),
        "bytes_total": progress.map(|at| at.bytes_total),
        "rows": progress.map(|at| at.rows),
        "artifact": done.map(|done| done.id),
        "fetched_bytes": done.map(|done| done.fetched.bytes),
        "error": bootstrap.error.as_deref().map(|error| chain(error)),
    })
}

fn of_exports(exports: &ExportStatus) -> Value {
    json!({
        "sequence": exports.cursor.as_ref().map(|cursor| cursor.sequence.get()),
        "age_seconds": exports.published_at.map(|at| at.elapsed().as_secs()),
        "published": exports.published,
        "rounds": exports.rounds,
        "skipped": exports.skipped,
        "error": exports.error.as_deref().map(|error| chain(error)),
    })
}

/// The last export, and what became of the one after it, for the end of a line.
fn told_exports(status: &Status) -> String {
    let Some(exports) = &status.exports else {
        return String::new();
    };
    let last = match (&exports.cursor, exports.published_at) {
        (Some(cursor), Some(at)) => {
            format!(", exported {} {} ago", cursor.sequence, human_time(at.elapsed()))
        }
        _ if exports.rounds + exports.skipped > 0 => ", exported by others".to_owned(),
        _ => String::new(),
    };
    let failed = if exports.error.is_some() {
        ", the last export failed"
    } else {
        ""
    };
    format!("{last}{failed}")
}

/// What an artifact has brought.
fn told_bootstrap(status: &Status) -> Option<String> {
    let bootstrap = status.bootstrap.as_ref()?;
    if let Some(done) = &bootstrap.done {
        return Some(format!(
            "began with the artifact {}: {} rows, {} fetched",
            done.id,
            done.rows,
            human_bytes(done.fetched.bytes)
        ));
    }
    let error = bootstrap.error.as_deref()?;
    Some(format!("without an artifact: {}", chain(error)))
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
