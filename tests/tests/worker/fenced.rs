//! Two processes with the same cursor name: one is fenced, and no position is lost.

use alluvium::KvCursorStore;
use alluvium_e2e::NatsServer;
use alluvium_e2e::worker::{Account, CursorPlace, Orders, Told, WorkerProcess, filled_stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_with_one_name_the_later_goes_on() {
    let messages = 40_000;
    let server = NatsServer::start().await;
    filled_stream(&server, messages).await;
    let builder = KvCursorStore::builder(server.client().await, "cursors");
    builder.create(1).open().await.unwrap();

    let mut account = Account::default();
    let mut before: Option<WorkerProcess> = None;
    // Each takes the cursor over from the one before, which is in the middle of its work.
    for seed in 0..5 {
        let orders = Orders {
            server: server.url(),
            cursor: CursorPlace::Kv("cursors".to_owned()),
            seed,
        };
        let mut worker = WorkerProcess::start(env!("CARGO_BIN_EXE_worker"), &orders).await;
        if let Some(mut before) = before.take() {
            loop {
                let told = before.told().await;
                if told == Told::Fenced {
                    break;
                }
                account.told(&told);
            }
            before.ended().await;
        }
        account.next_worker();
        for _ in 0..3 {
            account.told(&worker.told().await);
        }
        before = Some(worker);
    }
    let mut last = before.unwrap();
    while account.done < messages {
        account.told(&last.told().await);
    }
}
