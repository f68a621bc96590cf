//! The kinds of replicas, and what is to be done about each when its log is not what it was.

use alluvium::artifact::Unfit;
use alluvium::{
    Cursor, Hindrance, LogIdentity, Mode, Plan, ReconcileReason, RefuseReason, RestoreReason, Timestamp,
};
use async_nats::jetstream::stream;

use crate::pair::config;

/// What an evicting log holds at most.
const HELD: i64 = 200;

/// A replica, and what there is to put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mirror,
    /// Its log evicts nothing.
    Archive,
    /// An archive whose log has evicted.
    Evicting,
    /// The same, with an artifact from before anything went wrong.
    Restorable,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Mirror, Self::Archive, Self::Evicting, Self::Restorable];

    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Mirror => Mode::Mirror,
            Self::Archive | Self::Evicting | Self::Restorable => Mode::Archive,
        }
    }

    pub(crate) fn evicts(self) -> bool {
        matches!(self, Self::Evicting | Self::Restorable)
    }

    /// What is to be done about a log that is not what it was.
    pub(crate) fn expected(self, cause: ReconcileReason) -> Plan {
        let refuse = |artifact| {
            Plan::Refuse(RefuseReason::Archive {
                log: "KV_b".to_owned(),
                cause,
                artifact,
            })
        };
        match (self, cause) {
            (Self::Mirror | Self::Archive, cause) => Plan::Reconcile(cause),
            (Self::Evicting, _) => refuse(Hindrance::None),
            (Self::Restorable, ReconcileReason::LogReplaced) => {
                refuse(Hindrance::Unfit(Unfit::LogReplaced {
                    log: "KV_b".to_owned(),
                }))
            }
            (Self::Restorable, cause) => restore(match cause {
                ReconcileReason::TailLost => RestoreReason::TailLost,
                ReconcileReason::HistoryChanged => RestoreReason::HistoryChanged,
                other => panic!("{other:?} does not happen here"),
            }),
        }
    }

    /// The stream of its log.
    pub(crate) fn config(self) -> stream::Config {
        stream::Config {
            max_messages: if self.evicts() { HELD } else { -1 },
            ..config()
        }
    }
}

/// Whether two plans are the same, but for where an artifact is at.
pub(crate) fn is_plan(found: &Plan, expected: &Plan) -> bool {
    match (found, expected) {
        (Plan::Restore { reason: found, .. }, Plan::Restore { reason: expected, .. }) => found == expected,
        (found, expected) => found == expected,
    }
}

/// A restore from some artifact.
pub(crate) fn restore(reason: RestoreReason) -> Plan {
    Plan::Restore {
        reason,
        artifact: Cursor::start_of(LogIdentity::new("KV_b", Timestamp::from_nanos(0))),
    }
}
