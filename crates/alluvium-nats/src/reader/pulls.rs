//! How much the server may send unasked: the books of the pull requests.
//!
//! Two pulls are kept with the server, each good for half of what may be in flight, in messages and in bytes. The
//! server serves them in turn, so that of equal ones both would end at once and the pipe would run empty: the first is
//! half as long as those that follow. A pull's end is told by a status, with what it did not use. One case the server
//! does not tell: a pull whose last byte was used up exactly. That shows in the sums: what was taken is then all that
//! had been granted.
//!
//! A message larger than a whole pull ends every pull it meets. It is then asked for alone, without a limit of bytes.

/// What one pull request grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) messages: u64,
    /// `None`: no limit.
    pub(crate) bytes: Option<u64>,
}

/// A pull request that the server may still answer.
#[derive(Clone, Copy, Debug)]
struct Pull {
    id: u64,
    grant: Grant,
}

/// The pull requests of one consumer.
#[derive(Debug)]
pub(crate) struct Pulls {
    /// What a whole pull grants.
    whole: Grant,
    /// How many pulls are kept with the server.
    most: usize,
    live: Vec<Pull>,
    next: u64,
    /// What came in and has not been put down to a pull that ended.
    taken: (u64, u64),
    /// The next message alone, whatever its size.
    alone: bool,
}

impl Pulls {
    /// No pull yet; together they will grant so much. One at a time, unless the pipe is to be kept full.
    pub(crate) fn new(messages: u64, bytes: u64, full: bool) -> Self {
        Self {
            whole: Grant {
                messages: (messages / 2).max(1),
                bytes: Some((bytes / 2).max(1)),
            },
            // Where a single message is all that may be in flight, so is a single pull.
            most: if full && messages > 3 { 2 } else { 1 },
            live: Vec::with_capacity(2),
            next: 0,
            taken: (0, 0),
            alone: false,
        }
    }

    /// The next pull to send, and its number. `None` while there are enough.
    pub(crate) fn wanted(&self) -> Option<(u64, Grant)> {
        let enough = if self.alone { 1 } else { self.most };
        if self.live.len() >= enough {
            return None;
        }
        let grant = if self.alone {
            Grant {
                messages: 1,
                bytes: None,
            }
        } else if self.live.is_empty() {
            Grant {
                messages: self.whole.messages.div_ceil(2),
                ..self.whole
            }
        } else {
            self.whole
        };
        Some((self.next, grant))
    }

    /// The wanted pull was sent.
    pub(crate) fn sent(&mut self, grant: Grant) {
        self.live.push(Pull { id: self.next, grant });
        self.next += 1;
    }

