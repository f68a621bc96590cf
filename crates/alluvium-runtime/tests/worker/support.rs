//! Workers, and a record of what they do.

use std::time::Duration;

use alluvium_core::Change;
use alluvium_runtime::{Action, Delivery, Worker, WorkerBuilder, WorkerEvent, WorkerStatus};

use crate::place::Place;
use crate::seen::Seen;

impl Place {
    /// A worker that loses no time with pauses.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        Worker::builder(self.cursor()).pauses(Duration::from_millis(1), Duration::from_millis(1))
    }
}

/// A worker whose handler has nothing to do.
pub(crate) async fn idle(builder: WorkerBuilder) -> Worker {
    let worker = builder.start(async |_: Delivery| Ok(Action::Continue));
    worker.await.unwrap()
}

impl Seen<WorkerEvent> {
    pub(crate) fn call(&self) -> impl Fn(&WorkerEvent) + Send + Sync + 'static {
        let seen = self.clone();
        move |event| seen.push(event.clone())
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let name = |event: &WorkerEvent| match event {
            WorkerEvent::Restarting { .. } => "restarting",
            WorkerEvent::BudgetExhausted { .. } => "budget exhausted",
            WorkerEvent::Parked(_) => "parked",
            WorkerEvent::SaveFailed { .. } => "save failed",
            WorkerEvent::Stalled { .. } => "stalled",
            WorkerEvent::Gaps(_) => "gaps",
            _ => "new",
        };
        self.all().iter().map(name).collect()
    }
}

pub(crate) fn numbers(delivery: &Delivery) -> Vec<u64> {
    delivery.iter().map(|message| message.sequence.get()).collect()
}

pub(crate) fn number(message: &Change) -> u64 {
    let value = message.value().expect("nothing is deleted here");
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// Waits until the worker's status is so.
pub(crate) async fn until(worker: &Worker, is: impl FnMut(&WorkerStatus) -> bool) -> WorkerStatus {
    let mut status = worker.watch_status();
    let waited = tokio::time::timeout(Duration::from_mins(1), status.wait_for(is)).await;
    waited
        .expect("the worker gets there")
        .expect("the worker tells")
        .clone()
}

/// A handler that has these, cloned for each delivery.
macro_rules! handler {
    ([$($name:ident),*] |$delivery:ident| $body:block) => {
        move |$delivery: alluvium_runtime::Delivery| {
            $(let $name = $name.clone();)*
            async move $body
        }
    };
}
pub(crate) use handler;
