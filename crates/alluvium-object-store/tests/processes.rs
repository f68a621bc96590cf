//! Processes that share a directory and nothing else, and what one leaves that is killed while it writes.
//!
//! Each test runs itself again as its children: the same binary with the test as its only one, told by its environment.
//! A child begins when it is told to on its standard input, so that all begin together, and reports on its output.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path as FsPath, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use alluvium_object_store::LocalStore;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, UpdateVersion};

const DIR: &str = "ALLUVIUM_TEST_DIR";
const NAME: &str = "ALLUVIUM_TEST_NAME";
/// Begins a report; the test runner writes to the same output.
const REPORT: &str = "child reports: ";

/// A child that has not ended. Killed when dropped.
struct Running {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(test: &str, dir: &FsPath, name: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir)
            .env(NAME, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, output }
    }

    fn begin(&mut self) {
        let input = self.process.stdin.as_mut().unwrap();
        input.write_all(b"begin\n").unwrap();
    }

    /// The next report, `None` when the child has ended.
    fn report(&mut self) -> Option<String> {
        let mut lines = self.output.by_ref().map_while(Result::ok);
        lines.find_map(|line| Some(line.split_once(REPORT)?.1.to_owned()))
    }

    /// All reports until the child ends, as it should.
    fn finish(mut self) -> Vec<String> {
        let reports = std::iter::from_fn(|| self.report()).collect();
        assert!(self.process.wait().unwrap().success());
        reports
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The directory and the name of this process, if it is a child that was told to begin.
fn child() -> Option<(PathBuf, String)> {
    let part = (std::env::var_os(DIR)?.into(), std::env::var(NAME).ok()?);
    std::io::stdin().read_line(&mut String::new()).unwrap();
    Some(part)
}

fn report(what: impl Display) {
    println!("\n{REPORT}{what}");
}

/// Starts children that begin together, and gives their reports by name.
fn race(test: &str, dir: &FsPath, names: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut children: Vec<Running> = names.iter().map(|name| Running::start(test, dir, name)).collect();
    children.iter_mut().for_each(Running::begin);
    let reports = children.into_iter().map(Running::finish);
    names.iter().map(|name| (*name).to_owned()).zip(reports).collect()
}

#[tokio::test]
async fn of_all_that_create_a_key_one_does() {
    const KEYS: usize = 300;
    let key = |number: usize| Path::from(format!("{}/{number}", number % 7));
    if let Some((dir, name)) = child() {
        let store = LocalStore::open(dir).unwrap();
        for number in 0..KEYS {
            let put = store
                .put_opts(&key(number), name.clone().into(), PutMode::Create.into())
                .await;
            match put {
                Ok(_) => report(number),
                Err(Error::AlreadyExists { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let names = ["one", "two", "three", "four"];
    let won = race("of_all_that_create_a_key_one_does", dir.path(), &names);
    let store = LocalStore::open(dir.path()).unwrap();
    let mut winners = BTreeMap::new();
    for (name, numbers) in won {
        for number in numbers {
            let number: usize = number.parse().unwrap();
            let content = store.get(&key(number)).await.unwrap().bytes().await.unwrap();
            assert_eq!(content, name, "key {number}");
            assert!(winners.insert(number, name.clone()).is_none(), "key {number}");
        }
    }
    assert_eq!(winners.len(), KEYS);
}

#[tokio::test]
async fn no_update_of_a_counter_is_lost() {
    const EACH: u64 = 150;
    let key = Path::from("counter");
    if let Some((dir, _)) = child() {
        let store = LocalStore::open(dir).unwrap();
        let mut done = 0;
        while done < EACH {
            let got = store.get(&key).await.unwrap();
            let version = UpdateVersion {
                e_tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            };
            let count: u64 = String::from_utf8_lossy(&got.bytes().await.unwrap())
                .parse()
                .unwrap();
            // Always of the same size, so that versions cannot differ by that.
            let next = format!("{:08}", count + 1);
            match store
                .put_opts(&key, next.into(), PutMode::Update(version).into())
                .await
            {
                Ok(_) => done += 1,
                Err(Error::Precondition { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    store.put(&key, "00000000".into()).await.unwrap();
    let names = ["one", "two", "three", "four"];
    race("no_update_of_a_counter_is_lost", dir.path(), &names);
    let count = store.get(&key).await.unwrap().bytes().await.unwrap();
    assert_eq!(count, format!("{:08}", EACH * names.len() as u64));
}

#[tokio::test]
async fn a_key_holds_whole_contents_whenever_its_writer_is_killed() {
    /// So long that most kills come while it is being written.
    const SIZE: usize = 4 << 20;
    const ROUNDS: usize = 20;
    let key = Path::from("objects/key");
    if let Some((dir, name)) = child() {
        let store = LocalStore::open(dir).unwrap();
        let first: u8 = name.parse().unwrap();
        for content in first.. {
            let bytes = Bytes::from(vec![content; SIZE]);
            store.put(&key, bytes.into()).await.unwrap();
            report(content);
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0_u8;
    let mut left_over = 0;
    for round in 0..ROUNDS {
        let mut writer = Running::start(
            "a_key_holds_whole_contents_whenever_its_writer_is_killed",
            dir.path(),
            &(last + 1).to_string(),
        );
        writer.begin();
        for _ in 0..=round % 3 {
            last = writer.report().unwrap().parse().unwrap();
        }
        for _ in 0..round * 20_000 {
            std::hint::spin_loop();
        }
        drop(writer);

        let staged = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.unwrap().file_name();
            usize::from(name.to_string_lossy().contains("staged"))
        };
        let count = || -> usize { std::fs::read_dir(dir.path()).unwrap().map(staged).sum() };
        left_over += count();
        let store = LocalStore::open(dir.path()).unwrap();
        assert_eq!(count(), 0, "round {round}");
        let content = store.get(&key).await.unwrap().bytes().await.unwrap();
        assert_eq!(content.len(), SIZE, "round {round}");
        assert!(content.iter().all(|byte| *byte == content[0]), "round {round}");
        assert!(content[0] >= last, "round {round}: {} after {last}", content[0]);
        last = content[0];
    }
    assert!(left_over > 0, "no kill came in the middle of a put");
}