    /// Whether the server owes anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.live.is_empty()
    }

    /// A message of so many bytes came.
    pub(crate) fn took(&mut self, bytes: u64) {
        self.taken.0 += 1;
        self.taken.1 += bytes;
        if self.alone && self.live.iter().any(|pull| pull.grant.bytes.is_none()) {
            self.alone = false;
        }
        self.settle();
    }

    /// A pull ended with so much of its grant unused. Numbers that are not, or no longer, in the books change nothing.
    pub(crate) fn ended(&mut self, id: u64, messages: u64, bytes: u64, too_large: bool) {
        let Some(index) = self.live.iter().position(|pull| pull.id == id) else {
            return;
        };
        let grant = self.live.swap_remove(index).grant;
        let granted_bytes = grant.bytes.unwrap_or(bytes);
        if too_large && bytes >= granted_bytes {
            self.alone = true;
        }
        self.taken.0 = self
            .taken
            .0
            .saturating_sub(grant.messages.saturating_sub(messages));
        self.taken.1 = self.taken.1.saturating_sub(granted_bytes.saturating_sub(bytes));
        self.settle();
    }

    /// Pulls of which everything granted has been taken are over, told or not.
    fn settle(&mut self) {
        let (messages, bytes) = self.granted();
        if self.taken.0 >= messages || bytes.is_some_and(|bytes| self.taken.1 >= bytes) {
            self.live.clear();
            self.taken = (0, 0);
        }
    }

    fn granted(&self) -> (u64, Option<u64>) {
        let messages = self.live.iter().map(|pull| pull.grant.messages).sum();
        let bytes = self.live.iter().map(|pull| pull.grant.bytes).sum();
        (messages, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// What the server sends.
    enum Sent {
        Message(u64),
        Ended {
            id: u64,
            messages: u64,
            bytes: u64,
            too_large: bool,
        },
    }

    /// A pull as the server keeps it.
    struct Waiting {
        id: u64,
        messages: u64,
        bytes: u64,
        limited: bool,
    }

    /// The server's queue of pulls: each message goes to the first that has room for it, which then goes to the end.
    #[derive(Default)]
    struct Server {
        waiting: VecDeque<Waiting>,
        sent: VecDeque<Sent>,
    }

    impl Server {
        /// Sends a message if a pull takes it.
        fn deliver(&mut self, size: u64) -> bool {
            while let Some(mut pull) = self.waiting.pop_front() {
                if pull.limited && size > pull.bytes {
                    let Waiting {
                        id, messages, bytes, ..
                    } = pull;
                    self.sent.push_back(Sent::Ended {
                        id,
                        messages,
                        bytes,
                        too_large: true,
                    });
                    continue;
                }
                if pull.limited {
                    pull.bytes -= size;
                    if pull.bytes == 0 {
                        pull.messages = 1;
                    }
                }
                pull.messages -= 1;
                self.sent.push_back(Sent::Message(size));
                let Waiting {
                    id, messages, bytes, ..
                } = pull;
                if messages > 0 {
                    self.waiting.push_back(pull);
                } else if bytes > 0 {
                    self.sent.push_back(Sent::Ended {
                        id,
                        messages,
                        bytes,
                        too_large: false,
                    });
                }
                return true;
            }
            false
        }
    }

    /// Sends what is wanted.
    fn send(pulls: &mut Pulls, server: &mut Server) {
        while let Some((id, grant)) = pulls.wanted() {
            let (messages, limited) = (grant.messages, grant.bytes.is_some());
            let bytes = grant.bytes.unwrap_or(0);
            server.waiting.push_back(Waiting {
                id,
                messages,
                bytes,
                limited,
            });
            pulls.sent(grant);
        }
    }

    fn receive(pulls: &mut Pulls, server: &mut Server) {
        match server.sent.pop_front() {
            Some(Sent::Message(size)) => pulls.took(size),
            Some(Sent::Ended {
                id,
                messages,
                bytes,
                too_large,
            }) => pulls.ended(id, messages, bytes, too_large),
            None => {}
        }
        send(pulls, server);
    }

    proptest! {
        #[test]
        fn the_pipe_never_stalls_and_never_holds_more_than_granted(
            sizes in prop::collection::vec(prop_oneof![Just(10_u64), Just(20), 1..200_u64], 1..400),
            (messages, bytes) in (1..40_u64, 20..200_u64),
            full in any::<bool>(),
            rhythm in prop::collection::vec(0..6_usize, 1..20),
        ) {
            let (mut pulls, mut server) = (Pulls::new(messages, bytes, full), Server::default());
            send(&mut pulls, &mut server);
            let mut beats = rhythm.iter().cycle();
            for size in sizes {
                while !server.deliver(size) {
                    prop_assert!(!server.sent.is_empty() || !server.waiting.is_empty(), "stalled: {pulls:?}");
                    receive(&mut pulls, &mut server);
                }
                let sizes = || server.sent.iter().filter_map(|sent| match sent {
                    Sent::Message(size) => Some(*size),
                    Sent::Ended { .. } => None,
                });
                prop_assert!(sizes().count() as u64 <= messages.max(1) + 1);
                // A message that fits into no pull is the only one there is.
                let fitting: u64 = sizes().filter(|size| *size <= bytes / 2).sum();
                prop_assert!(fitting <= bytes.max(2), "{fitting} of {bytes}");
                for _ in 0..*beats.next().unwrap_or(&0) {
                    receive(&mut pulls, &mut server);
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_not_in_the_books_change_nothing() {
        let mut pulls = Pulls::new(8, 800, true);
        let (_, grant) = pulls.wanted().unwrap();
        pulls.sent(grant);
        pulls.ended(7, 0, 0, true);
        assert_eq!(pulls.wanted().unwrap().0, 1);
        assert!(!pulls.is_idle());
    }
}
