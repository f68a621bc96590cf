//! What names a delivery, for whoever must not do the same thing twice.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AssignmentVersion, LogIdentity, Sequence};

/// Which messages a handler was given, by whom, and for the how manieth time.
///
/// At least once means that a message may be given again: after a failure, a kill, a roll-back. It is then perhaps in
/// another batch, cut elsewhere, so that nothing about the batch tells that it is the same. What stays is the message:
/// [`message_id`](Self::message_id) names what is done for it, and is the same for each delivery in each process. That is what a
/// downstream system is to be given as its idempotency key.
///
/// ```
/// use alluvium_core::{AssignmentVersion, Evidence, LogIdentity, Sequence, Timestamp};
///
/// let evidence = Evidence {
///     worker: "mailer".to_owned(),
///     log: LogIdentity::new("ORDERS", Timestamp::from_nanos(1_700_000_000_000_000_000)),
///     first: Sequence::new(40),
///     last: Sequence::new(45),
///     attempt: 1,
///     assignment: AssignmentVersion::OFF,
/// };
/// assert_eq!(evidence.message_id(Sequence::new(42), "mail"), "mailer/ORDERS/1700000000000000000/42/mail");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// The worker's name: that of its cursor.
    pub worker: String,
    /// The log. One that was created again is another.
    pub log: LogIdentity,
    /// The first message that was given.
    pub first: Sequence,
    /// The last message that was given.
    pub last: Sequence,
    /// 1, and one more for every failure since the last commit of this process.
    pub attempt: u32,
    /// The version of the assignment that the worker believes in, where several processes share a stream: whoever takes over
    /// has a higher one. [`AssignmentVersion::OFF`] where nobody shares.
    pub assignment: AssignmentVersion,
}

impl Evidence {
    /// The name of one effect of one message: the same whenever, wherever and in whatever batch the message is given to the
    /// worker of this name. A message that has several effects gives each a label of its own.
    ///
    /// It reads `<worker>/<log>/<created, in ns>/<sequence>/<effect>`, with `%` and `/` in the names written as `%25` and `%2F`,
    /// so that no two effects share one.
    pub fn message_id(&self, sequence: Sequence, effect: &str) -> String {
        format!(
            "{}/{}/{}/{sequence}/{}",
            Escaped(&self.worker),
            Escaped(&self.log.name),
            self.log.created.as_nanos(),
            Escaped(effect)
        )
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} to {} for {}, attempt {}",
            self.log, self.first, self.last, self.worker, self.attempt
        )
    }
}

/// A name without a slash.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.split('%').enumerate() {
            if index > 0 {
                f.write_str("%25")?;
            }
            for (index, part) in part.split('/').enumerate() {
                if index > 0 {
                    f.write_str("%2F")?;
                }
                f.write_str(part)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Timestamp;

    #[test]
    fn no_two_effects_share_a_name() {
        let names = ["a", "a/1", "a%2F1", "%", "/", "1", ""];
        let mut seen = HashSet::new();
        for worker in names {
            for log in names {
                for effect in names {
                    let evidence = Evidence {
                        worker: worker.to_owned(),
                        log: LogIdentity::new(log, Timestamp::from_nanos(1)),
                        first: Sequence::new(1),
                        last: Sequence::new(11),
                        attempt: 1,
                        assignment: AssignmentVersion::OFF,
                    };
                    for sequence in [1, 11] {
                        let id = evidence.message_id(Sequence::new(sequence), effect);
                        assert!(
                            seen.insert(id.clone()),
                            "{id} of {worker:?}, {log:?}, {sequence}, {effect:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn another_cut_and_another_attempt_change_no_name() {
        let evidence = Evidence {
            worker: "w".to_owned(),
            log: LogIdentity::new("L", Timestamp::from_nanos(1)),
            first: Sequence::new(1),
            last: Sequence::new(11),
            attempt: 1,
            assignment: AssignmentVersion::OFF,
        };
        let again = Evidence {
            first: Sequence::new(5),
            last: Sequence::new(7),
            attempt: 4,
            ..evidence.clone()
        };
        let message = Sequence::new(6);
        assert_eq!(evidence.message_id(message, "x"), again.message_id(message, "x"));
    }
}
