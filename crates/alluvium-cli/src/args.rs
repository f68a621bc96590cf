//! What can be typed: commands, options, and their help.

mod artifacts;
mod checkpoints;
mod connection;
mod cursors;
mod replicate;
mod store;
mod tail;
mod travel;

use std::ffi::OsString;
use std::time::Duration;

use alluvium::Sequence;
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::artifacts::{
    ArtifactsArgs, ArtifactsCommand, LsArgs as LsArtifactsArgs, PruneArgs as PruneArtifactsArgs,
    ShowArgs as ShowArtifactArgs, VerifyArgs as VerifyArtifactsArgs,
};
pub(crate) use self::checkpoints::{
    CheckpointsArgs, CheckpointsCommand, LsArgs, PruneArgs, RmArgs, ShowArgs,
    VerifyArgs as VerifyCheckpointsArgs,
};
pub(crate) use self::connection::ConnectionArgs;
pub(crate) use self::cursors::{
    CursorPlaceArgs, CursorsArgs, CursorsCommand, LsArgs as LsCursorsArgs, ResetArgs as ResetCursorArgs,
    RmArgs as RmCursorsArgs, ShowArgs as ShowCursorArgs, TargetArgs as CursorTargetArgs,
};
pub(crate) use self::replicate::ReplicateArgs;
pub(crate) use self::store::StoreArgs;
pub(crate) use self::tail::{Source, TailArgs};
pub(crate) use self::travel::{BootstrapArgs, ConvertArgs, DiffArgs, ExportArgs, FleetArgs};
use crate::state::Place;

/// Durable local state from NATS JetStream KV buckets.
///
/// Follows a bucket into a state directory that survives a kill at any instant, goes on where it stopped, and can be
/// read and verified while nobody follows. Carries tables from one machine to another through object stores, as artifacts that
/// any engine can load. Lists, verifies and prunes those, and the checkpoints that programs keep.
#[derive(Debug, Parser)]
#[command(
    name = "alluvium",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed (or, for verify and diff, different or damaged), 2 wrong usage (or, for \
        diff, trouble).\n\n\
        Examples:\n  \
        alluvium replicate --bucket routes --state ./routes\n  \
        alluvium get --state ./routes api.eu\n  \
        alluvium verify --state ./routes --bucket routes\n  \
        alluvium export --state ./routes --store s3://bucket/fleet --key routes\n  \
        alluvium bootstrap --state ./routes --store s3://bucket/fleet --key routes\n  \
        alluvium checkpoints ls --store s3://bucket/job\n  \
        alluvium tail ORDERS --cursor mailer --state ./mailer --exec ./mail.sh"
)]
pub(crate) struct Cli {
    /// Print JSON, one object a line, errors included.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say more on standard error: -v what happens, -vv why, -vvv everything; the variable
    /// `RUST_LOG`, if set, is used instead.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow a bucket into a state directory.
    ///
    /// Fills the directory on the first run, and goes on from its cursor on every later one. Runs until SIGINT or
    /// SIGTERM, which end it with exit code 0 and everything received applied. A directory belongs to one bucket, one
    /// scope, one mode and one engine for ever; one process has it open at a time.
    ///
    /// Tells what it is at, since when and why: bootstrapping, restoring, reconciling, filling, live, stalled or refused.
    /// docs/OPERATING.md says what each means, and what to do.
    ///
    /// Engines: fjall (an LSM tree, for state of any size), memory (in RAM, with a log on disk), and rocksdb where the
    /// command was built with that feature.
    Replicate(ReplicateArgs),

    /// Print the value of a key.
    ///
    /// Prints the bytes of the value exactly, with a newline after them only on a terminal. A key that is not there
    /// is exit code 1.
    Get(GetArgs),

    /// Print the entries of a state directory, in key order.
    ///
    /// One entry a line: the key, a tab, the value. What is not printable is escaped; --json has it all, sequence and
    /// timestamp included.
    Scan(ScanArgs),

    /// Say what a state directory holds and how far it has come.
    Status(StatusArgs),

    /// Compare a state directory with the live bucket, key by key.
    ///
    /// Values, sequences and timestamps are compared for every key in scope. Exit code 0 if they are equal, 1 if
    /// anything differs. The state is compared at its cursor: changes that the bucket has had since then are
    /// differences too, and are said to be that, so stop the writers or catch up first.
    Verify(VerifyArgs),

    /// Export a stopped state directory to an object store, for any machine to start from.
    ///
    /// Uploads what has changed since the newest artifact of the key, or the whole table where that cannot be told. Nothing
    /// is written to a local disk, and any engine can load what any other exported. Ends well if there is nothing new, and
    /// if somebody else was faster. A running replica exports by itself: see `replicate --export-every`.
    Export(ExportArgs),

    /// Fill a new state directory from an artifact.
    ///
    /// Fetches what the scope needs, in parallel, checks it, and fills the table in one step: after an error or a kill the
    /// table is as it was, and the next run fetches only what is not there yet. `alluvium replicate` goes on from there.
    Bootstrap(BootstrapArgs),

    /// Copy a state directory into a new one of another engine.
    ///
    /// Copies everything: tables with their cursors, scopes and change indexes, partials, seals and the fence. The new
    /// directory is there when all of it is; until then it is called DIR.converting, and what a kill leaves of that is
    /// replaced by the next run. Nothing of the old one changes.
    Convert(ConvertArgs),

