//! What can be typed where a bucket is followed.

use std::time::Duration;

use alluvium::{Durability, Filter, Mode};
use clap::{Args, ValueEnum};

use super::{ConnectionArgs, FleetArgs, StateArgs, duration};

/// A bucket is asked what it holds no more often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    alluvium replicate --bucket routes --state ./routes\n  \
    alluvium replicate --bucket routes --state memory:./eu --scope 'api.eu.>' --scope 'web.eu.>'\n  \
    alluvium replicate --bucket routes --state ./routes --until-caught-up --json --context edge\n  \
    alluvium replicate --bucket audit --state ./audit --mode archive --serve-when-refused\n  \
    alluvium replicate --bucket routes --state ./routes --store s3://bucket/fleet --key routes --export-every 5m")]
pub(crate) struct ReplicateArgs {
    /// The bucket to follow.
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: String,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Keep only keys that match this subject filter; may be given more than once [default: all keys].
    #[arg(long, value_name = "FILTER")]
    pub(crate) scope: Vec<Filter>,

    /// What the table keeps of what the bucket forgets [default: as before, and mirror for a new table].
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<ModeName>,

    /// What a returned commit survives: buffered (death of the process) or fsync (loss of power).
    #[arg(long, value_name = "DURABILITY", default_value_t = Durability::Buffered)]
    pub(crate) durability: Durability,

    /// How often the bucket is asked what it holds, from 100ms to 24h: how soon a mirror forgets what the bucket forgot
    /// without a marker, and how soon it is told that the bucket is not heard from.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    pub(crate) bounds_every: Duration,

    /// Where there is no correct way from the table to the bucket: stay running, stale, with the table as it is, and go on
    /// as soon as the bucket or an artifact allows it [default: end with exit code 1].
    #[arg(long)]
    pub(crate) serve_when_refused: bool,

    /// Stop, with exit code 0, when everything that the bucket held is applied.
    #[arg(long)]
    pub(crate) until_caught_up: bool,

    #[command(flatten)]
    pub(crate) fleet: FleetArgs,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// What a table keeps of what its log forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// Nothing: it holds the keys that the bucket holds.
    Mirror,
    /// All that was merely evicted: only who deletes a key deletes it here.
    Archive,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Mirror => Self::Mirror,
            ModeName::Archive => Self::Archive,
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|time| *time >= SHORTEST_INTERVAL)
        .ok_or_else(|| format!("{text:?} is no interval from 100ms to 24h: use 5s, 500ms or 1m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_neither_too_short_nor_too_long() {
        assert_eq!(interval("100ms"), Ok(SHORTEST_INTERVAL));
        assert_eq!(interval("24h"), Ok(Duration::from_hours(24)));
        for wrong in ["99ms", "0", "25h", "5x", ""] {
            assert!(interval(wrong).is_err(), "{wrong:?}");
        }
    }
}
