//! Obligations 1 and 2 of [`alluvium_engine::Engine`] after `kill -9`: the test starts itself as a process of its
//! own, reads which commits that one says have returned, and kills it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use alluvium_core::{Durability, KeyRange};
use alluvium_engine::{Engine, Space, WriteBatch};
use alluvium_fjall::{FjallEngine, FjallOptions};
use bytes::Bytes;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const DIR: &str = "ALLUVIUM_FJALL_KILLED_DIR";
const KEYS: u64 = 5_000;

fn options(round: u64) -> FjallOptions {
    let durability = if round.is_multiple_of(2) {
        Durability::Buffered
    } else {
        Durability::Fsync
    };
    FjallOptions::default()
        .durability(durability)
        .memtable_bytes(1 << 20)
}

/// What commit n writes to both spaces: 40 keys among a few, so that later commits write over earlier ones.
fn writes(n: u64) -> impl Iterator<Item = (Bytes, Bytes)> {
    (0..40).map(move |i| {
        let key = (n * 31 + i * 97) % KEYS;
        (
            Bytes::from(format!("{key:06}")),
            Bytes::from(format!("{n}-{i}-{}", "x".repeat(500))),
        )
    })
}

fn commit(engine: &FjallEngine, spaces: &[Space], n: u64) -> Result {
    let mut batch = WriteBatch::default();
    for space in spaces {
        for (key, value) in writes(n).collect::<BTreeMap<_, _>>() {
            batch.put(*space, key, value);
        }
        batch.put(*space, "last", n.to_string());
    }
    engine.commit(batch)?;
    Ok(())
}

fn last(engine: &FjallEngine, space: Space) -> Result<u64> {
    let last = engine.get(space, b"last")?;
    Ok(last.map_or(Ok(0), |last| String::from_utf8_lossy(&last).parse())?)
}

fn child(dir: &Path, round: u64) -> Result {
    let engine = FjallEngine::open(dir, options(round))?;
    let spaces = [engine.space("a")?, engine.space("b")?];
    let from = last(&engine, spaces[0])?;
    for n in from + 1.. {
        commit(&engine, &spaces, n)?;
        println!("returned {n}");
        std::io::stdout().flush()?;
        if n % 50 == 0 {
            // Ingests and drops are killed too. The space is whole or not there.
            let name = format!("ingested{}", n % 3);
            engine.drop_space(&name)?;
            let mut pairs = (0..2_000).map(|i| Ok((format!("{i:06}").into(), n.to_string().into())));
            engine.ingest(&name, &mut pairs)?;
        }
    }
    Ok(())
}

#[test]
fn a_killed_process_loses_nothing_that_returned_and_tears_nothing_1_2_5() -> Result {
    if let Ok(dir) = std::env::var(DIR) {
        let (dir, round) = dir.rsplit_once('#').ok_or("no round")?;
        return child(Path::new(dir), round.parse()?);
    }
    let dir = tempfile::tempdir()?;
    let mut model: BTreeMap<Bytes, Bytes> = BTreeMap::new();
    let mut applied = 0;
    for round in 0..6_u64 {
        let mut process = Command::new(std::env::current_exe()?)
            .args([
                "--exact",
                "a_killed_process_loses_nothing_that_returned_and_tears_nothing_1_2_5",
                "--nocapture",
            ])
            .env(DIR, format!("{}#{round}", dir.path().display()))
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut returned = 0;
        let enough = applied + [3, 60, 200, 1, 120, 400][usize::try_from(round)?];
        for line in stdout.lines() {
            let line = line?;
            let Some((_, number)) = line.split_once("returned ") else {
                continue;
            };
            returned = number.parse()?;
            if returned == enough {
                process.kill()?;
            }
        }
        process.wait()?;
        assert!(returned >= enough, "the process ended by itself after {returned}");

        let engine = FjallEngine::open_existing(dir.path(), options(round))?;
        let spaces = [engine.space("a")?, engine.space("b")?];
        let reached = last(&engine, spaces[0])?;
        assert!(
            reached >= returned,
            "commit {returned} had returned, and {reached} is the last that is there"
        );
        for n in applied + 1..=reached {
            model.extend(writes(n).collect::<BTreeMap<_, _>>());
            model.insert("last".into(), n.to_string().into());
        }
        applied = reached;
        let snapshot = engine.snapshot()?;
        for space in spaces {
            let found = snapshot
                .scan(space, &KeyRange::all())?
                .collect::<std::result::Result<BTreeMap<_, _>, _>>()?;
            assert!(found == model, "the state is not that after commit {reached}");
        }
        for name in engine
            .spaces()?
            .iter()
            .filter(|name| name.starts_with("ingested"))
        {
            let pairs = snapshot.scan(engine.space(name)?, &KeyRange::all())?;
            let values = pairs.map(|pair| Ok(pair?.1)).collect::<Result<Vec<_>>>()?;
            assert_eq!(values.len(), 2_000);
            assert!(values.iter().all(|value| *value == values[0]));
        }
    }
    Ok(())
}
