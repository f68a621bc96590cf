//! The command as a process, and state directories for it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use alluvium::{Change, Cursor, Engine, EngineTable, LogIdentity, StateConfig, Table as _, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

/// The engines that this build has.
pub(crate) const ENGINES: &[&str] = if cfg!(feature = "rocksdb") {
    &["memory", "fjall", "rocksdb"]
} else {
    &["memory", "fjall"]
};

/// When the entries of the tests were stored, less their sequence.
const EPOCH: i64 = 1_700_000_000_000_000_000;

/// The command, cut off from whatever this machine has for NATS.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alluvium"));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("NATS_") || name == "RUST_LOG" {
            command.env_remove(&variable);
        }
    }
    command
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

/// Runs the command to its end.
pub(crate) fn alluvium<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    command().args(arguments).output().expect("the command runs")
}

/// Runs the command, which has to fail with this code and one line on standard error. Gives the line.
pub(crate) fn failed(arguments: &[&str], code: i32) -> String {
    one_line(&alluvium(arguments), code)
}

/// The one line that a failed command has said.
pub(crate) fn one_line(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = error.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line: {error}");
    line.to_owned()
}

/// Runs the command, which has to succeed, and gives the lines that it printed.
pub(crate) fn in_json<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Vec<Value> {
    let output = alluvium(arguments);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// A place for a state directory.
pub(crate) struct Home {
    directory: TempDir,
    state: PathBuf,
}

impl Home {
    /// A place where nothing is yet.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = directory.path().join("state");
        Self { directory, state }
    }

    /// A state directory with a few entries, as `replicate` leaves it.
    pub(crate) fn filled(engine: &str) -> Self {
        let home = Self::empty();
        home.fill(engine, "kv");
        home
    }

    /// Opens the engine of this name in it.
    pub(crate) fn open(&self, engine: &str) -> Arc<dyn Engine> {
        let config = StateConfig::new(&self.url(engine)).expect("a place");
        config.open_engine().expect("the engine opens")
    }

    /// The place with the engine's scheme.
    pub(crate) fn url(&self, engine: &str) -> String {
        format!("{engine}:{}", self.state.display())
    }

    pub(crate) fn state(&self) -> &OsStr {
        self.state.as_os_str()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Whether there is anything at all.
    pub(crate) fn exists(&self) -> bool {
        self.directory
            .path()
            .read_dir()
            .expect("it can be listed")
            .next()
            .is_some()
    }

    pub(crate) fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.state).expect("it can be listed");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect()
    }

    /// Puts a few entries into a table of this name.
    pub(crate) fn fill(&self, engine: &str, table: &str) {
        let rows: [(&[u8], &[u8]); 5] = [
            (b"a", b"1"),
            (b"b.c", b"two\n"),
            (b"empty", b""),
            (b"raw", b"\0\xff\n\t"),
            (b"\xff\x01", b"odd"),
        ];
        self.apply(
            engine,
            table,
            rows.map(|(key, value)| (key.to_vec(), value.to_vec())),
        );
    }

    /// Puts many entries of a hundred bytes into the table.
    pub(crate) fn fill_many(&self, engine: &str, count: u64) {
        let rows = (0..count).map(|index| (format!("key.{index:09}").into_bytes(), vec![b'v'; 100]));
        self.apply(engine, "kv", rows);
    }

    fn apply(&self, engine: &str, table: &str, rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let engine = self.open(engine);
        let table = EngineTable::open(Arc::clone(&engine), table).expect("the table opens");
        let mut cursor = Cursor::start_of(LogIdentity::new("KV_routes", Timestamp::from_nanos(EPOCH)));
        let mut changes = Vec::new();
        let commit = |changes: &mut Vec<Change>, cursor: &Cursor| {
            table.apply(changes, cursor).expect("the changes apply");
            changes.clear();
        };
        for (key, value) in rows {
            let sequence = cursor.sequence.next();
            let at = EPOCH + i64::try_from(sequence.get()).expect("few");
            cursor = cursor.at(sequence, Timestamp::from_nanos(at));
            changes.push(Change::put(key, value, sequence, cursor.timestamp));
            if changes.len() == 1_000 {
                commit(&mut changes, &cursor);
            }
        }
        commit(&mut changes, &cursor);
        engine.close().expect("the engine closes");
    }

    /// Flips a bit in the first third of the largest of the engine's files: what follows is sound, so it is no torn
    /// tail.
    pub(crate) fn damage_largest_file(&self) -> PathBuf {
        let mut files = Vec::new();
        collect_files(&self.state.join("data"), &mut files);
        let largest = files
            .into_iter()
            .max_by_key(|path| fs::metadata(path).expect("a file").len())
            .expect("the engine has files");
        let mut bytes = fs::read(&largest).expect("it can be read");
        // Engines preallocate: only what is not zero counts.
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .expect("it is not empty");
        let third = used / 3;
        bytes[third] ^= 0x10;
        fs::write(&largest, bytes).expect("it can be written");
        largest
    }
}

fn collect_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_files(&path, files);
        } else {
            files.push(path);
        }
    }
}
