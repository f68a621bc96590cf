//! What the tests of both suites share: lengths, patience, errors, property tests, and open storage.

use std::fmt::Debug;
use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use alluvium_core::{Table, TableError};
use alluvium_engine::{Engine, EngineError, WriteBatch};
use futures_util::poll;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tempfile::TempDir;

use crate::process::no_process_starts;
use crate::{EngineHarness, FaultyStore, TableHarness, Tables};

/// How often, how many: the first number, or the second when `ALLUVIUM_E2E=full` asks for the long run.
pub(crate) fn length(short: u64, full: u64) -> u64 {
    if std::env::var("ALLUVIUM_E2E").is_ok_and(|asked| asked == "full") {
        full
    } else {
        short
    }
}

/// How long a test waits for what should come at once before it says that it does not come. No speed is asked for:
/// this is so that a test which waits for ever fails instead.
pub(crate) const fn patience() -> Duration {
    Duration::from_secs(10)
}

/// Looks until there is something, and gives it. Fails after `limit` with what never came to hold, and how it was at last.
pub(crate) async fn found<T, E, Look>(limit: Duration, what: &str, mut look: impl FnMut() -> Look) -> T
where
    E: Debug,
    Look: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(other) => assert!(
                begin.elapsed() < limit,
                "waited {limit:?}, and it never came to hold that {what}: {other:?}"
            ),
        }
        // Who looks again at once keeps a server from it.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Tells other threads to stop when it goes out of scope, in a panic too: else they would go on for ever.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The error of what should have failed.
#[track_caller]
pub(crate) fn error_of<T, E>(outcome: Result<T, E>) -> E {
    match outcome {
        Ok(_) => panic!("what should have been refused was done"),
        Err(error) => error,
    }
}

/// Asserts that an error is that of a pattern.
macro_rules! assert_error {
    ($error:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = &$error;
        assert!(matches!(error, $pattern $(if $guard)?), "not the error that it should be: {error:?}");
    }};
}
pub(crate) use assert_error;

/// Asserts that a result is the error of a pattern.
macro_rules! refused {
    ($outcome:expr, $error:pat $(if $guard:expr)? $(,)?) => {
        $crate::support::assert_error!($crate::support::error_of($outcome), $error $(if $guard)?)
    };
}
pub(crate) use refused;

/// Runs a property over so many of a strategy's values, the same in every run.
pub(crate) fn property<S: Strategy>(cases: u64, strategy: &S, holds: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let config = Config {
        cases: u32::try_from(cases).unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, random).run(strategy, |value| {
        holds(value);
        Ok::<(), TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Runs a test on a runtime of its own.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// Drops the work where it waits for the answer to this call, which never comes. What came of it, if it ended before.
pub(crate) async fn cut_off<T>(store: &FaultyStore, call: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    loop {
        match poll!(work.as_mut()) {
            Poll::Ready(done) => return Some(done),
            Poll::Pending if store.calls() >= call => return None,
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
}

/// Names that a path has to be protected from, or that a careless encoding makes one of.
pub(crate) fn names() -> Vec<String> {
    let mut names = [
        "a",
        "A",
        "aa",
        "a/a",
        "a//a",
        "/a",
        "a/",
        "a%2Fa",
        "a%2fa",
        "%",
        "%%",
        "%61",
        "..",
        ".",
        "../..",
        "../../_latest",
        "...",
        "\0",
        "a\0a",
        "\n",
        "\r\n",
        " ",
        "a ",
        " a",
        "a.",
        "con",
        "nul",
        "ä",
        "a\u{308}",
        "Ä",
        "日本",
        "\u{202e}a",
        "*",
        "?",
        "a\\a",
        "a:a",
        "#1",
        "manifest.json",
        "operators",
        "-",
        "_latest",
        "~",
        "$HOME",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(240));
    names.push("/".repeat(80));
    names
}

/// A directory for one test, gone when the test is over. What is in it lives in `state`, so that there is a place for
/// the test's own files beside it.
pub(crate) struct Directory {
    root: TempDir,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let root = TempDir::with_prefix("alluvium-conformance").unwrap();
        std::fs::create_dir(root.path().join("state")).unwrap();
        Self { root }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("state")
    }
}

/// An engine in a directory of its own.
pub(crate) struct OpenEngine<'h> {
    harness: &'h dyn EngineHarness,
    // Before the directory, so that it is gone first.
    engine: Option<Arc<dyn Engine>>,
    directory: Directory,
}

impl<'h> OpenEngine<'h> {
    pub(crate) fn new(harness: &'h dyn EngineHarness) -> Self {
        let directory = Directory::new();
        let engine = harness.open(&directory.path()).unwrap();
        Self {
            harness,
            engine: Some(engine),
            directory,
        }
    }

    pub(crate) fn persistent(&self) -> bool {
        self.harness.capabilities().persistent
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path()
    }

    /// A handle beside this one.
    pub(crate) fn handle(&self) -> Arc<dyn Engine> {
        Arc::clone(self.engine.as_ref().unwrap())
    }

    /// Closes it and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.expect_persistent();
        let _no_process_starts = no_process_starts();
        let engine = self.engine.take().unwrap();
        engine.close().unwrap();
        drop(engine);
        self.engine = Some(self.harness.open(&self.directory.path()).unwrap());
    }

    /// Drops the last handle without a close and opens it again.
    pub(crate) fn drop_and_reopen(&mut self) {
        self.expect_persistent();
        let _no_process_starts = no_process_starts();
        let engine = self.engine.take().unwrap();
        assert_eq!(
            Arc::strong_count(&engine),
            1,
            "the engine keeps a handle to itself"
        );
        drop(engine);
        self.engine = Some(self.harness.open(&self.directory.path()).unwrap());
    }

    fn expect_persistent(&self) {
        assert!(
            self.persistent(),
            "this test needs an engine that persists: use engine_suite!(…, volatile) for one that does not"
        );
    }

    /// Commits these puts to one space.
    pub(crate) fn put_all(&self, space: &str, pairs: &[(&[u8], &[u8])]) -> Result<(), EngineError> {
        let space = self.space(space)?;
        let mut batch = WriteBatch::default();
        for (key, value) in pairs {
            batch.put(space, key.to_vec(), value.to_vec());
        }
        self.commit(batch)
    }

    /// Commits one put.
    pub(crate) fn put(&self, space: &str, key: &[u8], value: &[u8]) {
        self.put_all(space, &[(key, value)]).unwrap();
    }

    /// Reads one value.
    pub(crate) fn value(&self, space: &str, key: &[u8]) -> Option<Vec<u8>> {
        let space = self.space(space).unwrap();
        self.get(space, key).unwrap().map(Into::into)
    }

    /// The names of the spaces, sorted.
    pub(crate) fn space_names(&self) -> Vec<String> {
        let mut names = self.spaces().unwrap();
        names.sort();
        names
    }
}

impl Deref for OpenEngine<'_> {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        self.engine.as_deref().unwrap()
    }
}

