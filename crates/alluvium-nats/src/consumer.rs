//! One consumer of the server, from its creation to its deletion.
//!
//! A consumer is ephemeral, in memory, not replicated, and needs no acknowledgements. It lives as long as the
//! connection does: whatever happens to either, another one takes its place, with an inbox of its own, so that nothing
//! late can be taken for something new.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{LogError, LogIdentity, Scope, Sequence, Timestamp};
use async_nats::Subscriber;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{self, RetentionPolicy};
use tokio::runtime::Handle;
use tracing::debug;

use crate::api::Api;
use crate::{authority, headers};

/// After so long without a pull the server deletes a consumer by itself.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(30);

/// How many consumers are made for a listing until one is with the stream's leader: of three nodes, 15 of 10,000 listings
/// begin elsewhere.
const LISTING_ATTEMPTS: u32 = 16;

/// Between two attempts to delete a consumer.
const DELETE_PAUSE: Duration = Duration::from_millis(250);

/// What a reader wants of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Every message, and those to come.
    Follow,
    /// What there is now, key by key.
    List {
        /// Keys without values.
        headers_only: bool,
        /// Every message rather than the last of each key: what a listing goes on with when the server's list of last
        /// messages was overtaken.
        every: bool,
    },
}

/// What to read, and how far that has come.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) purpose: Purpose,
    pub(crate) scope: Scope,
    pub(crate) log: LogIdentity,
    /// Every message wanted up to and including this one was given.
    pub(crate) position: Sequence,
    /// The last messages that came.
    pub(crate) seen: Seen,
}

/// The last messages that came, and when the server had stored them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// In turn.
    last: [(Sequence, Timestamp); 16],
    count: usize,
}

impl Seen {
    pub(crate) fn push(&mut self, sequence: Sequence, timestamp: Timestamp) {
        let place = self.count % self.last.len();
        if let Some(place) = self.last.get_mut(place) {
            *place = (sequence, timestamp);
        }
        self.count = self.count.wrapping_add(1);
    }

    /// The last one first.
    fn iter(&self) -> impl Iterator<Item = (Sequence, Timestamp)> {
        let known = self.count.min(self.last.len());
        (1..=known).filter_map(move |back| self.last.get((self.count - back) % self.last.len()).copied())
    }
}

/// A consumer that exists, and the inbox that its messages come to.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) subscriber: Subscriber,
    pub(crate) inbox: String,
    /// The client's count of connects that all of this belongs to.
    pub(crate) connects: u64,
    /// The log's last sequence from before the consumer was there.
    pub(crate) last: Sequence,
    /// Messages that the consumer had to deliver when it was made, as far as its node had them.
    pub(crate) pending: u64,
    /// Whether that node may not have had everything up to `last`.
    pub(crate) behind: bool,
    /// Whether the server skips to the last message of each key.
    pub(crate) skips: bool,
    /// What a single pull may ask for, 0 for no limit.
    pub(crate) limits: Limits,
    pub(crate) consumer: Guard,
}

/// The server's limits of one pull, 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) expires: Duration,
}

/// Deletes a consumer when it is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    api: Arc<Api>,
    pub(crate) name: String,
    exists: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.exists {
            return;
        }
        // Without a runtime nothing can be sent, and the server does it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (api, name) = (Arc::clone(&self.api), std::mem::take(&mut self.name));
        runtime.spawn(async move {
            match tokio::time::timeout(INACTIVE_THRESHOLD, delete(&api, &name)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, name, "the server has to delete a consumer by itself"),
                Err(_) => debug!(name, "the server has deleted a consumer by itself"),
            }
        });
    }
}

/// Deletes a consumer as soon as somebody answers.
async fn delete(api: &Api, name: &str) -> Result<(), LogError> {
    loop {
        api.connected().await?;
        match api.delete_consumer(name).await {
            Err(LogError::Unavailable { .. }) => tokio::time::sleep(DELETE_PAUSE).await,
            done => return done,
        }
    }
}

/// The log as it is now, if it still is the one of `course` and ends no earlier than what was read of it.
pub(crate) async fn verify(api: &Api, course: &Course) -> Result<stream::Info, LogError> {
    let info = api.info_reaching(course.position).await?;
    if api.identity(&info) != course.log {
        return Err(LogError::Replaced {
            log: api.stream.clone(),
        });
    }
    let tail_lost = |expected: Sequence, last: Sequence| LogError::TailLost {
        log: api.stream.clone(),
        expected,
        last,
    };
    let last = Sequence::new(info.state.last_sequence);
    if last < course.position {
        return Err(tail_lost(course.position, last));
    }
    // A log that lost its tail and grew again ends late enough. Its message at the same place is another one; or at one before, if
    // that is gone by now.
    let first = info.state.first_sequence;
    for (sequence, timestamp) in course
        .seen
        .iter()
        .take_while(|(sequence, _)| sequence.get() >= first)
    {
        match api.change_at(sequence).await? {
            Some(change) if change.timestamp == timestamp => break,
            Some(_) => return Err(tail_lost(sequence, sequence.previous())),
            None => {}
        }
    }
    Ok(info)
}

/// What the server would delete as it is read is no log. A work queue refuses consumers that acknowledge nothing; of a
/// stream that is kept for the interest in it a consumer is an interest, and what it has been given goes.
pub(crate) fn check_retention(api: &Api, info: &stream::Info) -> Result<(), LogError> {
    let retention = match info.config.retention {
        RetentionPolicy::Limits => return Ok(()),
        RetentionPolicy::Interest => "interest",
        RetentionPolicy::WorkQueue => "work queue",
    };
    Err(LogError::Consumed {
        log: api.stream.clone(),
        retention,
    })
}

