//! What can be typed after `alluvium cursors`.

use std::path::PathBuf;

use alluvium::Sequence;
use alluvium::cursor_store::cursor_key;
use clap::{Args, Subcommand};

use super::{ConnectionArgs, sequence};

#[derive(Debug, Args)]
pub(crate) struct CursorsArgs {
    #[command(subcommand)]
    pub(crate) command: CursorsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CursorsCommand {
    /// List the cursors, by name.
    ///
    /// Says of each how many messages of its log come after it, those included that its scope leaves out, if a server can be asked.
    /// What cannot be read is listed with the reason. Exit code 1 if there is such a one.
    #[command(after_help = "Examples:\n  \
        alluvium cursors ls --state ./mailer\n  \
        alluvium cursors ls --kv cursors --context edge --json")]
    Ls(LsArgs),

    /// Say everything about a cursor.
    #[command(after_help = "Example:\n  alluvium cursors show --kv cursors mailer --json")]
    Show(ShowArgs),

    /// Move a cursor to another position.
    ///
    /// Whoever holds the cursor is fenced, and cannot move it any more: start it again afterwards. A log that was created again
    /// is the cursor's log from then on. Says where the cursor was; nothing is done without --yes.
    #[command(after_help = "Examples:\n  \
        alluvium cursors reset --kv cursors mailer --to-oldest --yes\n  \
        alluvium cursors reset --state ./mailer mailer --to-sequence 1200000 --yes")]
    Reset(ResetArgs),

    /// Remove cursors, readable or not.
    ///
    /// Asks nothing. Whoever holds one is fenced; whoever holds it next begins anew.
    #[command(after_help = "Example:\n  alluvium cursors rm --kv cursors mailer")]
    Rm(RmArgs),
}

/// Where cursors are kept.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CursorPlaceArgs {
    /// The directory that they are in, in files cursors/NAME.ckpt.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// The KV bucket that they are in.
    #[arg(long, value_name = "BUCKET")]
    pub(crate) kv: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) place: CursorPlaceArgs,

    /// Ask no server how many messages come after the cursors in --state.
    #[arg(long, conflicts_with = "kv")]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) place: CursorPlaceArgs,

    /// The cursor.
    #[arg(value_name = "NAME", value_parser = cursor)]
    pub(crate) name: String,

    /// Ask no server how many messages come after a cursor in --state.
    #[arg(long, conflicts_with = "kv")]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    pub(crate) place: CursorPlaceArgs,

    /// The cursor.
    #[arg(value_name = "NAME", value_parser = cursor)]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Do it.
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Where to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TargetArgs {
    /// The message of this sequence comes next, or the first one after it that the log holds.
    #[arg(long = "to-sequence", value_name = "N", value_parser = sequence)]
    pub(crate) sequence: Option<Sequence>,

    /// The oldest message that the log holds comes next.
    #[arg(long = "to-oldest")]
    pub(crate) oldest: bool,

    /// The next message that is stored comes next.
    #[arg(long = "to-end")]
    pub(crate) end: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    #[command(flatten)]
    pub(crate) place: CursorPlaceArgs,

    /// The cursors.
    #[arg(value_name = "NAME", required = true, value_parser = cursor)]
    pub(crate) names: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// The name of a cursor, if every store can keep it.
pub(super) fn cursor(text: &str) -> Result<String, String> {
    match cursor_key(text, '%') {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_a_name_that_every_store_can_keep() {
        for right in ["mailer", "../a/b", "ä b"] {
            assert_eq!(cursor(right).as_deref(), Ok(right));
        }
        for wrong in ["", "a\0", "a\nb", &"x".repeat(300)] {
            assert!(cursor(wrong).is_err(), "{wrong:?}");
        }
    }
}
