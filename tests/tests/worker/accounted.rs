//! Every message is accounted for, however often the worker is killed with SIGKILL, and whatever its handler does.

use std::collections::BTreeMap;

use alluvium::{KeyRange, KvCursorStore};
use alluvium_e2e::NatsServer;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::worker::{
    Account, CursorPlace, MAX_BATCH, NAME, Orders, STOP, Told, WorkerProcess, filled_stream, sums,
};

/// Turns of a loop, within which the kill comes after a report: about as long as a commit takes.
const PAUSE: u64 = 300_000;

/// Has a stream worked through by workers that are killed again and again. Gives how many messages there are.
async fn work_through(server: &NatsServer, cursor: CursorPlace) -> u64 {
    let (messages, kills) = if alluvium_e2e::full() {
        (1_000_000, 100)
    } else {
        (40_000, 10)
    };
    filled_stream(server, messages).await;
    let mut random = Random(31);
    let mut account = Account::default();
    for kill in 0..kills {
        let mut worker = start(server, &cursor, kill).await;
        account.next_worker();
        for _ in 0..=random.below(12) {
            account.told(&worker.told().await);
        }
        for _ in 0..random.below(PAUSE) {
            std::hint::spin_loop();
        }
        for told in worker.kill().await {
            account.told(&told);
        }
        assert!(account.done < messages, "the work is done before kill {kill}");
    }
    let mut worker = start(server, &cursor, kills).await;
    account.next_worker();
    while account.done < messages {
        account.told(&worker.told().await);
    }
    worker.say(STOP).await;
    assert_eq!(
        worker.told().await,
        Told::Stopped(messages),
        "the delivery in hand is committed"
    );
    worker.ended().await;
    eprintln!(
        "{} of {messages} messages were handled more than once after {kills} kills",
        account.repeated
    );
    assert!(account.repeated <= kills * MAX_BATCH as u64);
    messages
}

async fn start(server: &NatsServer, cursor: &CursorPlace, seed: u64) -> WorkerProcess {
    let orders = Orders {
        server: server.url(),
        cursor: cursor.clone(),
        seed,
    };
    WorkerProcess::start(env!("CARGO_BIN_EXE_worker"), &orders).await
}

async fn sums_are_exact(engine: EngineKind) {
    let server = NatsServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let url = engine.url(&directory.path().join("state"));
    let messages = work_through(&server, CursorPlace::Table(url.clone())).await;

    let state = alluvium::open(&url).await.unwrap();
    let table = state.open_table(NAME).await.unwrap();
    let mut found = BTreeMap::new();
    for row in table.snapshot().unwrap().scan(&KeyRange::all()).unwrap() {
        let (account, sum) = row.unwrap();
        let sum: u64 = std::str::from_utf8(&sum.value).unwrap().parse().unwrap();
        found.insert(String::from_utf8(account.to_vec()).unwrap(), sum);
    }
    assert_eq!(found, sums(messages));
    assert_eq!(table.cursor().unwrap().sequence.get(), messages);
    drop(table);
    state.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_cursor_in_their_table_sums_are_exact_on_fjall() {
    sums_are_exact(EngineKind::Fjall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_cursor_in_their_table_sums_are_exact_on_the_memory_engine() {
    sums_are_exact(EngineKind::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_cursor_in_a_file_nothing_is_left_out_and_little_done_twice() {
    let server = NatsServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    work_through(&server, CursorPlace::Files(directory.path().to_owned())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_cursor_in_a_bucket_nothing_is_left_out_and_little_done_twice() {
    let server = NatsServer::start().await;
    let builder = KvCursorStore::builder(server.client().await, "cursors");
    builder.create(1).open().await.unwrap();
    work_through(&server, CursorPlace::Kv("cursors".to_owned())).await;
}
