//! Opening the store that was named, and the ways to name a checkpoint in it.

use std::str::FromStr;
use std::sync::Arc;

use alluvium::{CheckpointError, CheckpointId, Checkpointer};

use crate::args::StoreArgs;
use crate::error::Failure;
use crate::store;

/// A checkpoint as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The one that `_latest` names.
    Latest,
    Id(CheckpointId),
}

impl FromStr for Named {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        match text {
            "latest" => Ok(Self::Latest),
            id => id.parse().map(Self::Id),
        }
    }
}

/// Opens the store that there is. Never makes anything.
pub(super) async fn open(args: &StoreArgs) -> Result<Arc<dyn Checkpointer>, Failure> {
    Ok(store::config(args)?.open_checkpointer().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_named_by_its_id_or_as_the_latest() {
        let id = "018bcfe5-6800-7707-8707-070707070707";
        assert_eq!("latest".parse::<Named>().unwrap(), Named::Latest);
        assert_eq!(id.parse::<Named>().unwrap(), Named::Id(id.parse().unwrap()));
        for wrong in ["", "Latest", "_latest", "018bcfe5", "../x"] {
            assert!(wrong.parse::<Named>().is_err(), "{wrong}");
        }
    }
}
