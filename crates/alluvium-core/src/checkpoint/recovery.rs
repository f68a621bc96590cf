//! Which checkpoint to start from: the decisions, without any of the reading.

use std::collections::BTreeSet;
use std::fmt;

use super::{CheckpointId, Manifest};
use crate::ErrorKind;

/// What `_latest` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latest {
    /// There is none.
    None,
    /// This checkpoint.
    Names(CheckpointId),
    /// It cannot be read.
    Damaged(String),
}

/// Where to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// There has never been a checkpoint: start from nothing.
    Fresh,
    /// One of these, the best first.
    Try(Vec<CheckpointId>),
    /// There was one, and nothing is left: starting from nothing would lose it.
    Lost(String),
}

/// Which checkpoints to try, from what `_latest` says and which complete ones are listed, in any order.
///
/// It is the one that `_latest` names, then older ones, newest first. Where `_latest` is missing, damaged or names what
/// is not listed, it is every listed one, newest first: complete is what has a manifest. A newer one than `_latest` names
/// is not tried: it was never announced, so nobody may have acted on it.
///
/// ```
/// use alluvium_core::CheckpointId;
/// use alluvium_core::checkpoint::{Candidates, Latest, candidates};
///
/// let ids: Vec<_> = (1..=3).map(|millis| CheckpointId::after(None, millis, [0; 10])).collect();
/// assert_eq!(candidates(&Latest::None, &[]), Candidates::Fresh);
/// assert_eq!(candidates(&Latest::Names(ids[1]), &ids), Candidates::Try(vec![ids[1], ids[0]]));
/// assert_eq!(candidates(&Latest::Names(ids[2]), &ids[..2]), Candidates::Try(vec![ids[1], ids[0]]));
/// assert!(matches!(candidates(&Latest::Names(ids[0]), &[]), Candidates::Lost(_)));
/// ```
pub fn candidates(latest: &Latest, listed: &[CheckpointId]) -> Candidates {
    let all: BTreeSet<CheckpointId> = listed.iter().copied().collect();
    let tried: Vec<CheckpointId> = match latest {
        Latest::Names(id) if all.contains(id) => all.range(..=*id).rev().copied().collect(),
        _ => all.into_iter().rev().collect(),
    };
    match latest {
        _ if !tried.is_empty() => Candidates::Try(tried),
        Latest::None => Candidates::Fresh,
        Latest::Names(id) => Candidates::Lost(format!("_latest names checkpoint {id}, and there is none")),
        Latest::Damaged(why) => {
            Candidates::Lost(format!("_latest is damaged ({why}), and there is no checkpoint"))
        }
    }
}

/// What to do when a checkpoint could not be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is damaged: try an older one.
    FallBack,
    /// It may be whole: an older one would lose what it holds. Somebody has to act first.
    Stop,
}

/// What to do when a checkpoint could not be restored for a reason of this kind. Only damage is a reason to take an older one: what
/// is out of reach now may be there in a minute.
pub fn after_failure(kind: ErrorKind) -> Next {
    match kind {
        ErrorKind::Corrupt | ErrorKind::NotFound => Next::FallBack,
        ErrorKind::Transient | ErrorKind::Unavailable | ErrorKind::Invalid | ErrorKind::Fenced => Next::Stop,
    }
}

/// An operator that is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorShape {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
}

/// How the operators of a program differ from those of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The program has it, the checkpoint does not: it would start from nothing.
    Missing {
        /// The operator.
        operator: String,
    },
    /// The checkpoint has it, the program does not: its state would be dropped.
    Unknown {
        /// The operator.
        operator: String,
    },
    /// Both have it, with other partitions.
    Partitions {
        /// The operator.
        operator: String,
        /// How many the program has.
        expected: u32,
        /// Which ones the checkpoint has.
        found: Vec<u32>,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { operator } => {
                write!(
                    f,
                    "operator {operator:?} has no state in the checkpoint and would start from nothing"
                )
            }
            Self::Unknown { operator } => write!(
                f,
                "the checkpoint has state of operator {operator:?}, which this program does not have, and which would be dropped"
            ),
            Self::Partitions {
                operator,
                expected,
                found,
            } => write!(
                f,
                "operator {operator:?} has {expected} partitions, and {} in the checkpoint{}",
                found.len(),
                if (0..).zip(found).all(|(wanted, found)| wanted == *found) {
                    ""
                } else {
                    ", not numbered from 0 on"
                }
            ),
        }
    }
}