/// Whether the client can read what comes next, [`LogError::Foreign`] if not.
pub(crate) async fn check_next(api: &Api, course: &Course, info: &stream::Info) -> Result<(), LogError> {
    let mut filters = filters(api, course, info);
    if filters.is_empty() {
        filters.push(">".to_owned());
    }
    let mut next = None;
    for filter in &filters {
        let message = api.message_after(course.position, filter).await?;
        next = next
            .into_iter()
            .chain(message)
            .min_by_key(|message| message.sequence);
    }
    match next {
        Some(message) if !headers::is_readable(&message) => Err(LogError::Foreign {
            log: api.stream.clone(),
            subject: message.subject,
        }),
        _ => Ok(()),
    }
}

/// The subjects that a consumer for `course` delivers, none for all of them.
fn filters(api: &Api, course: &Course, info: &stream::Info) -> Vec<String> {
    let scope = &course.scope;
    api.mapping.filters(scope, &scope.disjoint_cover(), &info.config)
}

/// Makes a consumer for what `course` still wants. `info` is the log as it was just now.
///
/// In a cluster the server makes it on any node of the stream. A listing on one that lies behind would begin with what keys
/// were before, so that another consumer is made until one is with the leader. It is not insisted on: a listing is complete
/// anyway when it ends.
pub(crate) async fn open(api: &Arc<Api>, course: &Course, info: &stream::Info) -> Result<Open, LogError> {
    let mut attempts = match course.purpose {
        Purpose::Follow => 1,
        Purpose::List { .. } => LISTING_ATTEMPTS,
    };
    loop {
        let open = open_anywhere(api, course, info).await?;
        attempts -= 1;
        if !open.behind || attempts == 0 {
            return Ok(open);
        }
    }
}

/// Makes it on whatever node.
async fn open_anywhere(api: &Arc<Api>, course: &Course, info: &stream::Info) -> Result<Open, LogError> {
    let connects = api.connects();
    let inbox = api.client().new_inbox();
    // The part of the inbox after the user's prefix is unique.
    let unique = inbox.rsplit('.').next().unwrap_or(&inbox);
    let mut guard = Guard {
        api: Arc::clone(api),
        name: format!("alluvium-{unique}"),
        exists: false,
    };
    check_retention(api, info)?;
    let config = config(api, course, info, &guard.name);
    let subscriber = api
        .client()
        .subscribe(format!("{inbox}.*"))
        .await
        .map_err(|_| api.closed())?;
    // From here on it may exist, answer or no answer.
    guard.exists = true;
    let created = api.create_consumer(&guard.name, &config).await;
    if matches!(created, Err(LogError::Refused { .. } | LogError::NotFound { .. })) {
        guard.exists = false;
    }
    let created = created?;
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Open {
        subscriber,
        inbox,
        connects,
        last: Sequence::new(info.state.last_sequence),
        pending: created.num_pending,
        behind: !authority::is_with_leader(info, created.cluster.as_ref()),
        skips: config.deliver_policy == DeliverPolicy::LastPerSubject,
        limits: Limits {
            messages: positive(created.config.max_batch),
            bytes: positive(created.config.max_bytes),
            expires: created.config.max_expires,
        },
        consumer: guard,
    })
}

fn config(api: &Api, course: &Course, info: &stream::Info, name: &str) -> consumer::Config {
    let mut filters = filters(api, course, info);
    let next = DeliverPolicy::ByStartSequence {
        start_sequence: course.position.next().get().max(info.state.first_sequence),
    };
    let (deliver_policy, headers_only) = match course.purpose {
        Purpose::Follow => (next, false),
        // Where a key has one message only, every message is the last of its key, and nothing needs to be skipped.
        Purpose::List { headers_only, every } if every || info.config.max_messages_per_subject == 1 => {
            (next, headers_only)
        }
        Purpose::List { headers_only, .. } => (DeliverPolicy::LastPerSubject, headers_only),
    };
    // The server insists on one here.
    if deliver_policy == DeliverPolicy::LastPerSubject && filters.is_empty() {
        filters.push(">".to_owned());
    }
    let most = info
        .config
        .consumer_limits
        .as_ref()
        .map(|limits| limits.inactive_threshold)
        .filter(|threshold| !threshold.is_zero());
    consumer::Config {
        name: Some(name.to_owned()),
        deliver_policy,
        ack_policy: AckPolicy::None,
        filter_subjects: filters,
        headers_only,
        num_replicas: 1,
        memory_storage: true,
        inactive_threshold: most.map_or(INACTIVE_THRESHOLD, |most| most.min(INACTIVE_THRESHOLD)),
        ..consumer::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_known_the_last_one_first() {
        let mut seen = Seen::default();
        assert_eq!(seen.iter().count(), 0);
        for count in 1..50_u64 {
            let at = |sequence| {
                (
                    Sequence::new(sequence),
                    Timestamp::from_nanos(i64::try_from(sequence).unwrap()),
                )
            };
            let (sequence, timestamp) = at(count);
            seen.push(sequence, timestamp);
            let expected: Vec<_> = (1..=count).rev().take(16).map(at).collect();
            assert_eq!(seen.iter().collect::<Vec<_>>(), expected);
        }
    }
}
