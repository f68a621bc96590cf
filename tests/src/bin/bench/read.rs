//! `read`: `get` and `scan` of a table beside the bare engine that holds the same rows: fjall itself, and the other
//! engines without a table. A plain map in memory is a further figure.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use alluvium::{Cursor, EngineTable, Entry, KeyRange, LogIdentity, Sequence, StateConfig, Table, Timestamp};
use alluvium_e2e::engine::EngineKind;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::json;

use crate::Options;
use crate::bare::{self, Bare};
use crate::feed::{key, value};
use crate::report::{Report, median};

const GETS: u64 = 300_000;

/// Gets per second and rows scanned per second.
struct Rates {
    get: Vec<f64>,
    scan: Vec<f64>,
}

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let mut rows: Vec<(Bytes, Bytes)> = (0..options.keys)
        .map(|index| (Bytes::from(key(index)), value(index)))
        .collect();
    rows.sort_unstable();
    for engine in EngineKind::ALL {
        let dir = tempfile::tempdir()?;
        let state = StateConfig::new(&engine.url(&dir.path().join("state")))?.open_engine()?;
        let table = EngineTable::open(Arc::clone(&state), "bench")?;
        load(&table, &rows)?;
        let path = dir.path().join("bare");
        let bare = bare::ingest(engine, &rows, &path)?;
        let map = BareMap::with(&rows);
        let (mut ours, mut theirs) = (
            Rates {
                get: vec![],
                scan: vec![],
            },
            Rates {
                get: vec![],
                scan: vec![],
            },
        );
        let mut plain = Rates {
            get: vec![],
            scan: vec![],
        };
        for _ in 0..options.rounds {
            plain
                .get
                .push(per_second(GETS, || gets(options.keys, |key| map.get(key)))?);
            plain.scan.push(per_second(options.keys, || map.scan())?);
            theirs
                .get
                .push(per_second(GETS, || gets(options.keys, |key| bare.get(key)))?);
            ours.get.push(per_second(GETS, || {
                gets(options.keys, |key| {
                    Ok(table.get(key)?.map(|entry| entry.value.len()))
                })
            })?);
            theirs.scan.push(per_second(options.keys, || bare.scan())?);
            ours.scan.push(per_second(options.keys, || {
                let mut bytes = 0;
                for row in table.snapshot()?.scan(&KeyRange::all())? {
                    let (key, entry) = row?;
                    bytes += key.len() + entry.value.len();
                }
                Ok(bytes)
            })?);
        }
        for (name, ours, theirs, plain) in [
            ("read_get", ours.get, theirs.get, plain.get),
            ("read_scan", ours.scan, theirs.scan, plain.scan),
        ] {
            let (ours, theirs, plain) = (median(ours), median(theirs), median(plain));
            let figures = json!({ "per_s": ours.round(), "bare_per_s": theirs.round(), "plain_map_per_s": plain.round(), "rows": options.keys });
            report.result(name, engine.as_str(), ours / theirs, 0.9, &figures);
        }
        state.close()?;
    }
    Ok(())
}

pub(crate) fn load(table: &dyn Table, rows: &[(Bytes, Bytes)]) -> Result<()> {
    let log = LogIdentity::new("KV_bench", Timestamp::default());
    let mut entries = rows.iter().zip(1..).map(|((key, value), sequence)| {
        let entry = Entry {
            value: value.clone(),
            sequence: Sequence::new(sequence),
            timestamp: Timestamp::default(),
        };
        Ok((key.clone(), entry))
    });
    let last = Sequence::new(rows.len() as u64);
    table.load(
        &mut entries,
        &Cursor::start_of(log).at(last, Timestamp::default()),
    )?;
    Ok(())
}

/// Gets keys in an order that no cache foresees.
fn gets(keys: u64, mut get: impl FnMut(&[u8]) -> Result<Option<usize>>) -> Result<usize> {
    let mut bytes = 0;
    let mut index = 7;
    for _ in 0..GETS {
        index = (index + 7_919) % keys;
        bytes += get(key(index).as_bytes())?.context("a key is missing")?;
    }
    Ok(bytes)
}

#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(count: u64, work: impl FnOnce() -> Result<usize>) -> Result<f64> {
    let begin = Instant::now();
    let bytes = black_box(work()?);
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(bytes > 0, "nothing was read");
    Ok(count as f64 / seconds)
}

/// The map that the memory engine is made of, values shared as the engine shares them.
struct BareMap(imbl::OrdMap<Bytes, Bytes>);

impl BareMap {
    fn with(rows: &[(Bytes, Bytes)]) -> Self {
        let copy =
            |(key, value): &(Bytes, Bytes)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        Self(rows.iter().map(copy).collect())
    }
}

impl Bare for BareMap {
    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.0.get(key).cloned().map(|value| value.len()))
    }

    fn scan(&self) -> Result<usize> {
        Ok(self
            .0
            .iter()
            .map(|(key, value)| key.clone().len() + value.clone().len())
            .sum())
    }
}
