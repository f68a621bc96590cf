//! A machine that the command runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use alluvium_e2e::command;
use alluvium_e2e::nats_server::signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A machine that has a home for a state directory, and of NATS only what a test gives it.
pub(crate) struct Desk {
    pub(crate) directory: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(crate) fn state_text(&self) -> String {
        self.state().display().to_string()
    }

    /// Writes a context file of the `nats` command.
    pub(crate) fn context(&self, name: &str, context: &Value) {
        let folder = self.config().join("nats/context");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{name}.json")), context.to_string()).expect("a file");
    }

    pub(crate) fn select_context(&self, name: &str) {
        fs::write(self.config().join("nats/context.txt"), name).expect("a file");
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(command::binary().expect("the command is built"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("NATS_") || name == "RUST_LOG" {
                command.env_remove(&variable);
            }
        }
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the command to its end, with the directory as `--state` unless there is one already.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let state = self.state_text();
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--state") {
            arguments.extend(["--state", &state]);
        }
        let run = self.command(&arguments).output();
        timeout(PATIENCE, run)
            .await
            .expect("the command ends")
            .expect("the command runs")
    }

    pub(crate) async fn replicate(&self, url: &str, bucket: &str, more: &[&str]) -> Output {
        let arguments = [
            "replicate",
            "--until-caught-up",
            "--server",
            url,
            "--bucket",
            bucket,
        ];
        self.run(&[&arguments, more].concat()).await
    }

    pub(crate) fn follow(&self, url: &str, bucket: &str, more: &[&str]) -> Follower {
        let state = self.state_text();
        let mut arguments = [&["replicate", "--server", url, "--bucket", bucket], more].concat();
        if !arguments.contains(&"--state") {
            arguments.extend(["--state", &state]);
        }
        let process = self.command(&arguments).spawn();
        Follower(process.expect("the command runs"))
    }

    /// Everything in the state directory, by path and length.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        collect(self.directory.path(), &mut files);
        files.sort_unstable();
        files
    }
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, u64)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.push((path.clone(), 0));
            collect(&path, files);
        } else {
            files.push((path.clone(), fs::metadata(&path).expect("a file").len()));
        }
    }
}

/// A running `alluvium replicate`.
pub(crate) struct Follower(pub(crate) Child);

impl Follower {
    /// Reads lines of standard error until one has this in it. Gives that one.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let errors = self.0.stderr.as_mut().expect("it is piped");
        line_where(errors, &format!("{words:?}"), |line| line.contains(words)).await
    }

    /// Reads lines of standard output until one has this in it.
    pub(crate) async fn prints(&mut self, words: &str) {
        let output = self.0.stdout.as_mut().expect("it is piped");
        line_where(output, &format!("{words:?}"), |line| line.contains(words)).await;
    }

    /// Reads lines of JSON until one of an event is so. Gives that one.
    pub(crate) async fn tells(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let output = self.0.stdout.as_mut().expect("it is piped");
        let parse = |line: &str| serde_json::from_str(line).expect("JSON");
        let line = line_where(output, what, |line| is_so(&parse(line))).await;
        parse(&line)
    }

    /// Reads lines of JSON until it is in this state. Gives the first that says so.
    pub(crate) async fn becomes(&mut self, state: &str) -> Value {
        self.tells(state, |line| line["state"] == state).await
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.0.id().expect("it runs"), name);
    }

    pub(crate) async fn ended(self) -> Output {
        timeout(PATIENCE, self.0.wait_with_output())
            .await
            .expect("it ends")
            .expect("it has run")
    }
}

async fn line_where(from: impl AsyncRead + Unpin, what: &str, is_it: impl Fn(&str) -> bool) -> String {
    // One byte at a time, so that nothing is read that belongs to the next line.
    let mut lines = BufReader::with_capacity(1, from).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.expect("text");
            let line = line.unwrap_or_else(|| panic!("it ended before it said {what}"));
            if is_it(&line) {
                break line;
            }
        }
    };
    timeout(PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("it never said {what}"))
}

pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    let lines = stdout(output);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The one line that a command which failed has said.
pub(crate) fn error(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = text
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_else(|| panic!("no error in {text}"));
    assert!(text.trim_end().ends_with(line), "more after the error: {text}");
    assert!(!text.contains("panicked"), "{text}");
    line.to_owned()
}
