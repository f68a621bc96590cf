//! `alluvium checkpoints`: what there is in an object store, whether it is whole, and removing it.
//!
//! | module | what it does |
//! |---|---|
//! | [`store`] | opening the store, and naming checkpoints in it |
//! | [`catalog`] | reading manifests and `_latest`, damaged ones too |
//! | [`list`] | `ls` |
//! | [`show`] | `show` |
//! | [`verify`] | `verify` |
//! | [`remove`] | `rm` and `prune` |
//!
//! What cannot be read because it is damaged is told, and the rest goes on. What is out of reach for any other reason ends
//! the command: nothing is known of it.

mod catalog;
mod list;
mod remove;
mod show;
mod store;
mod verify;

use std::time::{Duration, SystemTime};

use alluvium::Timestamp;
use tokio::runtime;

use crate::args::{CheckpointsArgs, CheckpointsCommand};
use crate::error::Failure;
use crate::output::Output;

pub(crate) use self::store::{Named, StoreOption};

pub(crate) fn run(args: &CheckpointsArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Start)?;
    runtime.block_on(async {
        match &args.command {
            CheckpointsCommand::Ls(args) => list::run(args, now(), output).await,
            CheckpointsCommand::Show(args) => show::run(args, now(), output).await,
            CheckpointsCommand::Verify(args) => verify::run(args, output, verbose).await,
            CheckpointsCommand::Rm(args) => remove::rm(args, output).await,
            CheckpointsCommand::Prune(args) => remove::prune(args, output).await,
        }
    })
}

/// What time it is, for ages: nothing is decided by them.
#[allow(
    clippy::disallowed_methods,
    reason = "an age for people begins at the wall clock; it is passed on from here"
)]
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// An instant in milliseconds, as manifests have them.
fn instant(millis: i64) -> Timestamp {
    Timestamp::from_nanos(millis.saturating_mul(1_000_000))
}

/// How long ago that was; nothing for what is yet to come, by a clock that differs.
fn age(taken: Timestamp, now: Timestamp) -> Duration {
    let nanos = now.as_nanos().saturating_sub(taken.as_nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A time for people, in its two largest units.
fn human_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A number of things.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_readable_and_never_negative() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3_599, "59m 59s"),
            (7_320, "2h 2m"),
            (90_000, "1d 1h"),
            (86_400 * 400, "400d 0h"),
        ] {
            assert_eq!(human_time(Duration::from_secs(seconds)), text);
        }
        assert_eq!(age(instant(5_000), instant(2_000)), Duration::ZERO);
        assert_eq!(age(instant(2_000), instant(5_000)), Duration::from_secs(3));
        assert_eq!(
            age(instant(i64::MIN), instant(i64::MAX)),
            Duration::from_nanos(i64::MAX.unsigned_abs())
        );
    }
}