    /// Compare two state directories, artifacts or buckets, key by key.
    ///
    /// Each side is a state directory (DIR, fjall:DIR, ...), an artifact (URL#KEY, or URL#KEY@SEQUENCE for the newest at
    /// that sequence or before) or a live bucket (nats:BUCKET, with the connection options, or `nats://HOST:PORT/BUCKET`).
    /// Values, sequences and timestamps are compared, in one pass in bounded memory; artifacts and buckets go through a
    /// scratch directory.
    ///
    /// Exit code 0 if they are equal, 1 if they differ, 2 if that could not be found out.
    Diff(DiffArgs),

    /// List, verify and remove the checkpoints in an object store.
    #[command(after_help = "Example:\n  alluvium checkpoints ls --store s3://bucket/job")]
    Checkpoints(CheckpointsArgs),

    /// List, verify and remove the artifacts in an object store: tables that any machine can start from.
    #[command(after_help = "Example:\n  alluvium artifacts ls --store s3://bucket/fleet")]
    Artifacts(ArtifactsArgs),

    /// Print the messages of a stream or bucket as JSON lines, or give them to a command, and remember how far.
    ///
    /// Prints one JSON object a line: sequence, timestamp, subject and headers (of a bucket: key and operation), and the
    /// value as text in `value`, or where it is not UTF-8 in `value_base64`. With --cursor it goes on where it stopped:
    /// each message is given at least once, in order, and the cursor moves when a batch is written and flushed, or when the
    /// command has ended with exit code 0.
    ///
    /// A command that fails is run again with what comes after the last batch that was done, after a pause that doubles
    /// from 0.1 s to 10 s, and --max-restarts times at most within an hour. It is in a process group of its own, and finds
    /// in its environment `ALLUVIUM_WORKER`, `ALLUVIUM_LOG`, `ALLUVIUM_FIRST`, `ALLUVIUM_LAST` and `ALLUVIUM_ATTEMPT`. A
    /// batch may be cut otherwise when it is given again.
    ///
    /// Runs until SIGINT or SIGTERM, which let the batch in hand be done within --deadline, or until nobody reads what it
    /// prints; that is exit code 0. Messages that were gone before they could be given are told on standard error.
    Tail(TailArgs),

    /// List, show, move and remove the cursors of tails and other consumers.
    #[command(after_help = "Example:\n  alluvium cursors ls --kv cursors")]
    Cursors(CursorsArgs),

    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  alluvium completions bash > /etc/bash_completion.d/alluvium")]
    Completions(CompletionsArgs),
}

/// Which state.
#[derive(Clone, Debug, Args)]
pub(crate) struct StateArgs {
    /// The state directory. fjall:DIR, memory:DIR or rocksdb:DIR names its engine too; a bare DIR has the one that it
    /// was made with, and a new one is fjall's.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: Place,

    /// The table in it, for a directory that a program has put several into [default: the only one; new ones are
    /// named kv].
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alluvium get --state ./routes api.eu > api.eu.bin")]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// The key, without the bucket.
    #[arg(value_name = "KEY")]
    pub(crate) key: OsString,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    alluvium scan --state ./routes api.\n  \
    alluvium scan --state ./routes --json --limit 10")]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Only keys that begin with this.
    #[arg(value_name = "PREFIX")]
    pub(crate) prefix: Option<OsString>,

    /// Stop after so many entries.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alluvium status --state ./routes --json")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    alluvium replicate --bucket routes --state ./routes --until-caught-up &&\n    \
    alluvium verify --bucket routes --state ./routes")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// The bucket to compare with.
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: String,

    /// How many differences to name; all are counted.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) examples: usize,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// A time that something may take: up to a day, and not nothing.
fn duration(text: &str) -> Result<Duration, String> {
    time(text)
        .ok()
        .filter(|time| !time.is_zero() && *time <= Duration::from_hours(24))
        .ok_or_else(|| no_time(text))
}

/// A duration as Go writes it: numbers with units, `1m30s`. A number alone is seconds.
fn time(text: &str) -> Result<Duration, String> {
    let fail = || no_time(text);
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    if text.is_empty() {
        return Err(fail());
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(fail)?;
        let number: f64 = rest[..digits].parse().map_err(|_| fail())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(fail()),
        };
        seconds += number * unit;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| fail())
}

/// A position in a log.
fn sequence(text: &str) -> Result<Sequence, String> {
    let number: u64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a sequence: use a number, such as 1200000"))?;
    Ok(Sequence::new(number))
}

fn no_time(text: &str) -> String {
    format!("{text:?} is not a time: use 5s, 500ms or 1m")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for wrong in [
            "",
            "0",
            "0s",
            "s",
            "5x",
            "-1s",
            "1e400s",
            "..s",
            "5 s",
            "99999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        assert_eq!(time("168h"), Ok(Duration::from_hours(168)));
        for wrong in ["", "s", "5x", "-1s", "1e400s", "..s", "5 s"] {
            assert!(time(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let given = [
            "--server",
            "nats://u:hunter2@h",
            "--user",
            "hunter2",
            "--password",
            "hunter2",
            "--token",
            "hunter2",
            "--nkey",
            "hunter2",
        ];
        let line = [
            "alluvium",
            "verify",
            "--state",
            "s3://me:hunter2@b",
            "--bucket",
            "b",
        ];
        let cli = Cli::try_parse_from(line.into_iter().chain(given)).unwrap();
        assert!(!format!("{cli:?}").contains("hunter2"));
        let line = ["alluvium", "checkpoints", "ls", "--store", "s3://me:hunter2@b"];
        let given = ["--store-option", "secret_access_key=hunter2"];
        let cli = Cli::try_parse_from(line.into_iter().chain(given)).unwrap();
        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
