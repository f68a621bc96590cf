//! `DuckDB`, which nobody here wrote, reads the segments of a table and finds the rows that the table has.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use alluvium::{
    ArtifactKey, ExportOptions, ExportSchedule, Exported, Replica, Round, Transport, fetch_artifact,
};
use alluvium_e2e::bucket::{Bucket, Rows};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Feed;
use alluvium_e2e::state::StateHome;
use alluvium_e2e::{Depot, Files, NatsServer, StoreServer as _};
use serde_json::{Value, json};
use tokio::process::Command;

const SEGMENT_BYTES: usize = 16 << 10;

/// What the script tells of these files.
async fn duck(files: &[PathBuf]) -> Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = std::env::var_os("ALLUVIUM_PYTHONPATH")
        .map_or_else(|| here.join("../target/tools/python"), PathBuf::from);
    assert!(
        packages.join("duckdb").exists(),
        "there is no duckdb: run `cargo xtask setup` first"
    );
    let output = Command::new("python3")
        .arg(here.join("python/duck.py"))
        .args(files)
        .env("PYTHONPATH", packages)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The Parquet files in a directory.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect()
}

/// What a table of these rows is to `DuckDB`.
fn table(rows: &Rows) -> Value {
    let key = |entry: Option<(&Vec<u8>, _)>| String::from_utf8(entry.unwrap().0.clone()).unwrap();
    json!({
        "rows": rows.len(),
        "key_bytes": rows.keys().map(Vec::len).sum::<usize>(),
        "value_bytes": rows.values().map(|(value, _)| value.len()).sum::<usize>(),
        "sequences": rows.values().map(|(_, sequence)| *sequence).sum::<u64>(),
        "first_key": key(rows.first_key_value()),
        "last_key": key(rows.last_key_value()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_counts_the_rows_and_sums_the_lengths_of_the_table() {
    let messages = if alluvium_e2e::full() { 100_000 } else { 4_000 };
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let store = Files::start();
    let depot = Depot::new(&store, "duck");
    let transport: Arc<dyn Transport> = depot.transport();
    let key: ArtifactKey = "Fleet/routes".parse().unwrap();
    let home = StateHome::new(EngineKind::Fjall);
    let (_state, log, open) = home.parts(&server, "b").await;
    let options = ExportOptions::default().segment_bytes(SEGMENT_BYTES);
    let schedule = ExportSchedule::new(Arc::clone(&transport), key.clone()).options(options);
    let replica = Replica::builder(log, open)
        .export(schedule)
        .start()
        .await
        .unwrap();
    // The base, and two deltas: puts of new keys, overwrites and deletes.
    for (seed, share) in [(1, 8), (2, 1), (3, 1)] {
        let feed = Feed::start(
            bucket.context.clone(),
            "b",
            seed,
            messages / 2,
            messages * share / 10,
        );
        feed.finished().await;
        replica.wait_for(bucket.last().await).await.unwrap();
        let exported = replica.export_now().await.unwrap();
        assert!(
            matches!(exported, Round::Exported(Exported::Published(_))),
            "{exported:?}"
        );
    }
    let rows = home.rows(&replica);
    assert_eq!(rows, bucket.truth().await);
    replica.shutdown().await.unwrap();

    let manifest = transport.manifest(&key).await.unwrap().unwrap();
    assert_eq!(manifest.runs.len(), 3);
    let count = manifest.segments().count();
    let deletes: u64 = manifest.segments().map(|(_, segment)| segment.info.deletes).sum();
    assert!(count > 3 && deletes > 0, "{count} segments, {deletes} deletes");
    let expected = json!({
        "files": { "rows": manifest.rows(), "deletes": deletes },
        "table": table(&rows),
    });

    // From the packs as they lie in the store.
    let unpacked = tempfile::tempdir().unwrap();
    let root = store.url("duck/artifacts");
    let root = Path::new(root.strip_prefix("file://").unwrap());
    for pack in manifest.packs() {
        let tar = Command::new("tar")
            .arg("-xf")
            .arg(root.join(key.pack(pack)))
            .arg("-C")
            .arg(unpacked.path())
            .output()
            .await
            .expect("tar runs");
        assert!(
            tar.status.success() && tar.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&tar.stderr)
        );
    }
    let files = segments(unpacked.path());
    assert_eq!(files.len(), count);
    assert_eq!(duck(&files).await, expected);

    // And fetched.
    let fetched = tempfile::tempdir().unwrap();
    fetch_artifact(transport, &key, &manifest, fetched.path(), |_| {})
        .await
        .unwrap();
    let files = segments(fetched.path());
    assert_eq!(files.len(), count);
    assert_eq!(duck(&files).await, expected);
}
