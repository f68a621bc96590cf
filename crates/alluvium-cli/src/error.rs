//! What can go wrong, told in one line, and the exit code it ends in.
//!
//! The line is `error: <what>: <source>: <source> …`: every error names the thing and, where there is one, the way
//! out. With `--json` it is an object with `error` and `kind`. Both go to standard error.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    BackendError, BootstrapError, CheckpointError, CursorStoreError, EngineError, ErrorKind, Evidence,
    ExportError, HandlerError, LogCursorError, LogError, Mode, OpenError, ReplicaError, Sequence, TableError,
    TransportError, WorkerError,
};

use crate::context::ContextError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error("cannot read {what} {path}: mend the path or its permissions")]
    File {
        what: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("{path} is not {what}: name another file")]
    NotA { what: &'static str, path: String },
    #[error("cannot connect to {servers}: start the server, or name another one with --server or --context")]
    Connect {
        servers: String,
        source: async_nats::ConnectError,
    },
    #[error(
        "cannot connect to {servers}: no answer within {} s: start the server, or name another one with --server or --context",
        timeout.as_secs_f32()
    )]
    NoAnswer { servers: String, timeout: Duration },
    #[error("no TLS with {servers}: check --tlsca, --tlscert and --tlskey, or the context they come from")]
    Tls {
        servers: String,
        source: async_nats::ConnectError,
    },
    #[error(
        "{servers} refused the login: check --user and --password, --token, --creds or --nkey, or the context they come from"
    )]
    Login {
        servers: String,
        source: async_nats::ConnectError,
    },
    #[error(
        "the bucket {bucket} does not exist on {servers}: mend --bucket, or create it with `nats kv add {bucket}`"
    )]
    NoBucket { bucket: String, servers: String },
    #[error("{source}")]
    Log {
        source: LogError,
        /// What the server had said on the connection, which no request is told of.
        said: Option<String>,
    },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("{state} holds no table yet: replicate into it first, or mend the path")]
    NoTable { state: String },
    #[error("{state} holds no table {name:?}: it holds {}", found.join(", "))]
    OtherTable {
        state: String,
        name: String,
        found: Vec<String>,
    },
    #[error("{state} holds several tables: choose with --table one of {}", found.join(", "))]
    ManyTables { state: String, found: Vec<String> },
    #[error(
        "{state} holds {} {held}, and a table keeps its mode: leave --mode away, or replicate into another directory for {} {asked}",
        article(*held), article(*asked)
    )]
    OtherMode { state: String, held: Mode, asked: Mode },
    #[error(
        "{state} has no cursor: a fill or a reconcile was cut short; finish it with `alluvium replicate --until-caught-up`"
    )]
    NoCursor { state: String },
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error("no key {key} in {state}")]
    NoKey { key: String, state: String },
    #[error("{summary}")]
    Differs { summary: String },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "there is no _latest in {store}: list what there is with `alluvium checkpoints ls`, and name one by its id"
    )]
    NoLatest { store: String },
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    #[error("{path} is not empty: name a directory that is not there, or empty")]
    Occupied { path: String },
    #[error(
        "{state} holds the table {table} already, at {at}: bootstrap into another directory, or go on with `alluvium replicate`"
    )]
    Filled {
        state: String,
        table: String,
        at: String,
    },
    #[error("cannot {doing} {path}: mend the path or its permissions, and run it again")]
    Disk {
        doing: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("there is no artifact of {key}{at} in {store}: list what there is with `alluvium artifacts ls`")]
    NoArtifact {
        key: String,
        /// What was asked for beside the key, in words.
        at: String,
        store: String,
    },
    #[error("{summary}")]
    Damaged { summary: String },
    #[error(transparent)]
    CursorStore(#[from] CursorStoreError),
    #[error(transparent)]
    LogCursor(#[from] LogCursorError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("there are no cursors in {place}: mend the path, or make one with `alluvium tail --cursor`")]
    NoCursors { place: String },
    #[error("there is no cursor {name} in {place}: list what there is with `alluvium cursors ls`")]
    NoCursorNamed { name: String, place: String },
    #[error(
        "the bucket {bucket} does not exist on {servers}: mend --kv, or create it with `nats kv add {bucket}`"
    )]
    NoCursorBucket { bucket: String, servers: String },
    #[error(
        "the command failed on {} to {} of {}, and was run again {restarts} times before: mend it, or allow more with \
         --max-restarts; what comes after {committed} is not done",
        on.first, on.last, on.log
    )]
    Command {
        on: Evidence,
        restarts: u64,
        committed: Sequence,
        source: Arc<HandlerError>,
    },
    #[error(
        "the batch in hand was not done within {deadline:?}: it is given again at the next start, give it longer with --deadline"
    )]
    Abandoned { deadline: Duration },
    #[error(
        "stopped before the shutdown was finished: what is applied is safe, the next start goes on from it"
    )]
    Impatient,
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("cannot start: the operating system refused")]
    Start(#[source] io::Error),
}