/// How the operators of a program differ from those of a checkpoint; empty if they fit.
pub fn mismatches(manifest: &Manifest, operators: &[OperatorShape]) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for OperatorShape { name, partitions } in operators {
        let operator = name.clone();
        match manifest.operators.get(name) {
            None => found.push(Mismatch::Missing { operator }),
            Some(state) => {
                let numbers: Vec<u32> = state.partitions.iter().map(|file| file.partition).collect();
                if !numbers.iter().copied().eq(0..*partitions) {
                    found.push(Mismatch::Partitions {
                        operator,
                        expected: *partitions,
                        found: numbers,
                    });
                }
            }
        }
    }
    let known: BTreeSet<&str> = operators.iter().map(|operator| operator.name.as_str()).collect();
    let unknown = manifest
        .operators
        .keys()
        .filter(|name| !known.contains(name.as_str()));
    found.extend(unknown.cloned().map(|operator| Mismatch::Unknown { operator }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{FileKind, PartitionFile};
    use crate::{Digest, Epoch};

    fn ids() -> Vec<CheckpointId> {
        (1..=4)
            .map(|millis| CheckpointId::after(None, millis, [0; 10]))
            .collect()
    }

    /// Every combination of what `_latest` says and which of four are listed, beside a rule in other words.
    #[test]
    fn no_state_is_ever_taken_for_none() {
        let ids = ids();
        let says = [Latest::None, Latest::Damaged("x".to_owned())]
            .into_iter()
            .chain(ids.iter().map(|id| Latest::Names(*id)));
        for latest in says {
            for mask in 0..16u32 {
                let listed: Vec<_> = (0..4)
                    .filter(|bit| mask >> bit & 1 == 1)
                    .map(|bit| ids[bit])
                    .collect();
                let what = format!("{latest:?} {mask:04b}");
                match candidates(&latest, &listed) {
                    Candidates::Fresh => {
                        assert_eq!((&latest, mask), (&Latest::None, 0), "{what}");
                    }
                    Candidates::Lost(_) => assert!(mask == 0 && latest != Latest::None, "{what}"),
                    Candidates::Try(tried) => {
                        assert!(tried.iter().all(|id| listed.contains(id)), "{what}");
                        assert!(tried.is_sorted_by(|one, next| one > next), "{what}");
                        match latest {
                            Latest::Names(id) if listed.contains(&id) => {
                                assert_eq!(tried[0], id, "{what}");
                                let older = listed.iter().filter(|other| **other < id).count();
                                assert_eq!(tried.len(), older + 1, "{what}");
                            }
                            _ => assert_eq!(tried.len(), listed.len(), "{what}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_damage_makes_an_older_checkpoint_right() {
        for (kind, next) in [
            (ErrorKind::Corrupt, Next::FallBack),
            (ErrorKind::NotFound, Next::FallBack),
            (ErrorKind::Transient, Next::Stop),
            (ErrorKind::Unavailable, Next::Stop),
            (ErrorKind::Invalid, Next::Stop),
            (ErrorKind::Fenced, Next::Stop),
        ] {
            assert_eq!(after_failure(kind), next, "{kind:?}");
        }
    }

    #[test]
    fn operators_are_compared_by_name_and_partitions() {
        let id = ids()[0];
        let files = |operator: &str, partitions: &[u32]| -> Vec<PartitionFile> {
            let digest = Digest::from_bytes([0; 32]);
            let file = |partition: &u32| {
                PartitionFile::new(id, operator, *partition, FileKind::Snapshot, 1, digest).unwrap()
            };
            partitions.iter().map(file).collect()
        };
        let manifest = Manifest::new(id, Epoch::FIRST, 0)
            .operator("fits", files("fits", &[0, 1]))
            .operator("fewer", files("fewer", &[0]))
            .operator("gap", files("gap", &[0, 2]))
            .operator("gone", files("gone", &[0]));
        let shape = |name: &str, partitions| OperatorShape {
            name: name.to_owned(),
            partitions,
        };
        let operators = ["fits", "fewer", "gap", "new"].map(|name| shape(name, 2));
        let told: Vec<String> = mismatches(&manifest, &operators)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for (message, words) in told.iter().zip([
            "\"fewer\" has 2 partitions, and 1",
            "not numbered from 0",
            "\"new\" has no state",
            "state of operator \"gone\"",
        ]) {
            assert!(message.contains(words), "{message}");
        }
        assert!(mismatches(&Manifest::new(id, Epoch::FIRST, 0), &[]).is_empty());
    }
}
