//! What a tail says on standard error, for people and as JSON.

use alluvium::{Gaps, HandlerError, LogIdentity, WorkerEvent, WorkerStatus};
use serde_json::{Value, json};

use crate::args::TailArgs;
use crate::error::chain;
use crate::output::{Output, escaped, say};

/// Says what happens beside the work.
#[derive(Clone, Copy)]
pub(super) struct Teller {
    json: bool,
}

impl Teller {
    pub(super) fn new(output: Output) -> Self {
        Self {
            json: output.is_json(),
        }
    }

    fn tell(self, text: &str, object: &Value) {
        if self.json {
            say(&object.to_string());
        } else {
            say(text);
        }
    }

    /// It has found its place.
    pub(super) fn begin(self, args: &TailArgs, log: &LogIdentity) {
        let named = match &args.cursor {
            Some(name) => format!(" as {}", escaped(name.as_bytes())),
            None => String::new(),
        };
        self.tell(
            &format!("following {log}{named}"),
            &json!({ "event": "start", "log": log.name, "cursor": args.cursor }),
        );
    }

    pub(super) fn event(self, event: &WorkerEvent) {
        match event {
            WorkerEvent::Restarting { on, error, pause } => self.tell(
                &format!(
                    "{} to {}: {}; again in {:.1} s",
                    on.first,
                    on.last,
                    why(error),
                    pause.as_secs_f64()
                ),
                &json!({
                    "event": "restart", "first": on.first.get(), "last": on.last.get(), "attempt": on.attempt,
                    "error": why(error), "pause_seconds": pause.as_secs_f64(),
                }),
            ),
            WorkerEvent::Stalled { error, pause } => {
                let error = chain(error.as_ref());
                self.tell(
                    &format!("{error}; again in {:.1} s", pause.as_secs_f64()),
                    &json!({ "event": "stalled", "error": error, "pause_seconds": pause.as_secs_f64() }),
                );
            }
            WorkerEvent::Gaps(gaps) => self.gaps(gaps),
            // Those that end it are told when it has ended.
            _ => {}
        }
    }

    fn gaps(self, gaps: &Gaps) {
        if gaps.dropped > 0 {
            self.tell(
                &format!("gap: {} more than there was room for", gaps.dropped),
                &json!({ "event": "gaps_dropped", "count": gaps.dropped }),
            );
        }
        for gap in &gaps.gaps {
            let missing = gap.missing.iter().map(|missing| {
                json!({
                    "first": missing.first.get(), "last": missing.last.map(alluvium::Sequence::get),
                    "reason": missing.reason.to_string(), "certain": missing.certain,
                })
            });
            self.tell(
                &format!("gap: {gap}"),
                &json!({
                    "event": "gap", "expected": gap.expected.get(),
                    "delivered": gap.delivered.map(alluvium::Sequence::get),
                    "missing": missing.collect::<Vec<Value>>(),
                }),
            );
        }
    }

    /// It has stopped.
    pub(super) fn end(self, status: &WorkerStatus) {
        let WorkerStatus {
            committed,
            handled,
            commits,
            restarts,
            ..
        } = status;
        self.tell(
            &format!(
                "stopped at {}: {handled} messages in {commits} batches",
                committed.sequence
            ),
            &json!({
                "event": "end", "sequence": committed.sequence.get(), "messages": handled, "batches": commits,
                "restarts": restarts,
            }),
        );
    }
}

fn why(error: &HandlerError) -> String {
    match error {
        HandlerError::Failed(source) => chain(source.as_ref()),
        error => chain(error),
    }
}
