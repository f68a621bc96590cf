//! Where the objects of a checkpoint are, below the prefix of its store.
//!
//! ```text
//! _latest                                                  the id of the newest complete checkpoint
//! <id>/manifest.json                                       written last: its presence means complete
//! <id>/operators/<operator>/partition-<n>.snap | .delta
//! ```
//!
//! A path tells what it is of, and there is one path for one thing: what is read from a manifest is compared with the
//! path that it has to be, and so cannot lead anywhere else.

use super::{CheckpointError, CheckpointId};
use crate::name;

/// The pointer to the newest complete checkpoint: the one object that is ever replaced.
pub const LATEST: &str = "_latest";
/// The name of a manifest in the directory of its checkpoint.
pub const MANIFEST: &str = "manifest.json";

/// Whether a partition's file is its whole state or what changed since the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The whole state of the partition.
    Snapshot,
    /// What changed in the partition since the parent checkpoint.
    Delta,
}

/// The path of a manifest.
pub fn manifest_path(id: CheckpointId) -> String {
    format!("{id}/{MANIFEST}")
}

/// The path of a partition's file.
///
/// The operator's name may be any text that is not empty: everything but `a-z 0-9 _ -` is percent-encoded byte by byte,
/// upper case too, for some file systems do not tell it from lower case.
///
/// # Errors
///
/// [`CheckpointError::Invalid`] for a name that is empty, or too long: encoded it has to fit into 240 bytes.
///
/// ```
/// use alluvium_core::CheckpointId;
/// use alluvium_core::checkpoint::{FileKind, partition_path};
///
/// let id = CheckpointId::after(None, 1_700_000_000_000, [7; 10]);
/// assert_eq!(
///     partition_path(id, "../Join", 3, FileKind::Delta)?,
///     format!("{id}/operators/%2E%2E%2F%4Aoin/partition-3.delta"),
/// );
/// # Ok::<(), alluvium_core::CheckpointError>(())
/// ```
pub fn partition_path(
    id: CheckpointId,
    operator: &str,
    partition: u32,
    kind: FileKind,
) -> Result<String, CheckpointError> {
    let operator = name::encode(operator)
        .map_err(|error| CheckpointError::Invalid(format!("an operator cannot have this name: {error}")))?;
    let extension = match kind {
        FileKind::Snapshot => "snap",
        FileKind::Delta => "delta",
    };
    Ok(format!(
        "{id}/operators/{operator}/partition-{partition}.{extension}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn path(operator: &str) -> Result<String, CheckpointError> {
        let id = CheckpointId::after(None, 1, [0; 10]);
        partition_path(id, operator, 0, FileKind::Snapshot)
    }

    #[test]
    fn no_two_operators_share_a_path_and_none_leaves_its_place() {
        let names = [
            "a", "A", "a/b", "a%2Fb", "%61", "..", ".", "a\0", "ä", "a b", "a\\b", "con:",
        ];
        let paths: BTreeSet<String> = names
            .iter()
            .map(|name| path(name).unwrap().to_lowercase())
            .collect();
        assert_eq!(paths.len(), names.len(), "{paths:?}");
        for path in paths {
            assert_eq!(path.split('/').count(), 4, "{path}");
            assert!(!path.contains("..") && path.is_ascii(), "{path}");
        }
    }

    #[test]
    fn a_name_that_no_file_system_takes_is_refused() {
        assert!(path("").is_err());
        assert!(path(&"x".repeat(240)).is_ok());
        for long in ["x".repeat(241), "x".repeat(300), "/".repeat(81)] {
            assert!(matches!(path(&long), Err(CheckpointError::Invalid(_))));
        }
    }
}