/// Storage, and the table in it.
pub(crate) type Opened = (Box<dyn Tables>, Arc<dyn Table>);

/// A table named `table` in storage of its own.
pub(crate) struct OpenTable<'h> {
    harness: &'h dyn TableHarness,
    // Before the storage, and both before the directory.
    table: Option<Arc<dyn Table>>,
    tables: Option<Box<dyn Tables>>,
    directory: Directory,
}

impl<'h> OpenTable<'h> {
    pub(crate) const NAME: &'static str = "table";

    pub(crate) fn new(harness: &'h dyn TableHarness) -> Self {
        let directory = Directory::new();
        let (tables, table) = Self::open(harness, &directory.path()).unwrap();
        Self {
            harness,
            table: Some(table),
            tables: Some(tables),
            directory,
        }
    }

    pub(crate) fn open(harness: &dyn TableHarness, dir: &Path) -> Result<Opened, TableError> {
        let tables = harness.open_tables(dir)?;
        let table = tables.table(Self::NAME)?;
        Ok((tables, table))
    }

    pub(crate) fn persistent(&self) -> bool {
        self.harness.table_capabilities().persistent
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path()
    }

    pub(crate) fn tables(&self) -> &dyn Tables {
        self.tables.as_deref().unwrap()
    }

    /// Closes the storage and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.reopen_after(|tables| tables.close().unwrap());
    }

    /// Drops everything without a close and opens it again.
    pub(crate) fn drop_and_reopen(&mut self) {
        self.reopen_after(|_| {});
    }

    fn reopen_after(&mut self, end: impl FnOnce(&dyn Tables)) {
        assert!(
            self.persistent(),
            "this test needs tables that persist: use table_suite!(…, volatile) for those that do not"
        );
        let _no_process_starts = no_process_starts();
        let tables = self.tables.take().unwrap();
        end(tables.as_ref());
        let table = self.table.take().unwrap();
        assert_eq!(Arc::strong_count(&table), 1, "the test keeps a handle");
        drop((table, tables));
        let (tables, table) = Self::open(self.harness, &self.directory.path()).unwrap();
        self.tables = Some(tables);
        self.table = Some(table);
    }
}

impl Deref for OpenTable<'_> {
    type Target = dyn Table;

    fn deref(&self) -> &Self::Target {
        self.table.as_deref().unwrap()
    }
}
