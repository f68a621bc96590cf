//! What worlds consist of: logs with their whole history, tables, and artifacts.

use super::super::*;
use super::grid::{LAST, Position, Seen};

/// Two keys can do everything that more can.
pub(super) const KEYS: usize = 2;

/// One message. One that was in the log before it lost its tail is of another branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) branch: u8,
    pub(super) sequence: u64,
    pub(super) key: usize,
    pub(super) is_put: bool,
}

/// The row of each key, as the message that put it there.
pub(super) type Content = [Option<Message>; KEYS];

/// What messages make of a content.
pub(super) fn apply<'a>(mut content: Content, messages: impl IntoIterator<Item = &'a Message>) -> Content {
    for message in messages {
        content[message.key] = message.is_put.then_some(*message);
    }
    content
}

#[derive(Clone, Debug)]
pub(super) struct LogWorld {
    /// Every message since it was created.
    messages: Vec<Message>,
    /// Whether it still has the message, by sequence from 1.
    retained: Vec<bool>,
    /// Whether it evicts now.
    pub(super) evicts: bool,
    /// Whether it ever did.
    pub(super) has_evicted: bool,
    /// Whether messages were purged, which is a real delete.
    pub(super) purged: bool,
    /// The last message that expired by itself.
    pub(super) expired: u64,
    /// What every write minus every real delete is.
    pub(super) whole: Content,
}

/// A table, or the one that an artifact is of.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The log or an earlier one, and how far.
    pub(super) at: Option<(bool, u64)>,
    /// The branch of its last message.
    pub(super) branch: u8,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) state: State,
    pub(super) of_scope: bool,
    pub(super) mode: Mode,
    pub(super) has_evicted: bool,
}

/// Every history. The first message puts the first key: a delete of nothing leaves nothing, and keys have no names.
pub(super) fn histories() -> Vec<Vec<Message>> {
    let mut histories: Vec<Vec<Message>> = vec![Vec::new()];
    for sequence in 1..=LAST {
        let known = histories.clone();
        for history in known
            .iter()
            .filter(|history| history.len() as u64 + 1 == sequence)
        {
            for message in messages_at(sequence, 0).take(if sequence == 1 { 1 } else { usize::MAX }) {
                histories.push(history.iter().copied().chain([message]).collect());
            }
        }
    }
    histories
}

fn messages_at(sequence: u64, branch: u8) -> impl Iterator<Item = Message> {
    (0..KEYS * 2).map(move |what| Message {
        branch,
        sequence,
        key: what / 2,
        is_put: what % 2 == 0,
    })
}

/// What a log with this history may have kept of it.
pub(super) fn logs(messages: &[Message]) -> Vec<LogWorld> {
    let last = messages.len() as u64;
    let replaced = |message: &Message| {
        let newer = &messages[usize::try_from(message.sequence).unwrap()..];
        newer.iter().any(|newer| newer.key == message.key)
    };
    let mut logs = Vec::new();
    for one_of_each in [false, true] {
        let kept = |message: &Message| !(one_of_each && replaced(message));
        // All of it, or all but a key's messages up to one: somebody purged them, or a delete marker with what it deleted.
        for purged in std::iter::once(None).chain(messages.iter().map(Some)) {
            let is_purged = |message: &Message| {
                purged.is_some_and(|last| message.key == last.key && message.sequence <= last.sequence)
            };
            let whole = apply(
                [None; KEYS],
                messages.iter().filter(|message| !is_purged(message)),
            );
            for evicts in [false, true] {
                // Where something evicts, who purges and leaves no marker evicts too.
                if evicts && purged.is_some() {
                    continue;
                }
                logs.push(LogWorld {
                    messages: messages.to_vec(),
                    retained: messages.iter().map(|m| kept(m) && !is_purged(m)).collect(),
                    evicts,
                    has_evicted: false,
                    purged: purged.is_some(),
                    expired: 0,
                    whole,
                });
            }
        }
        // All but the oldest, and all but one in the middle.
        for first in 1..=last + 1 {
            for expired in std::iter::once(0).chain(first + 1..=last) {
                let stays = |m: &Message| kept(m) && m.sequence >= first && m.sequence != expired;
                let hid = |newer: &Message| {
                    let hidden = |m: &Message| m.key == newer.key && m.sequence < expired && stays(m);
                    newer.sequence == expired && messages.iter().any(hidden)
                };
                if (first == 1 && expired == 0) || messages.iter().any(hid) {
                    continue;
                }
                for evicts in [false, true] {
                    logs.push(LogWorld {
                        messages: messages.to_vec(),
                        retained: messages.iter().map(stays).collect(),
                        evicts,
                        has_evicted: true,
                        purged: false,
                        expired,
                        whole: apply([None; KEYS], messages),
                    });
                }
            }
        }
    }
    logs
}

