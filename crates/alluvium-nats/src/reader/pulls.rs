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
    live: Vec<Pull>,
    next: u64,
    /// What came in and has not been put down to a pull that ended.
    taken: (u64, u64),
    /// The next message alone, whatever its size.
    alone: bool,
}

impl Pulls {
    /// No pull yet; together they will grant so much.
    pub(crate) fn new(messages: u64, bytes: u64) -> Self {
        Self {
            whole: Grant {
                messages: (messages / 2).max(1),
                bytes: Some((bytes / 2).max(1)),
            },
            live: Vec::with_capacity(4),
            next: 0,
            taken: (0, 0),
            alone: false,
        }
    }

    /// The next pull to send, and its number. `None` while there are enough.
    pub(crate) fn wanted(&self) -> Option<(u64, Grant)> {
        // Where a single message is all that may be in flight, so is a single pull.
        let enough = if self.alone || self.whole.messages == 1 {
            1
        } else {
            2
        };
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

    /// A pull besides the others, and its number: for its heartbeat rather than for messages.
    pub(crate) fn probe(&self) -> (u64, Grant) {
        (
            self.next,
            Grant {
                messages: 1,
                bytes: self.whole.bytes,
            },
        )
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
        let (messages, granted_bytes) = self.granted();
        if self.taken.0 >= messages || granted_bytes.is_some_and(|granted| self.taken.1 >= granted) {
            self.live.clear();
            self.taken = (0, 0);
            self.alone = false;
        }
    }

    /// A pull ended with so much of its grant unused. Numbers that are not, or no longer, in the books change nothing.
    pub(crate) fn ended(&mut self, id: u64, messages: u64, bytes: u64, too_large: bool) {
        let Some(index) = self.live.iter().position(|pull| pull.id == id) else {
            return;
        };
        let Grant {
            messages: granted_messages,
            bytes: granted_bytes,
        } = self.live.swap_remove(index).grant;
        let granted_bytes = granted_bytes.unwrap_or(bytes);
        if too_large && bytes >= granted_bytes {
            self.alone = true;
        }
        self.taken.0 = self
            .taken
            .0
            .saturating_sub(granted_messages.saturating_sub(messages));
        self.taken.1 = self.taken.1.saturating_sub(granted_bytes.saturating_sub(bytes));
        if self.live.is_empty() {
            self.taken = (0, 0);
        }
    }

    fn granted(&self) -> (u64, Option<u64>) {
        let messages = self.live.iter().map(|pull| pull.grant.messages).sum();
        let bytes = self.live.iter().map(|pull| pull.grant.bytes).sum();
        (messages, bytes)
    }
}
