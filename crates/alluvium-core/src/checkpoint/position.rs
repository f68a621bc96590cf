//! Where a source stood when a checkpoint was taken.

use std::collections::BTreeMap;

use super::{CheckpointError, SourceState};
use crate::{LogIdentity, Sequence, Timestamp};

const JETSTREAM: &str = "jetstream";
const FILE: &str = "file";

/// Where a source stood, with the types of its kind. In a manifest it is a kind and strings by name ([`SourceState`]), which
/// a reader that does not know the kind keeps as they are.
///
/// ```
/// use alluvium_core::checkpoint::{SourcePosition, SourceState};
/// use alluvium_core::{LogIdentity, Sequence, Timestamp};
///
/// let orders = LogIdentity::new("ORDERS", Timestamp::from_nanos(1_700_000_000_000_000_000));
/// let position = SourcePosition::JetStream { log: orders, sequence: Sequence::new(42) };
/// let stored = SourceState::from(position.clone());
/// assert_eq!(stored.kind, "jetstream");
/// assert_eq!(stored.offsets["sequence"], "42");
/// assert_eq!(SourcePosition::try_from(&stored)?, position);
/// # Ok::<(), alluvium_core::CheckpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourcePosition {
    /// In a log: everything up to and including this sequence has been taken in.
    JetStream {
        /// Which log.
        log: LogIdentity,
        /// The last sequence that was taken in; [`Sequence::ZERO`] for none.
        sequence: Sequence,
    },
    /// In a file.
    File {
        /// Which file.
        path: String,
        /// How many of its bytes have been taken in.
        offset: u64,
    },
    /// In anything else.
    Other {
        /// What kind of source it is.
        kind: String,
        /// What it needs to go on, by name.
        offsets: BTreeMap<String, String>,
    },
}

impl From<SourcePosition> for SourceState {
    fn from(position: SourcePosition) -> Self {
        let text = str::to_owned;
        let (kind, offsets) = match position {
            SourcePosition::JetStream { log, sequence } => (
                text(JETSTREAM),
                BTreeMap::from([
                    (text("stream"), log.name),
                    (text("created"), log.created.as_nanos().to_string()),
                    (text("sequence"), sequence.to_string()),
                ]),
            ),
            SourcePosition::File { path, offset } => (
                text(FILE),
                BTreeMap::from([(text("path"), path), (text("offset"), offset.to_string())]),
            ),
            SourcePosition::Other { kind, offsets } => (kind, offsets),
        };
        Self::new(kind, offsets)
    }
}

impl TryFrom<&SourceState> for SourcePosition {
    type Error = CheckpointError;

    fn try_from(state: &SourceState) -> Result<Self, CheckpointError> {
        match state.kind.as_str() {
            JETSTREAM => Ok(Self::JetStream {
                log: LogIdentity::new(
                    field::<String>(state, "stream")?,
                    Timestamp::from_nanos(field(state, "created")?),
                ),
                sequence: Sequence::new(field(state, "sequence")?),
            }),
            FILE => Ok(Self::File {
                path: field(state, "path")?,
                offset: field(state, "offset")?,
            }),
            kind => Ok(Self::Other {
                kind: kind.to_owned(),
                offsets: state.offsets.clone(),
            }),
        }
    }
}

fn field<T: std::str::FromStr>(state: &SourceState, name: &str) -> Result<T, CheckpointError> {
    let text = state.offsets.get(name);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let kind = &state.kind;
        let found = text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
        CheckpointError::Invalid(format!(
            "the position of a source of type {kind} has {found} for its {name}: it was not written by Alluvium; mend the source \
             that wrote it"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_from_a_manifest() {
        for position in [
            SourcePosition::JetStream {
                log: LogIdentity::new("S", Timestamp::from_nanos(i64::MIN)),
                sequence: Sequence::new(u64::MAX),
            },
            SourcePosition::File {
                path: "a b/ä".to_owned(),
                offset: u64::MAX,
            },
            SourcePosition::Other {
                kind: "queue".to_owned(),
                offsets: BTreeMap::from([("at".to_owned(), "x".to_owned())]),
            },
        ] {
            let json = serde_json::to_string(&SourceState::from(position.clone())).unwrap();
            let stored: SourceState = serde_json::from_str(&json).unwrap();
            assert_eq!(SourcePosition::try_from(&stored).unwrap(), position);
        }
    }

    #[test]
    fn a_position_that_lacks_something_is_an_error_that_names_it() {
        let log = LogIdentity::new("S", Timestamp::from_nanos(1));
        let fine = SourceState::from(SourcePosition::JetStream {
            log,
            sequence: Sequence::FIRST,
        });
        for name in ["stream", "created", "sequence"] {
            let mut wrong = fine.clone();
            wrong.offsets.remove(name);
            let error = SourcePosition::try_from(&wrong).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let mut wrong = fine;
        wrong.offsets.insert("sequence".to_owned(), "-1".to_owned());
        assert!(SourcePosition::try_from(&wrong).is_err());
    }
}
