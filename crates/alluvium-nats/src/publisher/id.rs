//! The ids of effects.

use std::fmt::{Display, Write as _};

use alluvium_core::{Change, Evidence};

use super::PublisherError;

/// The most bytes of an id: the server holds each in memory for the window.
const MAX_ID: usize = 1_024;

/// The id of an effect of a message: what its evidence names it by, and when the message was stored, for a log that lost
/// its tail uses numbers again. In bytes that a header can have.
pub(super) fn message_id(
    evidence: &Evidence,
    source: &Change,
    label: impl Display,
) -> Result<String, PublisherError> {
    let name = evidence.message_id(source.sequence, &label.to_string());
    let mut id = String::with_capacity(name.len() + 20);
    for byte in name.bytes() {
        if byte.is_ascii_graphic() {
            id.push(char::from(byte));
        } else {
            // What a name has of `%` itself is written as `%25` already. Writing to a string cannot fail.
            let _ = write!(id, "%{byte:02X}");
        }
    }
    let _ = write!(id, "/{}", source.timestamp.as_nanos());
    if id.len() > MAX_ID {
        return Err(PublisherError::Invalid(format!(
            "a message id of {} bytes, and no more than {MAX_ID} are taken: give the worker or the effect a shorter name",
            id.len()
        )));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alluvium_core::{AssignmentVersion, ErrorKind, LogIdentity, Sequence, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn evidence(worker: &str, log: &str, created: i64) -> Evidence {
        Evidence {
            worker: worker.to_owned(),
            log: LogIdentity::new(log, Timestamp::from_nanos(created)),
            first: Sequence::new(1),
            last: Sequence::new(9),
            attempt: 1,
            assignment: AssignmentVersion::OFF,
        }
    }

    fn id(worker: &str, log: &str, numbers: [i64; 3], label: &str) -> String {
        let [created, sequence, stored] = numbers;
        let sequence = Sequence::new(sequence.unsigned_abs());
        let source = Change::put("key", "value", sequence, Timestamp::from_nanos(stored));
        message_id(&evidence(worker, log, created), &source, label).unwrap()
    }

    /// If this fails, whoever upgrades between a crash and the redelivery publishes twice.
    #[test]
    fn an_id_is_still_what_it_was() {
        let numbers = [1_763_731_200_000_000_000, 42, 1_763_734_800_000_000_042];
        assert_eq!(
            id("mailer/EU \n", "ORDERS", numbers, "0"),
            "mailer%2FEU%20%0A/ORDERS/1763731200000000000/42/0/1763734800000000042"
        );
    }

    #[test]
    fn each_part_counts() {
        let ids = [
            id("a", "b", [1, 2, 3], "4"),
            id("x", "b", [1, 2, 3], "4"),
            id("a", "x", [1, 2, 3], "4"),
            id("a", "b", [9, 2, 3], "4"),
            id("a", "b", [1, 9, 3], "4"),
            id("a", "b", [1, 2, 9], "4"),
            id("a", "b", [1, 2, 3], "x"),
            id("a", "b", [1, 2, 3], ""),
            id("a/b", "b", [1, 2, 3], "4"),
            id("a", "b", [1, 2, 3], "4/4"),
            id("a ", "b", [1, 2, 3], "4"),
            id("a%20", "b", [1, 2, 3], "4"),
        ];
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn names_that_take_too_much_are_refused() {
        let source = Change::put("key", "value", Sequence::FIRST, Timestamp::from_nanos(1));
        let (short, long) = (evidence("w", "L", 1), evidence(&"/".repeat(400), "L", 1));
        assert!(message_id(&short, &source, "x".repeat(900)).is_ok());
        for error in [
            message_id(&short, &source, "x".repeat(1_100)),
            message_id(&long, &source, 0),
        ] {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
        }
    }

    proptest! {
        /// What is not plain in a name stays in its part.
        #[test]
        fn an_id_has_six_plain_parts(worker in ".{0,20}", log in ".{0,20}", label in ".{0,20}") {
            let id = id(&worker, &log, [-1, 2, -3], &label);
            prop_assert_eq!(id.split('/').count(), 6);
            prop_assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
