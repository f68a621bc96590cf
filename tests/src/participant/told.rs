//! What a participant is ordered, and what it tells: one JSON object a line.

use std::collections::BTreeMap;
use std::fmt;

use alluvium::{AssignmentVersion, BackendError, CheckpointId, Epoch, ErrorKind, InstanceId, Vnode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a participant is and has to do: the first line that it reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The URL of the object store that it shares with its parent, and with nothing else.
    pub url: String,
    /// What the store needs besides.
    pub options: BTreeMap<String, String>,
    /// How many vnodes there are.
    pub vnodes: u32,
    /// Its part.
    pub part: Part,
}

/// The part of a participant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// Writes and seals one epoch after the other until it is refused.
    Rounds {
        /// Its name.
        instance: InstanceId,
        /// The assignment version that it believes in.
        version: AssignmentVersion,
        /// The first epoch that it writes.
        first: Epoch,
        /// The last one, if nobody refuses.
        last: Epoch,
        /// Whether it asks for leave before and after each request to the store.
        asks: bool,
    },
    /// Raises the fence and looks what is sealed then, and asks for leave before and after each request to the store.
    Fence {
        /// Its name.
        instance: InstanceId,
        /// The assignment version to raise it to.
        version: AssignmentVersion,
    },
    /// Has several handles seal the epochs that it reads, a line each, all at once.
    Race {
        /// The names of the handles. The first one writes before they race.
        instances: Vec<InstanceId>,
        /// What the first one writes.
        vnodes: Vec<Vnode>,
    },
    /// Takes one checkpoint after the other, until it is killed.
    Checkpoints {
        /// Whether it prunes, before the first and after every [`ROUND`](super::state::ROUND) of them. Only who is
        /// alone can: its prunes have no grace period. It waits for a line after each.
        prunes: bool,
        /// Whether it asks for leave before and after each request to the store.
        asks: bool,
    },
}

/// What a participant tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// It asks for leave to go on: it stands still until it reads a line.
    Step(Step),
    /// Its handles are open.
    Opened,
    /// The epoch's partials are written, as far as the backend says.
    Wrote(Epoch),
    /// The epoch is sealed, as far as the backend says.
    Sealed(Epoch),
    /// The latest epoch that is sealed.
    Latest(Option<Epoch>),
    /// A checkpoint has its name.
    Began(CheckpointId),
    /// A checkpoint of this epoch is what `_latest` names, as far as the checkpointer says.
    Announced(CheckpointId, Epoch),
    /// A checkpoint is not announced: somebody else came first.
    Outrun(CheckpointId),
    /// What is not kept was removed, and these were given up, which were never completed.
    Pruned(Vec<CheckpointId>),
    /// What each handle of a race was answered.
    Raced(Vec<Answer>),
    /// It was refused, and ends.
    Refused(Refusal),
    /// It did what it was ordered, and ends.
    Done,
}

/// A moment in the life of a participant: right before or right after a request to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Before or after the request.
    pub when: When,
    /// What is requested.
    pub request: Request,
    /// Of which object, or below which prefix.
    pub location: String,
}

/// On which side of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// It was not sent yet.
    Before,
    /// It was answered, and the answer was not looked at yet.
    After,
}

/// What is requested of an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// To store an object, whatever there is.
    Put,
    /// To store a part of an object that is uploaded.
    Part,
    /// To make an object of the parts that were uploaded.
    Complete,
    /// To store an object where there is none, or in place of the one that is known.
    ConditionalPut,
    /// To read an object or a part of it.
    Get,
    /// To list objects.
    List,
    /// To remove objects.
    Delete,
    /// To copy or rename an object.
    Copy,
}

impl Request {
    /// Whether it is one that stores something.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::Put | Self::Part | Self::Complete | Self::ConditionalPut | Self::Copy
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {}", self.when, self.request, self.location)
    }
}

/// How one handle fared in a race.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It sealed.
    Sealed(InstanceId),
    /// It was refused.
    Refused(InstanceId, Refusal),
}

/// Why a participant was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// [`BackendError::StaleVersion`].
    StaleVersion {
        /// The version in force.
        authoritative: AssignmentVersion,
    },
    /// [`BackendError::SplitBrainCommit`].
    SplitBrainCommit {
        /// Who had sealed.
        committer: InstanceId,
    },
    /// Anything else, which is not a refusal but a failure.
    Other(String),
}

impl Refusal {
    /// What an error comes down to.
    pub fn of(error: BackendError) -> Self {
        let fenced = error.kind() == ErrorKind::Fenced;
        match error {
            BackendError::StaleVersion { authoritative, .. } if fenced => {
                Self::StaleVersion { authoritative }
            }
            BackendError::SplitBrainCommit { committer, .. } if fenced => {
                Self::SplitBrainCommit { committer }
            }
            other => Self::Other(format!("{:#}", anyhow::Error::from(other))),
        }
    }
}

/// The partial that an instance writes: no other instance, epoch or vnode has the same.
pub fn partial(instance: &InstanceId, epoch: Epoch, vnode: Vnode) -> Bytes {
    let line = format!("{instance} wrote vnode {vnode} of epoch {epoch}. ");
    line.repeat(1 + 7 * vnode.get() as usize).into()
}

/// [`partial`] of each of these vnodes.
pub fn partials(instance: &InstanceId, epoch: Epoch, vnodes: &[Vnode]) -> Vec<(Vnode, Bytes)> {
    vnodes
        .iter()
        .map(|vnode| (*vnode, partial(instance, epoch, *vnode)))
        .collect()
}
