//! What a recovery has tried, skipped and done, for programs and for people.

use std::error::Error;
use std::fmt;

use alluvium_core::checkpoint::Latest;
use alluvium_core::{CheckpointId, Epoch};
use serde::{Deserialize, Serialize};

/// What a recovery has tried, skipped and done. As text, it is one line for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// What `_latest` said; `None` if it was not read.
    pub latest: Option<LatestFound>,
    /// How many complete checkpoints were listed.
    pub listed: u64,
    /// What was tried first and could not be restored, in the order in which it was tried.
    pub skipped: Vec<Skipped>,
    /// What was restored in the end.
    pub restored: Option<Restored>,
    /// What could have been tried after that, the newest first.
    pub untried: Vec<CheckpointId>,
}

/// What `_latest` said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LatestFound {
    /// There was none.
    None,
    /// This checkpoint.
    Names(CheckpointId),
    /// It could not be read, for this reason.
    Damaged(String),
}

/// A checkpoint that could not be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Skipped {
    /// Which one.
    pub checkpoint: CheckpointId,
    /// Its epoch, as far as its manifest could be read.
    pub epoch: Option<Epoch>,
    /// Why not, with every cause.
    pub reason: String,
}

/// A checkpoint that was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Restored {
    /// Which one.
    pub checkpoint: CheckpointId,
    /// Its epoch.
    pub epoch: Epoch,
    /// How many checkpoints it took, itself included: those that its deltas build on.
    pub chain: u64,
    /// How many partitions there were, of all operators.
    pub partitions: u64,
    /// How many files they took.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many sources go on from a position.
    pub sources: u64,
}

impl From<&Latest> for LatestFound {
    fn from(latest: &Latest) -> Self {
        match latest {
            Latest::None => Self::None,
            Latest::Names(id) => Self::Names(*id),
            Latest::Damaged(why) => Self::Damaged(why.clone()),
        }
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.latest {
            None => write!(f, "_latest has not been read")?,
            Some(LatestFound::None) => write!(f, "there is no _latest")?,
            Some(LatestFound::Names(id)) => write!(f, "_latest names checkpoint {id}")?,
            Some(LatestFound::Damaged(why)) => write!(f, "_latest is damaged: {why}")?,
        }
        write!(f, "\n{} listed", counted(self.listed, "complete checkpoint"))?;
        for skipped in &self.skipped {
            write!(f, "\n{skipped}")?;
        }
        if let Some(restored) = &self.restored {
            write!(f, "\n{restored}")?;
        }
        for id in &self.untried {
            write!(f, "\nnot tried: checkpoint {id}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "skipped: {}: {}",
            Named(self.checkpoint, self.epoch),
            self.reason
        )
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "restored: {}, {} from {} of {} bytes in {}",
            Named(self.checkpoint, Some(self.epoch)),
            counted(self.partitions, "partition"),
            counted(self.files, "file"),
            self.bytes,
            counted(self.chain, "checkpoint"),
        )?;
        match self.sources {
            0 => Ok(()),
            sources => write!(f, "; sought: {}", counted(sources, "source")),
        }
    }
}

/// A checkpoint with its epoch, if that is known.
struct Named(CheckpointId, Option<Epoch>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint {}", self.0)?;
        self.1.map_or(Ok(()), |epoch| write!(f, " (epoch {epoch})"))
    }
}

fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// An error with everything that caused it, in one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millis: u64) -> CheckpointId {
        CheckpointId::after(None, millis, [0; 10])
    }

    fn report() -> RecoveryReport {
        RecoveryReport {
            latest: Some(LatestFound::Names(id(3))),
            listed: 3,
            skipped: vec![Skipped {
                checkpoint: id(3),
                epoch: Some(Epoch::FIRST),
                reason: "x is gone".to_owned(),
            }],
            restored: Some(Restored {
                checkpoint: id(2),
                epoch: Epoch::FIRST,
                chain: 1,
                partitions: 2,
                files: 2,
                bytes: 40,
                sources: 1,
            }),
            untried: vec![id(1)],
        }
    }

    #[test]
    fn it_reads_as_one_line_for_each_thing() {
        let (one, two, three) = (id(1), id(2), id(3));
        let expected = format!(
            "_latest names checkpoint {three}\n\
             3 complete checkpoints listed\n\
             skipped: checkpoint {three} (epoch 1): x is gone\n\
             restored: checkpoint {two} (epoch 1), 2 partitions from 2 files of 40 bytes in 1 checkpoint; sought: 1 source\n\
             not tried: checkpoint {one}"
        );
        assert_eq!(report().to_string(), expected);
        let none = RecoveryReport::default().to_string();
        assert_eq!(none, "_latest has not been read\n0 complete checkpoints listed");
    }

    #[test]
    fn it_comes_back_from_json() {
        let json = serde_json::to_string(&report()).unwrap();
        assert!(json.contains("\"latest\":{\"names\":"), "{json}");
        assert_eq!(serde_json::from_str::<RecoveryReport>(&json).unwrap(), report());
    }

    #[test]
    fn every_cause_is_told_once() {
        let cause = std::io::Error::other("inner");
        let error = alluvium_core::CheckpointError::Corrupt {
            path: "x".to_owned(),
            source: cause.into(),
        };
        assert_eq!(
            with_causes(&error),
            "x is damaged: restore it, or start from another checkpoint: inner"
        );
    }
}
