//! `alluvium convert` and `alluvium diff` on state directories.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use alluvium::{
    BackendOptions, Change, Cursor, DeleteReason, Durability, Engine, EngineBackend, EngineTable, Epoch,
    KeyRange, LogIdentity, Sequence, StateBackend as _, StateConfig, Table as _, Timestamp, Vnode,
    VnodeCount,
};
use alluvium_e2e::Files;
use serde_json::json;

use crate::desk::{Desk, error_of, lines_of};

/// What can be converted into what.
fn engines() -> Vec<&'static str> {
    let mut engines = vec!["fjall", "memory"];
    if cfg!(feature = "rocksdb") {
        engines.push("rocksdb");
    }
    engines
}

fn open(url: &str) -> Arc<dyn Engine> {
    let config = StateConfig::new(url)
        .expect("a place")
        .durability(Durability::Buffered);
    config.open_engine().expect("it opens")
}

/// A state with a table that tracks its changes, a second table, and a sealed epoch.
async fn make(url: &str) {
    let engine = open(url);
    let table = EngineTable::open(Arc::clone(&engine), "kv").expect("a table");
    table.track_changes(true).expect("it tracks");
    let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(5));
    let put = |number: u64| {
        let (sequence, stored) = (Sequence::new(number), Timestamp::from_nanos(9));
        Change::put(
            format!("key.{number:04}"),
            format!("value {number}"),
            sequence,
            stored,
        )
    };
    let mut changes: Vec<Change> = (1..=1_000).map(put).collect();
    let (last, stored) = (Sequence::new(1_001), Timestamp::from_nanos(9));
    changes.push(Change::delete("key.0500", DeleteReason::Deleted, last, stored));
    let cursor = Cursor::start_of(log).at(last, stored);
    table.apply(&changes, &cursor).expect("it is applied");
    let other = EngineTable::open(Arc::clone(&engine), "other").expect("a table");
    other
        .apply(&changes[..10], &cursor.at(Sequence::new(10), stored))
        .expect("it is applied");
    drop((table, other));
    let options = BackendOptions::default().vnodes(VnodeCount::new(4).expect("a count"));
    let backend = EngineBackend::open(engine, options).expect("a backend");
    let vnode = Vnode::new(3);
    let epoch = Epoch::new(7).expect("an epoch");
    backend
        .write_partial(
            vnode,
            epoch,
            alluvium::AssignmentVersion::default(),
            "partial".into(),
        )
        .await
        .expect("it is written");
    assert!(
        backend
            .epoch_complete(epoch, &[vnode])
            .await
            .expect("it is sealed")
    );
    backend.close().await.expect("it closes");
}

/// What is in a space.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Everything in a state, space by space.
fn content(url: &str) -> Vec<(String, Pairs)> {
    let engine = open(url);
    let mut names = engine.spaces().expect("spaces");
    names.sort_unstable();
    let spaces: Vec<_> = names
        .into_iter()
        .map(|name| {
            let space = engine.space(&name).expect("a space");
            let pairs = engine
                .snapshot()
                .expect("a snapshot")
                .scan(space, &KeyRange::all());
            let pairs = pairs.expect("a scan").map(|pair| pair.expect("a pair"));
            let pairs = pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            (name, pairs)
        })
        .collect();
    engine.close().expect("it closes");
    spaces
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_a_state_goes_from_any_engine_into_any_other() {
    let desk = Desk::new(Files::start()).await;
    for from in engines() {
        let source = desk.state(from, &format!("{from}-source"));
        make(&source).await;
        let expected = content(&source);
        assert!(expected.len() >= 4, "{expected:?}");
        for engine in engines() {
            let to = desk.path(&format!("{from}-{engine}"));
            let text = to.display().to_string();
            let arguments = [
                "convert", "--from", &source, "--to", &text, "--engine", engine, "--json",
            ];
            let output = desk.run(&arguments).await;
            assert!(output.status.success(), "{from} to {engine}: {output:?}");
            let told = &lines_of(&output)[0];
            assert_eq!(
                (&told["engine"], &told["tables"]),
                (&json!(engine), &json!(["kv", "other"]))
            );
            assert_eq!(
                content(&format!("{engine}:{text}")),
                expected,
                "{from} to {engine}"
            );
            for table in ["kv", "other"] {
                let (told, code) = desk.diff(&source, &text, &["--table", table]).await;
                assert_eq!(code, Some(0), "{told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_converted_into_what_is_there_and_what_a_kill_left_is_replaced() {
    let desk = Desk::new(Files::start()).await;
    let source = desk.state("fjall", "source");
    make(&source).await;
    let convert = async |to: &Path| {
        let to = to.display().to_string();
        let arguments = [
            "convert", "--from", &source, "--to", &to, "--engine", "memory", "--json",
        ];
        desk.run(&arguments).await
    };
    let occupied = desk.path("occupied");
    fs::create_dir(&occupied).expect("a directory");
    fs::write(occupied.join("mine"), "mine").expect("a file");
    let output = convert(&occupied).await;
    assert_eq!(error_of(&output)["kind"], "invalid");
    assert_eq!(fs::read_dir(&occupied).expect("a directory").count(), 1);

    // What has the name by accident is not what a kill left.
    let to = desk.path("to");
    let mine = desk.state("fjall", "to.converting");
    make(&mine).await;
    let output = convert(&to).await;
    assert_eq!(error_of(&output)["kind"], "invalid");
    assert!(!content(&mine).is_empty() && !to.exists());

    // And this is.
    fs::write(desk.path("to.converting").join("unfinished"), "").expect("a file");
    let output = convert(&to).await;
    assert!(output.status.success(), "{output:?}");
    assert!(!desk.path("to.converting").exists() && !to.join("unfinished").exists());
    let text = to.display().to_string();
    assert_eq!(content(&format!("memory:{text}")), content(&source));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_compared_is_trouble_and_no_difference() {
    let desk = Desk::new(Files::start()).await;
    let source = desk.state("fjall", "source");
    make(&source).await;
    let nowhere = desk.state("fjall", "nowhere");
    for (a, b, kind) in [
        (source.as_str(), nowhere.as_str(), "not_found"),
        (&source, "s3://me:hunter2@bucket/x", "usage"),
        (&source, "nats:", "usage"),
        (&source, &format!("{}#other", desk.url()), "not_found"),
    ] {
        let (told, code) = desk.diff(a, b, &["--table", "kv"]).await;
        assert_eq!((code, &told["kind"]), (Some(2), &json!(kind)), "{b}: {told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
}
