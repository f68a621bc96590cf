//! Looks at every effect as it is stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alluvium_e2e::sharer::{EFFECTS, Effect};
use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

/// What the effects tell so far. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
pub(super) struct Seen {
    /// How many messages of a key were handled: one for each, from 1.
    pub(super) handled: BTreeMap<String, u64>,
    /// In which partition a key is.
    homes: BTreeMap<String, String>,
    /// Who has a partition, by which version, and since when.
    pub(super) holders: BTreeMap<u32, Holder>,
    /// How often a partition came to another assignment.
    pub(super) assignments: u64,
    pub(super) effects: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) by: String,
    pub(super) version: u64,
    pub(super) since: Instant,
}

impl Watch {
    /// Begins to look. The task ends with a panic if an effect is not what it should be.
    pub(super) async fn start(context: &jetstream::Context) -> (Self, JoinHandle<()>) {
        let stream = context.get_stream(EFFECTS).await.unwrap();
        let consumer = stream.create_consumer(OrderedConfig::default()).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let watch = Self::default();
        let seeing = watch.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let message = message.unwrap();
                let effect = serde_json::from_slice(&message.payload).unwrap();
                seeing.seen().see(message.subject.as_str(), effect);
            }
        });
        (watch, task)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn see(&mut self, subject: &str, effect: Effect) {
        self.effects += 1;
        let partition = subject.rsplit('.').next().unwrap().parse().unwrap();
        let before = self.holders.get(&partition);
        if before.is_none_or(|before| before.version != effect.version) {
            assert!(
                before.is_none_or(|before| before.version < effect.version),
                "{effect:?} came after {before:?}"
            );
            assert!(effect.messages.is_empty(), "{effect:?} has not fenced {before:?}");
            let holder = Holder {
                by: effect.by.clone(),
                version: effect.version,
                since: Instant::now(),
            };
            self.holders.insert(partition, holder);
            self.assignments += 1;
        } else if let Some(before) = before {
            assert_eq!(before.by, effect.by, "two have one version");
        }
        for (key, number) in effect.messages {
            let home = self
                .homes
                .entry(key.clone())
                .or_insert_with(|| subject.to_owned());
            assert_eq!(home, subject, "{key} is in two partitions");
            let handled = self.handled.entry(key.clone()).or_insert(0);
            assert_eq!(
                number,
                *handled + 1,
                "{key} was not handled in order, or not once"
            );
            *handled = number;
        }
    }
}