/// Tables that have a cursor: of this history, of one that went on differently, of the log before it was created again.
fn exact(messages: &[Message], lost_by_two: bool) -> Vec<State> {
    let last = messages.len();
    let mut states = Vec::new();
    for common in 0..=last {
        let content = apply([None; KEYS], &messages[..common]);
        let state = |sequence: usize, branch, content| State {
            at: Some((true, sequence as u64)),
            branch,
            content,
        };
        states.push(state(common, 0, content));
        // One message more that the log has no longer, or two.
        for lost in messages_at(common as u64 + 1, 1) {
            states.push(state(common + 1, 1, apply(content, [&lost])));
        }
        if lost_by_two && common as u64 + 2 <= LAST + 1 {
            let put = |key| Message {
                branch: 1,
                sequence: common as u64 + 1,
                key,
                is_put: true,
            };
            let choices = |key: usize| [content[key], None, Some(put(key))];
            for first in choices(0) {
                states.extend(choices(1).map(|second| state(common + 2, 1, [first, second])));
            }
        }
    }
    for sequence in 0..=LAST + 1 {
        for content in [[None; KEYS], [Some(foreign(0, sequence)), None]] {
            states.push(State {
                at: Some((false, sequence)),
                branch: 2,
                content,
            });
        }
    }
    states
}

/// A row of the log before it was created again.
fn foreign(key: usize, sequence: u64) -> Message {
    Message {
        branch: 2,
        sequence,
        key,
        is_put: true,
    }
}

/// Every content that has at most one of these rows for each key.
fn contents(rows: impl Fn(usize) -> Vec<Message>) -> Vec<Content> {
    let choices = |key| std::iter::once(None).chain(rows(key).into_iter().map(Some));
    choices(0)
        .flat_map(|first| choices(1).map(move |second| [first, second]))
        .collect()
}

pub(super) fn tables(messages: &[Message]) -> Vec<State> {
    let mut tables = exact(messages, true);
    // None at all, and what a reconcile leaves that is cut short: rows of this history, and others.
    let rows = |key| {
        let mut rows = vec![foreign(key, LAST + 1)];
        rows.extend(
            messages
                .iter()
                .filter(|message| message.key == key && message.is_put),
        );
        rows
    };
    tables.extend(contents(rows).into_iter().map(|content| State {
        at: None,
        branch: 0,
        content,
    }));
    tables
}

pub(super) fn artifacts(messages: &[Message]) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    for state in exact(messages, false) {
        let artifact = |of_scope, mode, has_evicted| Artifact {
            state: State {
                // What is of another key is not in it.
                content: if of_scope {
                    state.content
                } else {
                    [state.content[0], None]
                },
                ..state.clone()
            },
            of_scope,
            mode,
            has_evicted,
        };
        for mode in [Mode::Mirror, Mode::Archive] {
            artifacts.push(artifact(true, mode, false));
            artifacts.push(artifact(true, mode, true));
        }
        artifacts.push(artifact(false, Mode::Mirror, false));
        artifacts.push(artifact(false, Mode::Archive, true));
    }
    artifacts
}

impl LogWorld {
    pub(super) fn first(&self) -> u64 {
        let first = self.retained().next();
        first.map_or(self.last() + 1, |message| message.sequence)
    }

    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// What it still holds.
    pub(super) fn retained(&self) -> impl Iterator<Item = &Message> {
        let kept = self.messages.iter().zip(&self.retained);
        kept.filter(|(_, retained)| **retained)
            .map(|(message, _)| message)
    }

    /// Whether the message of this row, and every newer one of its key, is gone.
    pub(super) fn has_lost(&self, row: &Message) -> bool {
        let newer = |message: &Message| message.key == row.key && message.sequence > row.sequence;
        !self.retained().any(|message| message == row || newer(message))
    }

    /// What it holds at the position of a state.
    pub(super) fn position(&self, state: &State) -> Option<Position> {
        let (of_this_log, sequence) = state.at?;
        let held = self.retained().find(|message| message.sequence == sequence);
        let seen = match held {
            Some(message) if of_this_log && message.branch == state.branch => Seen::TheMessage,
            Some(_) if of_this_log => Seen::Another,
            Some(_) | None => Seen::Nothing,
        };
        Some(Position {
            of_this_log,
            sequence,
            seen,
        })
    }
}
