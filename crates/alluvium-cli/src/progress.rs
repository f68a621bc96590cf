//! How a replica is doing, told while it runs: a bar on a terminal, else a line whenever its state changes; with
//! `--json` an object on every change of state and every second.
//!
//! ```text
//! {"event":"start","plan":"fill|resume|reconcile|restore|refuse","from":1,"reason":…,…}    once
//! {"event":"status","state":"live","since":"2026-11-21T14:03:22.000000000Z","for_seconds":1.5,"reason":null,"stale":false,…}
//! {"event":"end","state":"stopped|failed","read":…,"changes":…,"seconds":…,…}    last
//! ```
//!
//! | of `status` and `end` | what it is |
//! |---|---|
//! | `state` | `bootstrapping`, `restoring`, `reconciling`, `filling`, `live`, `stalled`, `refused`, `failed` or `stopped` |
//! | `since`, `for_seconds` | since when it is in that state, by the wall clock in UTC, and for how long, by one that nobody sets |
//! | `reason` | why, for people: what is wrong, and in a refusal what to do; null where the state needs none |
//! | `stale` | whether reads may lack what the bucket is known to hold |
//! | `cursor`, `caught_up` | where the table is exact at; up to where the bucket was found to hold nothing more; null if there is none |
//! | `log_last`, `lag` | the bucket's last sequence as last heard, and how many sequences the table is behind it |
//! | `rate` | changes applied per second, over the last second |
//! | `read`, `changes`, `bytes` | messages received, changes applied, and bytes among them, since the start |
//! | `restarts` | how often the bucket had to be read anew |
//! | `seconds` | since the start |
//! | `error` | what failed, what keeps it stalled or why it is refused; only if there is something |
//! | `reconcile` | while one goes on: keys `listed` so far, `of` about how many |
//! | `bootstrap` | only with `--store`: `bytes` of `bytes_total` and `rows` while it is filled, `artifact` and `fetched_bytes` when it is, `error` |
//! | `exports` | only with `--export-every`: `sequence` and `age_seconds` of the last one, `published`, `rounds`, `skipped`, `error` |

mod health;
mod json;
mod words;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use alluvium::artifact::ManifestId;
use alluvium::{State, Status};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use self::health::{Clock, News, Reminder};
use crate::error::Failure;
use crate::human::{clock_time, human_time};
use crate::output::{Output, human_bytes, say};

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
    clock: Clock,
    news: News,
    reminder: Reminder,
    /// The artifact that was told last.
    artifact: Option<ManifestId>,
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
            clock: Clock::default(),
            // How the replica begins is said in words.
            news: if output.is_json() {
                News::default()
            } else {
                News::after(State::Filling)
            },
            reminder: Reminder::default(),
            artifact: None,
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
            json::merge(&mut line, json::plan(status));
            return self.output.object(&line);
        }
        self.say(&format!(
            "{}: the bucket {bucket}, at {} now, into {state_dir} ({engine})",
            words::plan(status),
            status.log_last
        ));
        Ok(())
    }

    /// Whether it is in another state than was told, or for another reason.
    pub(crate) fn is_news(&self, status: &Status) -> bool {
        self.news.is_news(status)
    }

    /// The state has changed, or the reason for it.
    pub(crate) fn changed(&mut self, status: &Status) -> Result<(), Failure> {
        let before = self.news.told(status);
        if self.output.is_json() {
            return self.status_line("status", status);
        }
        self.artifacts(before, status);
        self.reminder.begin(status);
        if self.bar.is_some() {
            self.draw(status);
            if let Some(why) = status.why() {
                let since = clock_time(self.clock.since(status));
                self.say(&format!("{} since {since}: {why}", status.state));
            }
            return Ok(());
        }
        let line = match status.why() {
            Some(why) => {
                let since = clock_time(self.clock.since(status));
                format!("{}{} since {since}: {why}", status.state, words::at(status))
            }
            None => format!(
                "{}{}{}{}",
                status.state,
                words::at(status),
                words::after(before, status),
                words::exports(status)
            ),
        };
        self.say(&line);
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
        if self.reminder.is_due(status)
            && let Some(why) = status.why()
        {
            let since = clock_time(self.clock.since(status));
            let so_far = human_time(status.since.elapsed());
            self.say(&format!(
                "still {}{} since {since} (for {so_far}): {why}",
                status.state,
                words::at(status)
            ));
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
            words::exports(status)
        ));
        Ok(())
    }

    /// Tells of an artifact that the table was filled from, or why of none.
    fn artifacts(&mut self, before: Option<(State, Instant)>, status: &Status) {
        let done = status.bootstrap.as_ref().and_then(|at| at.done.as_ref());
        match done.filter(|done| self.artifact.as_ref() != Some(&done.id)) {
            Some(done) => {
                self.artifact = Some(done.id);
                self.say(&words::filled(done));
            }
            None => {
                if let Some(line) = words::without_artifact(before, status) {
                    self.say(&line);
                }
            }
        }
    }

    fn status_line(&mut self, event: &str, status: &Status) -> Result<(), Failure> {
        let since = self.clock.since(status);
        self.output
            .object(&json::status(event, status, since, self.started))
    }

    fn draw(&mut self, status: &Status) {
        let Some(bar) = &self.bar else { return };
        bar.set_prefix(status.state.as_str());
        let (position, length, message) = words::bar(status);
        bar.set_length(length);
        bar.set_position(position);
        bar.set_message(message);
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
