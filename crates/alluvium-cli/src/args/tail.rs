//! What can be typed after `alluvium tail`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use alluvium::{Filter, StartAt};
use clap::{ArgGroup, Args};

use super::cursors::cursor;
use super::{ConnectionArgs, duration, sequence};

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("place").args(["state", "kv"]).multiple(false),
    after_help = "Examples:\n  \
        alluvium tail ORDERS --filter 'orders.eu.>' | jq -r .value\n  \
        alluvium tail ORDERS --cursor mailer --state ./mailer --exec ./mail.sh\n  \
        alluvium tail KV:routes --cursor audit --kv cursors --from oldest >> routes.jsonl"
)]
pub(crate) struct TailArgs {
    /// The stream, or KV:BUCKET for a bucket.
    #[arg(value_name = "STREAM")]
    pub(crate) source: Source,

    /// Only messages of subjects, or keys of the bucket, that match this; may be given more than once [default: all].
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<Filter>,

    /// Go on after what was done under this name, and keep how far it has come. The name is taken over from whoever holds it.
    #[arg(long, value_name = "NAME", value_parser = cursor, requires = "place")]
    pub(crate) cursor: Option<String>,

    /// Keep the cursor in this directory, as cursors/NAME.ckpt.
    #[arg(long, value_name = "DIR", requires = "cursor")]
    pub(crate) state: Option<PathBuf>,

    /// Keep the cursor in this KV bucket, which has to be there.
    #[arg(long, value_name = "BUCKET", requires = "cursor")]
    pub(crate) kv: Option<String>,

    /// Where to begin if there is no cursor yet: oldest, next, or a sequence.
    #[arg(long, value_name = "oldest|next|SEQUENCE", default_value = "oldest", value_parser = start)]
    pub(crate) from: StartAt,

    /// The most messages in a batch; it has fewer if fewer have arrived, or if they are large.
    #[arg(long, value_name = "N", default_value = "1024")]
    pub(crate) batch: NonZeroUsize,

    /// Give each batch to this command, run by `sh -c`, on its standard input. If it ends with exit code 0 the batch is done,
    /// else it is given again.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,

    /// How long the command may take for a batch; then it is killed, and has failed: 30s, 5m [default: for ever].
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "exec")]
    pub(crate) exec_timeout: Option<Duration>,

    /// How often a command that fails is run again, within an hour, before the tail ends with an error.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) max_restarts: u32,

    /// How long, after SIGINT or SIGTERM, the batch in hand may still take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) deadline: Duration,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// A stream or a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stream(String),
    Bucket(String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("KV:") {
            Some("") => Err("KV: without a bucket: use KV:BUCKET".to_owned()),
            Some(bucket) => Ok(Self::Bucket(bucket.to_owned())),
            None if text.is_empty() => Err("a stream without a name: name one".to_owned()),
            None => Ok(Self::Stream(text.to_owned())),
        }
    }
}

fn start(text: &str) -> Result<StartAt, String> {
    match text {
        "oldest" => Ok(StartAt::Oldest),
        "next" => Ok(StartAt::Next),
        number => match sequence(number) {
            Ok(sequence) => Ok(StartAt::Sequence(sequence)),
            Err(_) => Err(format!(
                "{number:?} is no place to begin: use oldest, next, or a sequence"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use alluvium::Sequence;

    use super::*;

    #[test]
    fn a_source_is_a_stream_or_a_bucket() {
        assert_eq!("ORDERS".parse(), Ok(Source::Stream("ORDERS".to_owned())));
        assert_eq!("KV:routes".parse(), Ok(Source::Bucket("routes".to_owned())));
        assert_eq!("KV_routes".parse(), Ok(Source::Stream("KV_routes".to_owned())));
        for wrong in ["", "KV:"] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_beginning_is_a_word_or_a_sequence() {
        assert_eq!(start("oldest"), Ok(StartAt::Oldest));
        assert_eq!(start("next"), Ok(StartAt::Next));
        assert_eq!(start("7"), Ok(StartAt::Sequence(Sequence::new(7))));
        for wrong in ["", "-1", "newest", "1.5", "18446744073709551616"] {
            assert!(start(wrong).is_err(), "{wrong:?}");
        }
    }
}
