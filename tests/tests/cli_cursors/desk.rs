//! One server for all of these tests, and a machine that the command runs on.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alluvium::{CursorStore, FileCursorStore, KvCursorStore};
use alluvium_e2e::nats_server::signal;
use alluvium_e2e::{NatsServer, command, wait};
use async_nats::Client;
use async_nats::jetstream::{self, kv, stream};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The server. It ends with this process.
async fn server() -> &'static NatsServer {
    static SERVER: OnceCell<NatsServer> = OnceCell::const_new();
    SERVER.get_or_init(NatsServer::start).await
}

/// A directory of its own, and of NATS only what a test gives it.
pub(crate) struct Desk {
    home: TempDir,
    pub(crate) client: Client,
    pub(crate) context: jetstream::Context,
    pub(crate) url: String,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let url = server().await.url();
        let client = async_nats::connect(&url).await.expect("a client connects");
        Self {
            home: tempfile::tempdir().expect("a temporary directory"),
            context: jetstream::new(client.clone()),
            client,
            url,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The directory for cursors, as text.
    pub(crate) fn state(&self) -> String {
        self.path("state").display().to_string()
    }

    pub(crate) fn files(&self) -> FileCursorStore {
        FileCursorStore::open(self.path("state")).expect("it opens")
    }

    /// The position that is stored in the directory, 0 if there is none.
    pub(crate) async fn stored(&self, name: &str) -> u64 {
        let record = self.files().load(name).await.expect("it is read");
        record.map_or(0, |record| record.cursor.sequence.get())
    }

    /// Waits until the position that is stored in the directory is this one.
    pub(crate) async fn wait_for_cursor(&self, name: &str, sequence: u64) {
        wait::until_ok(PATIENCE, &format!("{name} is at {sequence}"), || async {
            let stored = self.stored(name).await;
            if stored == sequence { Ok(()) } else { Err(stored) }
        })
        .await;
    }

    /// A stream of this name with the subjects below it in lower case, and so many messages.
    pub(crate) async fn stream(&self, name: &str, messages: u64) -> stream::Stream {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("{}.>", name.to_lowercase())],
            ..stream::Config::default()
        };
        let stream = self.context.create_stream(config).await.expect("a stream");
        self.publish(name, messages).await;
        stream
    }

    /// Messages `1`, `2` and so on, in turn under `.eu` and `.us`.
    pub(crate) async fn publish(&self, stream: &str, messages: u64) {
        // So many are on their way at a time.
        const AT_A_TIME: usize = 500;
        let numbers: Vec<u64> = (1..=messages).collect();
        for numbers in numbers.chunks(AT_A_TIME) {
            let mut acks = Vec::new();
            for number in numbers {
                let place = if number % 2 == 1 { "eu" } else { "us" };
                let subject = format!("{}.{place}", stream.to_lowercase());
                let sent = self.context.publish(subject, number.to_string().into()).await;
                acks.push(sent.expect("it is sent"));
            }
            for ack in acks {
                ack.await.expect("it is stored");
            }
        }
    }

    pub(crate) async fn bucket(&self, name: &str) -> kv::Store {
        let config = kv::Config {
            bucket: name.to_owned(),
            history: 10,
            ..kv::Config::default()
        };
        self.context.create_key_value(config).await.expect("a bucket")
    }

    /// The cursors in a bucket, which is created.
    pub(crate) async fn cursors_in(&self, bucket: &str) -> Arc<dyn CursorStore> {
        let store = KvCursorStore::builder(self.client.clone(), bucket).create(1);
        Arc::new(store.open().await.expect("a bucket"))
    }

    /// The command, to be run on the server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut run = Command::new(command::binary().expect("the command is built"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("NATS_") || name == "RUST_LOG" {
                run.env_remove(&variable);
            }
        }
        run.args(arguments)
            .env("XDG_CONFIG_HOME", self.path("config"))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !arguments.contains(&"--server") {
            run.args(["--server", &self.url]);
        }
        run
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let output = timeout(PATIENCE, self.command(arguments).output()).await;
        output.expect("the command ends").expect("the command runs")
    }

    /// Runs it with `--json` to its end, with this exit code. Gives the lines that it has printed.
    pub(crate) async fn json(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// Runs it to its end, which is this exit code, and gives the one line of its error.
    pub(crate) async fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        said(&output)
    }

    /// Starts a tail.
    pub(crate) fn tail(&self, arguments: &[&str]) -> Tail {
        let mut process = self
            .command(&[&["tail"], arguments].concat())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Tail { process, lines }
    }
}

/// What it said on standard error, which is no panic.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A running `alluvium tail`. Dropping it kills it.
pub(crate) struct Tail {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("it prints").expect("text").expect("it prints more");
        serde_json::from_str(&line).expect("JSON")
    }

    /// The sequences of lines up to this one.
    pub(crate) async fn sequences(&mut self, last: u64) -> Vec<u64> {
        let mut sequences = Vec::new();
        while sequences.last() != Some(&last) {
            sequences.push(self.line().await["sequence"].as_u64().expect("a sequence"));
        }
        sequences
    }

    /// Waits until it says this on standard error.
    pub(crate) async fn says(&mut self, words: &str) {
        // One byte at a time, so that nothing is read that belongs to the next line.
        let errors = self.process.stderr.as_mut().expect("it is piped");
        let mut lines = BufReader::with_capacity(1, errors).lines();
        let found = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended before it said {words:?}");
        };
        timeout(PATIENCE, found).await.expect("it says something");
    }

    /// Reads no more.
    pub(crate) fn stop_reading(self) -> Child {
        self.process
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end. Gives what it had printed and was not read.
    pub(crate) async fn ended(self) -> (Output, Vec<u64>) {
        let Self { process, mut lines } = self;
        let ended = async {
            let rest = async {
                let mut rest = Vec::new();
                while let Some(line) = lines.next_line().await.expect("text") {
                    // The last one may be cut off by a kill.
                    if let Ok(line) = serde_json::from_str::<Value>(&line) {
                        rest.extend(line["sequence"].as_u64());
                    }
                }
                rest
            };
            tokio::join!(process.wait_with_output(), rest)
        };
        let (output, rest) = timeout(PATIENCE, ended).await.expect("it ends");
        (output.expect("it has run"), rest)
    }

    /// Stops it with SIGTERM. Gives what it said; it ends well.
    pub(crate) async fn finish(self) -> String {
        self.signal("TERM");
        let (output, _) = self.ended().await;
        assert!(output.status.success(), "{output:?}");
        said(&output)
    }
}
