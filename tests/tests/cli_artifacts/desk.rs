//! A store with artifacts in it, and the command that is run on it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alluvium::artifact::{ArtifactManifest, Draft, Outcome};
use alluvium::segment::{SegmentRow, encode};
use alluvium::{
    ArtifactKey, Change, Cursor, EngineTable, ExportOptions, Exporter, LogIdentity, MemoryEngine, Mode,
    Scope, Sequence, StateConfig, Table as _, Timestamp, Transport,
};
use alluvium_e2e::{StoreServer, command, wait};
use futures_util::{StreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// The key of the artifacts: its directory has another name.
pub(crate) const KEY: &str = "Fleet/routes";
/// Where they are in the bucket.
const PREFIX: &str = "fleet";

/// A store, a table to export to it, and a home for state directories.
pub(crate) struct Desk<S> {
    pub(crate) server: S,
    pub(crate) transport: Arc<dyn Transport>,
    home: TempDir,
    table: Arc<EngineTable>,
}

impl<S: StoreServer> Desk<S> {
    pub(crate) async fn new(server: S) -> Self {
        let mut config = StateConfig::new(&server.url(PREFIX)).expect("a place");
        for (name, value) in server.options() {
            config = config.option(name, value);
        }
        let transport = config.open_transport().await.expect("it opens");
        let engine = Arc::new(MemoryEngine::in_memory());
        let table = Arc::new(EngineTable::open(engine, "routes").expect("a table"));
        table.track_changes(true).expect("it tracks");
        Self {
            server,
            transport,
            home: tempfile::tempdir().expect("a temporary directory"),
            table,
        }
    }

    pub(crate) fn key() -> ArtifactKey {
        KEY.parse().expect("a key")
    }

    /// A directory that is not there.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts keys of these numbers into the table, and exports it in segments of a few rows.
    pub(crate) async fn publish(&self, keys: std::ops::Range<u64>) -> ArtifactManifest {
        let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(5));
        let before = self.table.cursor().map_or(0, |cursor| cursor.sequence.get());
        let changes = keys.zip(before + 1..).map(|(key, sequence)| {
            let (sequence, stored) = (Sequence::new(sequence), Timestamp::from_nanos(99));
            Change::put(format!("key.{key:03}"), vec![b'v'; 100], sequence, stored)
        });
        let changes: Vec<Change> = changes.collect();
        let last = changes.last().expect("there are some").sequence;
        let cursor = Cursor::start_of(log).at(last, Timestamp::from_nanos(99));
        self.table.apply(&changes, &cursor).expect("it is applied");
        let options = ExportOptions::default().segment_bytes(400).exporter("node-1");
        let table = Arc::clone(&self.table);
        let exporter = Exporter::new(table, Arc::clone(&self.transport), Self::key(), options);
        let outcome = exporter.export().await.expect("it is exported");
        let report = outcome.report().expect("it is published");
        report.published.manifest.clone()
    }

    /// Publishes an artifact of one row, and tells that there are two.
    pub(crate) async fn publish_a_lie(&self) {
        let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(5));
        let row = SegmentRow {
            key: "key".into(),
            sequence: Sequence::new(1),
            timestamp: Timestamp::from_nanos(99),
            value: Some("value".into()),
        };
        let (mut info, bytes) = encode(&[row]).expect("a segment");
        info.rows = 2;
        let draft = Draft {
            table: "routes".to_owned(),
            cursor: Cursor::start_of(log).at(Sequence::new(1), Timestamp::from_nanos(99)),
            scope: Scope::all(),
            mode: Mode::Mirror,
            has_evicted: false,
            since: None,
            runs: Vec::new(),
            after: Sequence::ZERO,
            level: 0,
            parent: None,
            created_ms: 0,
            exporter: "nobody".to_owned(),
        };
        let segments = stream::iter([Ok((info, bytes))]).boxed();
        let outcome = self.transport.upload(&Self::key(), draft, segments).await;
        assert!(matches!(outcome, Ok(Outcome::Published(_))), "{outcome:?}");
    }

    /// Waits until the newest artifact is at this sequence.
    pub(crate) async fn wait_for_artifact(&self, sequence: u64) {
        wait::until_ok(PATIENCE, "it is exported", || async {
            let newest = self.transport.manifest(&Self::key()).await.expect("it is read");
            let newest = newest.map(|newest| newest.cursor.sequence.get());
            if newest >= Some(sequence) {
                Ok(())
            } else {
                Err(newest)
            }
        })
        .await;
    }

    /// What is stored at a path of the artifacts.
    pub(crate) async fn stored(&self, path: &str) -> Vec<u8> {
        let object = self.server.store().get(&place(path)).await;
        object
            .expect("it is there")
            .bytes()
            .await
            .expect("it is read")
            .into()
    }

    /// Replaces what is stored there, or removes it.
    pub(crate) async fn damage(&self, path: &str, bytes: Option<Vec<u8>>) {
        let (store, path) = (self.server.store(), place(path));
        match bytes {
            Some(bytes) => drop(store.put(&path, bytes.into()).await.expect("it is put")),
            None => store.delete(&path).await.expect("it is removed"),
        }
    }

    /// The command, cut off from whatever this machine has for AWS or NATS.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut run = Command::new(command::binary().expect("the command is built"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("AWS_") || name.starts_with("NATS_") || name == "RUST_LOG" {
                run.env_remove(&variable);
            }
        }
        for (name, value) in self.server.options() {
            let name = name.strip_prefix("aws_").unwrap_or(&name).to_uppercase();
            run.env(format!("AWS_{name}"), value);
        }
        run.args(arguments)
            .env("XDG_CONFIG_HOME", self.path("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        run
    }

    /// The URL of the store.
    pub(crate) fn url(&self) -> String {
        self.server.url(PREFIX)
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        timeout(PATIENCE, self.command(arguments).output())
            .await
            .expect("the command ends")
            .expect("the command runs")
    }

    /// Runs it with `--json` on the store. Gives the lines that it has printed; it ends with this code.
    pub(crate) async fn json(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let store = self.url();
        let output = self
            .run(&[arguments, &["--store", &store, "--json"]].concat())
            .await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        if code != 0 {
            error_of(&output);
        }
        lines_of(&output)
    }

    /// Runs it with `--json` on the store. Gives the error that it ends with.
    pub(crate) async fn error(&self, arguments: &[&str]) -> Value {
        let store = self.url();
        let output = self
            .run(&[arguments, &["--store", &store, "--json"]].concat())
            .await;
        assert!(!output.status.success(), "{output:?}");
        error_of(&output)
    }
}

/// Where something is in the bucket.
fn place(path: &str) -> Path {
    Path::parse(format!("{PREFIX}/{path}")).expect("a path")
}

/// What a command with `--json` has printed.
pub(crate) fn lines_of(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The one line that a command with `--json` has failed with.
pub(crate) fn error_of(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stderr).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    serde_json::from_str(lines[0]).expect("JSON")
}
