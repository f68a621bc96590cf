//! Where a cursor stands in its log.

use std::collections::BTreeMap;

use alluvium::{Bounds, Cursor, LogError, Sequence};

use crate::connect::Connection;
use crate::error::Failure;
use crate::human::count;

/// What the log says of a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many sequences come after it, if that means anything.
    pub(super) lag: Option<u64>,
    /// What whoever goes on from the cursor will find.
    pub(super) problem: Option<String>,
}

/// The logs, each asked once.
pub(super) struct Logs<'a> {
    connection: Option<&'a Connection>,
    asked: BTreeMap<String, Result<Bounds, String>>,
}

impl<'a> Logs<'a> {
    pub(super) fn new(connection: Option<&'a Connection>) -> Self {
        Self {
            connection,
            asked: BTreeMap::new(),
        }
    }

    pub(super) async fn standing(&mut self, cursor: &Cursor) -> Standing {
        let Some(connection) = self.connection else {
            return Standing::default();
        };
        let name = &cursor.log.name;
        if !self.asked.contains_key(name) {
            let bounds = ask(connection, name).await;
            self.asked.insert(name.clone(), bounds);
        }
        match self.asked.get(name) {
            Some(Ok(bounds)) => stands(cursor, bounds),
            Some(Err(problem)) => Standing {
                lag: None,
                problem: Some(problem.clone()),
            },
            None => Standing::default(),
        }
    }
}

async fn ask(connection: &Connection, name: &str) -> Result<Bounds, String> {
    let failed = |failure: &Failure| match failure {
        Failure::Log {
            source: LogError::NotFound { .. },
            ..
        } => "the log is gone".to_owned(),
        failure => failure.line(),
    };
    let log = connection.stream(name).await.map_err(|error| failed(&error))?;
    let bounds = log.bounds().await;
    bounds.map_err(|error| failed(&connection.log_failure(error)))
}

fn stands(cursor: &Cursor, bounds: &Bounds) -> Standing {
    let problem = |text: String| Standing {
        lag: None,
        problem: Some(text),
    };
    if cursor.log != bounds.log {
        return problem("the log was deleted and created again".to_owned());
    }
    if cursor.sequence > bounds.last {
        return problem(format!("the log ends at {}: it lost its tail", bounds.last));
    }
    let gone = bounds.first.previous().distance_from(cursor.sequence);
    let gone = usize::try_from(gone).unwrap_or(usize::MAX);
    Standing {
        lag: Some(bounds.last.distance_from(cursor.sequence)),
        problem: (gone > 0 && cursor.sequence > Sequence::ZERO).then(|| {
            format!(
                "{} after it: gone from the log",
                count(gone, "message", "messages")
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use alluvium::{LogIdentity, Retention, Timestamp};

    use super::*;

    #[test]
    fn what_a_log_says_of_a_cursor() {
        let log = LogIdentity::new("ORDERS", Timestamp::from_nanos(1));
        let at = |sequence: u64| {
            Cursor::start_of(log.clone()).at(Sequence::new(sequence), Timestamp::from_nanos(2))
        };
        let bounds = |first: u64, last: u64| Bounds {
            log: log.clone(),
            first: Sequence::new(first),
            last: Sequence::new(last),
            messages: last + 1 - first,
            bytes: 1,
            retention: Retention::default(),
        };
        for (sequence, first, last, lag, problem) in [
            (3, 1, 10, Some(7), None),
            (10, 1, 10, Some(0), None),
            (0, 5, 10, Some(10), None),
            (3, 4, 10, Some(7), None),
            (3, 5, 10, Some(7), Some("1 message after it: gone")),
            (3, 11, 10, Some(7), Some("7 messages after it: gone")),
            (11, 1, 10, None, Some("ends at 10")),
        ] {
            let standing = stands(&at(sequence), &bounds(first, last));
            assert_eq!(standing.lag, lag, "{sequence} in {first} to {last}");
            let told = standing.problem.unwrap_or_default();
            assert!(told.contains(problem.unwrap_or_default()), "{told}");
            assert_eq!(told.is_empty(), problem.is_none(), "{told}");
        }
        let other = Bounds {
            log: LogIdentity::new("ORDERS", Timestamp::from_nanos(9)),
            ..bounds(1, 10)
        };
        assert_eq!(stands(&at(3), &other).lag, None);
    }
}
