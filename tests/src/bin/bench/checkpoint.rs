//! `checkpoint`: whole checkpoints, saved, completed and announced, beside the bare store that takes the same bytes; what a
//! delta takes of a full checkpoint; and the memory that a partition takes which has no room in it.

mod delta;
pub(crate) mod memory;
pub(crate) mod subject;
mod transfer;

use anyhow::{Result, ensure};

use self::subject::{Kind, Subject};
use crate::Options;
use crate::report::Report;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let mut kinds = Kind::ALL.to_vec();
    if let Some(only) = &options.only {
        kinds.retain(|kind| kind.name() == only);
        ensure!(!kinds.is_empty(), "no checkpoints are measured on {only:?}");
    }
    for kind in kinds {
        transfer::run(&Subject::open(kind)?, options.rounds, report).await?;
        delta::run(&Subject::open(kind)?, options.keys, report).await?;
        memory::run(&Subject::open(kind)?, report)?;
    }
    Ok(())
}