impl Failure {
    /// Tells it on standard error. Returns what the process ends with: `trouble`, unless it is a difference that was looked for.
    pub(crate) fn report(&self, json: bool, trouble: u8) -> ExitCode {
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            // Whoever read has what they wanted.
            return ExitCode::SUCCESS;
        }
        let text = self.line();
        let line = if json {
            serde_json::json!({ "error": text, "kind": self.kind() }).to_string()
        } else {
            format!("error: {text}")
        };
        // Nobody left to tell if this fails.
        let _ = writeln!(io::stderr(), "{line}");
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Differs { .. } => 1,
            _ => trouble,
        })
    }

    /// The whole chain on one line.
    pub(crate) fn line(&self) -> String {
        let mut line = chain(self);
        if let Self::Log { said: Some(said), .. } = self {
            line = format!("{line}: the server said: {}", one_line(said));
        }
        if matches!(self, Self::Log { .. }) && line.ends_with("no responders") {
            line.push_str(
                ": nobody serves JetStream there, turn it on or mend --js-domain or --js-api-prefix",
            );
        }
        if is_full_disk(self) {
            line.push_str(": free disk space and run it again, what was applied is kept");
        }
        line
    }

    /// What the caller should do, in a word, for scripts.
    fn kind(&self) -> &'static str {
        let kind = match self {
            Self::Usage(_) => return "usage",
            Self::Differs { .. } => return "differs",
            Self::Context(_)
            | Self::Tls { .. }
            | Self::NotA { .. }
            | Self::Occupied { .. }
            | Self::Filled { .. }
            | Self::OtherTable { .. }
            | Self::OtherMode { .. }
            | Self::ManyTables { .. } => ErrorKind::Invalid,
            Self::Login { .. } => return "login",
            Self::NoBucket { .. }
            | Self::NoTable { .. }
            | Self::NoKey { .. }
            | Self::NoLatest { .. }
            | Self::NoArtifact { .. }
            | Self::NoCursors { .. }
            | Self::NoCursorNamed { .. }
            | Self::NoCursorBucket { .. } => ErrorKind::NotFound,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::File { .. }
            | Self::Disk { .. }
            | Self::Connect { .. }
            | Self::NoAnswer { .. }
            | Self::NoCursor { .. }
            | Self::Command { .. }
            | Self::Abandoned { .. }
            | Self::Impatient
            | Self::Output(_)
            | Self::Start(_) => ErrorKind::Unavailable,
            Self::Log { source, .. } => source.kind(),
            Self::Open(error) => error.kind(),
            Self::Backend(error) => error.kind(),
            Self::Checkpoint(error) => error.kind(),
            Self::Transport(error) => error.kind(),
            Self::Export(error) => error.kind(),
            Self::Bootstrap(error) => error.kind(),
            Self::Engine(error) => error.kind(),
            Self::Table(error) => error.kind(),
            Self::Replica(error) => error.kind(),
            Self::CursorStore(error) => error.kind(),
            Self::LogCursor(error) => error.kind(),
            Self::Worker(error) => error.kind(),
        };
        match kind {
            ErrorKind::Transient => "transient",
            ErrorKind::Fenced => "fenced",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Invalid => "invalid",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::NotFound => "not_found",
        }
    }
}

/// An error and its sources on one line. Sources that an error has already said itself are not said again: the NATS
/// client's errors do that.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = one_line(&error.to_string());
    let mut source = error.source();
    while let Some(error) = source {
        let text = one_line(&error.to_string());
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    let mut parts: Vec<&str> = line.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

fn article(mode: Mode) -> &'static str {
    match mode {
        Mode::Mirror => "a",
        Mode::Archive => "an",
    }
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether somewhere at the bottom a write found no room.
fn is_full_disk(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn a_chain_is_one_line_and_says_nothing_twice() {
        let bottom = Layer {
            text: "no\nway\r\n",
            source: None,
        };
        let middle = Layer {
            text: "middle: middle: no way",
            source: Some(Box::new(bottom)),
        };
        let top = Layer {
            text: "top",
            source: Some(Box::new(middle)),
        };
        assert_eq!(chain(&top), "top: middle: no way");
    }

    #[test]
    fn a_full_disk_is_told_with_its_way_out() {
        let failure = Failure::from(EngineError::Io {
            doing: "write",
            path: "journal".into(),
            source: io::Error::from(io::ErrorKind::StorageFull),
        });
        assert!(failure.line().contains("free disk space"), "{}", failure.line());
    }
}
