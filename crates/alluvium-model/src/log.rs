//! The log of the model: a few messages of two keys, of each key the newest kept, and what makes it forget.

use alluvium_core::{Bounds, LogIdentity, Retention, Sequence, Timestamp};

/// The name of the log, of which there is one after the other.
pub const NAME: &str = "KV_model";

/// Two keys can do everything that more can.
pub const KEYS: usize = 2;

/// A message. The branch tells it from one that had its sequence before the log lost its tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Which log.
    pub created: u8,
    /// How often the log had lost its tail.
    pub branch: u8,
    /// Its sequence, from 1.
    pub sequence: u8,
    /// Its key.
    pub key: u8,
    /// Whether it puts the key, or deletes it.
    pub is_put: bool,
}

/// The row of each key, as the message that put it there.
pub type Rows = [Option<Message>; KEYS];

/// A position, and the branch of the message there; [`NO_BRANCH`] if that was gone when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which log.
    pub created: u8,
    /// The sequence.
    pub sequence: u8,
    /// The branch of the message.
    pub branch: u8,
}

/// No message has this branch.
pub const NO_BRANCH: u8 = u8::MAX;

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    /// Which one of its name.
    pub created: u8,
    /// How often it lost its tail.
    pub branch: u8,
    /// Every message since it was created.
    pub messages: Vec<Message>,
    /// Whether it still has the message.
    pub retained: Vec<bool>,
    /// Whether the oldest messages go.
    pub evicts: bool,
    /// Whether they ever did.
    pub has_evicted: bool,
    /// How many messages of a key it keeps.
    pub history: usize,
    /// From here on all messages stay, because the tail was lost once. Otherwise it could be that nothing shows it.
    pub stays_from: u8,
}

/// What messages make of rows.
pub fn apply<'a>(mut rows: Rows, messages: impl IntoIterator<Item = &'a Message>) -> Rows {
    for message in messages {
        rows[usize::from(message.key)] = message.is_put.then_some(*message);
    }
    rows
}

impl Log {
    /// A new one.
    pub fn new(created: u8, evicts: bool, history: usize) -> Self {
        Self {
            created,
            branch: 0,
            messages: Vec::new(),
            retained: Vec::new(),
            evicts,
            has_evicted: evicts,
            history,
            stays_from: u8::MAX,
        }
    }

    /// The last sequence there ever was.
    pub fn last(&self) -> u8 {
        u8::try_from(self.messages.len()).unwrap_or(u8::MAX)
    }

    /// The first sequence still held.
    pub fn first(&self) -> u8 {
        let first = self.held().next();
        first.map_or(self.last() + 1, |message| message.sequence)
    }

    /// What it holds.
    pub fn held(&self) -> impl Iterator<Item = &Message> {
        let all = self.messages.iter().zip(&self.retained);
        all.filter(|(_, retained)| **retained).map(|(message, _)| message)
    }

    /// The message it holds there.
    pub fn at(&self, sequence: u8) -> Option<&Message> {
        self.held().find(|message| message.sequence == sequence)
    }

    /// The position of somebody who has read all up to there.
    pub fn place(&self, sequence: u8) -> Place {
        Place {
            created: self.created,
            sequence,
            branch: self.at(sequence).map_or(NO_BRANCH, |message| message.branch),
        }
    }

    /// The next message. Of its key the oldest go.
    pub fn write(&mut self, key: u8, is_put: bool) {
        let (created, branch, sequence) = (self.created, self.branch, self.last() + 1);
        self.messages.push(Message {
            created,
            branch,
            sequence,
            key,
            is_put,
        });
        self.retained.push(true);
        let of_key = self
            .messages
            .iter()
            .zip(&mut self.retained)
            .rev()
            .filter(|(message, _)| message.key == key);
        for (message, retained) in of_key.skip(self.history) {
            *retained &= message.sequence >= self.stays_from;
        }
    }

    /// One message goes.
    pub fn forget(&mut self, sequence: u8) {
        if let Some(retained) = self.retained.get_mut(usize::from(sequence) - 1) {
            *retained = false;
        }
    }

    /// The last message was never there.
    pub fn lose_tail(&mut self) {
        self.stays_from = self.last();
        self.branch += 1;
        self.messages.pop();
        self.retained.pop();
    }

    /// Whether the message of a row, and every newer one of its key, is gone.
    pub fn has_lost(&self, row: &Message) -> bool {
        !self
            .held()
            .any(|held| held.key == row.key && held.sequence >= row.sequence)
    }

    /// What is asked of a server.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            log: identity(self.created),
            first: sequence(self.first()),
            last: sequence(self.last()),
            messages: self.held().count() as u64,
            bytes: 0,
            retention: retention(self.evicts),
        }
    }
}

/// The identity of the log that was created so often.
pub fn identity(created: u8) -> LogIdentity {
    LogIdentity::new(NAME, Timestamp::from_nanos(i64::from(created)))
}

/// A retention that evicts, or none.
pub fn retention(evicts: bool) -> Retention {
    Retention {
        history: Some(1),
        max_messages: evicts.then_some(1),
        ..Retention::default()
    }
}

/// The number as a sequence.
pub fn sequence(number: u8) -> Sequence {
    Sequence::new(u64::from(number))
}

/// When a message of a branch was stored.
pub fn stored(branch: u8) -> Timestamp {
    Timestamp::from_nanos(100 + i64::from(branch))
}
