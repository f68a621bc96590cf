//! The effects of one assignment: each expects the one before to be the last of its partition.

use alluvium::{Assigned, BoxError, Delivery};
use alluvium_e2e::participant::program::tell;
use alluvium_e2e::sharer::{EFFECTS, Effect, Told, effects_of};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{Client, HeaderMap, header, jetstream};
use tokio::sync::Mutex;

pub(crate) struct Effects {
    context: jetstream::Context,
    by: String,
    assigned: Assigned,
    last: Mutex<Last>,
}

/// The last effect of a partition.
#[derive(Clone, Copy, Default)]
struct Last {
    /// Its sequence in the stream of effects; 0 if there is none.
    sequence: u64,
    done: u64,
}

impl Effects {
    /// From here on no effect by an older assignment is stored.
    pub(crate) async fn begin(client: Client, by: String, assigned: Assigned) -> Result<Self, BoxError> {
        let effects = Self {
            context: jetstream::new(client),
            by,
            assigned,
            last: Mutex::default(),
        };
        // Those of before go on until this one is there.
        loop {
            let last = effects.read().await?;
            if effects.publish(last, last.done, Vec::new()).await? {
                return Ok(effects);
            }
        }
    }

    /// Does what is to be done for a delivery and was not done before.
    pub(crate) async fn of(&self, delivery: &Delivery) -> Result<(), BoxError> {
        let last = *self.last.lock().await;
        let mut messages = Vec::new();
        for message in delivery
            .iter()
            .filter(|message| message.sequence.get() > last.done)
        {
            let subject = std::str::from_utf8(&message.key)?;
            let key = subject.rsplit('.').next().ok_or("a subject without a key")?;
            let number = message.value().ok_or("an order without a number")?;
            messages.push((key.to_owned(), std::str::from_utf8(number)?.parse()?));
        }
        if messages.is_empty()
            || self
                .publish(last, delivery.evidence().last.get(), messages)
                .await?
        {
            return Ok(());
        }
        // Its own answer that was lost is no refusal.
        *self.last.lock().await = self.read().await?;
        Err("the last effect is another one".into())
    }

    /// Whether it was stored. It is not if another one was.
    async fn publish(&self, last: Last, done: u64, messages: Vec<(String, u64)>) -> Result<bool, BoxError> {
        let version = self.assigned.version.get();
        let effect = Effect {
            by: self.by.clone(),
            version,
            done,
            messages,
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            last.sequence.to_string(),
        );
        let subject = effects_of(self.assigned.partition);
        let payload = serde_json::to_vec(&effect)?.into();
        let sent = self
            .context
            .publish_with_headers(subject, headers, payload)
            .await?;
        match sent.await {
            Ok(stored) => {
                *self.last.lock().await = Last {
                    sequence: stored.sequence,
                    done,
                };
                Ok(true)
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The last effect, if it is not by a newer assignment.
    async fn read(&self) -> Result<Last, BoxError> {
        let stream = self.context.get_stream_no_info(EFFECTS).await?;
        let subject = effects_of(self.assigned.partition);
        let message = match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(Last::default());
            }
            Err(error) => return Err(error.into()),
        };
        let effect: Effect = serde_json::from_slice(&message.payload)?;
        let version = self.assigned.version.get();
        if effect.version > version {
            tell(&Told::Refused {
                partition: self.assigned.partition,
                version,
            });
            return Err("there is an effect by a newer assignment".into());
        }
        Ok(Last {
            sequence: message.sequence,
            done: effect.done,
        })
    }
}
