//! A process that commits while its files are compacted is killed, again and again; what is there then is everything
//! that it was told was committed, and nothing by halves.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, Space, WriteBatch};
use alluvium_memory::{MemoryEngine, MemoryOptions};

/// Set in the process that is to be killed.
const DIR: &str = "ALLUVIUM_MEMORY_KILL_DIR";
const KEYS: u64 = 40;

type Content = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

fn options() -> MemoryOptions {
    // So small that a compaction is under way most of the time.
    MemoryOptions::default().min_compaction_bytes(16 << 10)
}

fn value(step: u64) -> Vec<u8> {
    step.to_be_bytes().repeat(20)
}

/// What the step does, told to the model. Every fifth step replaces a space by an ingest and drops the one before;
/// all others commit to two spaces at once.
fn model_step(content: &mut Content, step: u64) {
    for name in ["one", "two"] {
        let rows = content.entry(name.to_owned()).or_default();
        rows.insert(format!("key.{}", step % KEYS).into(), value(step));
        rows.remove(format!("key.{}", (step + KEYS / 2) % KEYS).as_bytes());
        rows.insert(b"step".to_vec(), step.to_be_bytes().to_vec());
    }
}

fn step(engine: &MemoryEngine, spaces: [Space; 2], step: u64) {
    let mut batch = WriteBatch::default();
    for space in spaces {
        batch.put(space, format!("key.{}", step % KEYS), value(step));
        batch.remove(space, format!("key.{}", (step + KEYS / 2) % KEYS));
        batch.put(space, "step", step.to_be_bytes().to_vec());
    }
    engine.commit(batch).unwrap();
}

/// Replaces the ingested space: what an atomic load of a table does.
fn replace_ingested(engine: &MemoryEngine, step: u64) {
    let pairs = &mut (0..step % 50).map(|n| Ok((format!("{n:03}").into(), value(step).into())));
    engine.ingest(&format!("ingested.{step}"), pairs).unwrap();
    for name in engine.spaces().unwrap() {
        if name.starts_with("ingested.") && name != format!("ingested.{step}") {
            engine.drop_space(&name).unwrap();
        }
    }
}

fn content(engine: &MemoryEngine) -> Content {
    let snapshot = engine.snapshot().unwrap();
    let spaces = engine.spaces().unwrap().into_iter();
    spaces
        .map(|name| {
            let space = engine.space(&name).unwrap();
            let pairs = snapshot
                .scan(space, &KeyRange::all())
                .unwrap()
                .map(Result::unwrap);
            (
                name,
                pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect(),
            )
        })
        .collect()
}

/// The step that the engine stands at.
fn position(content: &Content) -> u64 {
    let step = content.get("one").and_then(|rows| rows.get(&b"step"[..]));
    step.map_or(0, |step| u64::from_be_bytes(step[..].try_into().unwrap()))
}

/// What the killed process does, until it is killed.
fn commit_for_ever(dir: &Path) {
    let engine = MemoryEngine::open(dir, options()).unwrap();
    let spaces = [engine.space("one").unwrap(), engine.space("two").unwrap()];
    let mut out = std::io::stdout().lock();
    for number in position(&content(&engine)) + 1.. {
        step(&engine, spaces, number);
        writeln!(out, "committed {number}").unwrap();
        if number % 5 == 0 {
            replace_ingested(&engine, number);
            writeln!(out, "ingested {number}").unwrap();
        }
        out.flush().unwrap();
    }
}

/// Lets a child commit until it has acknowledged this many steps, kills it, and gives the last step and the last
/// ingest that it acknowledged.
fn run_and_kill(dir: &Path, steps: usize) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_process_loses_nothing_that_was_acknowledged",
            "--nocapture",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut committed, mut ingested, mut seen) = (0, 0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The last line may be cut off: then what it says was not told.
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("committed", number)) => committed = number.parse().unwrap(),
            Some(("ingested", number)) => ingested = number.parse().unwrap(),
            _ => continue,
        }
        seen += 1;
        if seen == steps {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(seen >= steps, "the child ended by itself after {seen} steps");
    (committed, ingested)
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    if let Some(dir) = std::env::var_os(DIR) {
        // This is the process that is to be killed: the test has started itself.
        return commit_for_ever(dir.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut model, mut at) = (Content::new(), 0);
    for round in 0..30 {
        // A different number each time, and none too regular.
        let (committed, ingested) = run_and_kill(dir.path(), 1 + round * 37 % 211);
        let engine = MemoryEngine::open_existing(dir.path(), options()).unwrap();
        let mut found = content(&engine);
        let position = position(&found);
        assert!(
            position == committed || position == committed + 1,
            "{committed} were acknowledged, {position} found"
        );
        while at < position {
            at += 1;
            model_step(&mut model, at);
        }
        // Of the ingested spaces the last one acknowledged is there, or the one after it, or both; each is whole.
        let newest = found
            .keys()
            .filter_map(|name| name.strip_prefix("ingested."))
            .map(|n| n.parse::<u64>().unwrap())
            .max();
        let newest = newest.unwrap_or(0);
        assert!(
            newest == ingested || newest == ingested + 5 || ingested == 0,
            "{ingested} was acknowledged, {newest} found"
        );
        found.retain(|name, rows| {
            let Some(step) = name.strip_prefix("ingested.") else {
                return true;
            };
            let step: u64 = step.parse().unwrap();
            assert_eq!(rows.len() as u64, step % 50);
            assert!(rows.values().all(|found| *found == value(step)));
            false
        });
        assert!(found == model, "round {round}, step {position}");
        engine.close().unwrap();
    }
}
