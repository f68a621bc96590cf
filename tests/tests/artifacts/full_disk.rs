//! A disk that fills up during a bootstrap: one typed error, the table as it was, and on it goes once there is room.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use alluvium::{
    Binding, Bootstrap, BootstrapError, Change, Cursor, EngineTable, ErrorKind, ExportOptions, Exporter,
    LogIdentity, MemoryEngine, Mode, Scope, Sequence, Table, Timestamp, Transport,
};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::state::{open_table, rows};
use alluvium_e2e::{Depot, Files, SmallDisk};

const KEY: &str = "routes";
/// Rows of the artifact: 40 MiB that no compression shrinks, for a disk of 24.
const ROWS: u64 = 640;
const WORDS: usize = 8_192;
const SMALL: &str = "24m";
const LARGE: &str = "512m";
const SEGMENT_BYTES: usize = 2 << 20;

fn log() -> LogIdentity {
    LogIdentity::new("KV_b", Timestamp::from_nanos(5))
}

fn at(sequence: u64) -> Cursor {
    Cursor::start_of(log()).at(Sequence::new(sequence), Timestamp::from_nanos(99))
}

fn put(key: String, value: Vec<u8>, sequence: u64) -> Change {
    Change::put(key, value, Sequence::new(sequence), Timestamp::from_nanos(99))
}

/// A table too large for the disk, and an artifact of it.
async fn artifact(transport: Arc<dyn Transport>) -> Arc<EngineTable> {
    let table = Arc::new(EngineTable::open(Arc::new(MemoryEngine::in_memory()), "large").unwrap());
    let mut random = Random(31);
    table
        .bind(&Binding {
            log: log().name,
            scope: Scope::all(),
            mode: Mode::default(),
        })
        .unwrap();
    for row in 1..=ROWS {
        let value = (0..WORDS).flat_map(|_| random.number().to_le_bytes()).collect();
        let change = put(format!("key.{row:04}"), value, 1_000 + row);
        table.apply(&[change], &at(1_000 + row)).unwrap();
    }
    let options = ExportOptions::default().segment_bytes(SEGMENT_BYTES);
    let exporter = Exporter::new(table.clone(), transport, KEY.parse().unwrap(), options);
    exporter
        .export()
        .await
        .unwrap()
        .report()
        .expect("it is published");
    table
}

/// Whether a full disk is at the bottom of an error, as the operating system or an engine tells it.
fn is_full(error: &BootstrapError) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        let told = error.downcast_ref::<io::Error>();
        let text = error.to_string();
        if told.is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
            || text.contains("No space left on device")
            || text.contains("free disk space")
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// Fills a table in `state` by way of `scratch`, one of them on the disk.
async fn fills_up(engine: EngineKind, disk: &SmallDisk, state: &Path, scratch: &Path) {
    let what = format!("{engine} with {} on the disk", disk.path().display());
    let store = Files::start();
    let transport: Arc<dyn Transport> = Depot::new(&store, "full").transport();
    let large = artifact(Arc::clone(&transport)).await;
    let bootstrap = || Bootstrap::new(Arc::clone(&transport), KEY.parse().unwrap(), scratch);

    let before = {
        let (_open, table) = open_table(state, engine).await;
        let binding = Binding {
            log: log().name,
            scope: Scope::all(),
            mode: Mode::default(),
        };
        table.bind(&binding).unwrap();
        let old = (1..=50).map(|row| put(format!("old.{row}"), vec![b'o'; 100], row));
        table.apply(&old.collect::<Vec<_>>(), &at(50)).unwrap();
        let before = rows(table.as_ref());
        // Twice: a full disk that is not mended stays one clear error.
        for _ in 0..2 {
            let error = bootstrap().run(&table).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error:?}");
            assert!(
                matches!(error, BootstrapError::Io { .. } | BootstrapError::Table(_)),
                "{what}: {error:?}"
            );
            assert!(is_full(&error), "{what}: {error:?}");
            assert_eq!(table.cursor(), Some(at(50)), "{what}");
            assert!(rows(table.as_ref()) == before, "{what}: the table has changed");
        }
        before
    };

    disk.resize(LARGE);
    let (_open, table) = open_table(state, engine).await;
    assert_eq!(table.cursor(), Some(at(50)), "{what}, opened again");
    assert!(
        rows(table.as_ref()) == before,
        "{what}: the table has changed, opened again"
    );
    let done = bootstrap().run(&table).await.unwrap();
    assert!(done.fetched.reused > 0, "{what}: {done:?}");
    assert_eq!(table.cursor(), Some(at(1_000 + ROWS)), "{what}");
    assert!(
        rows(table.as_ref()) == rows(large.as_ref()),
        "{what}: not the artifact's rows"
    );
    assert!(!scratch.exists(), "{what}: the scratch directory is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_for_the_segments_is_a_typed_error_and_loses_nothing() {
    let (disk, home) = (SmallDisk::of(SMALL), tempfile::tempdir().unwrap());
    let state = home.path().join("state");
    fills_up(EngineKind::Fjall, &disk, &state, &disk.path().join("scratch")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_for_the_table_is_a_typed_error_and_loses_nothing() {
    for engine in EngineKind::ALL {
        let (disk, home) = (SmallDisk::of(SMALL), tempfile::tempdir().unwrap());
        let scratch = home.path().join("scratch");
        fills_up(engine, &disk, &disk.path().join("state"), &scratch).await;
    }
}
