//! One server for all of these tests, and records.

use alluvium::{Cursor, CursorRecord, KvCursorStore, LogIdentity, Scope, Sequence, Timestamp};
use alluvium_e2e::NatsServer;
use async_nats::Client;
use tokio::sync::OnceCell;

/// The server. It ends with this process.
pub(crate) async fn server() -> &'static NatsServer {
    static SERVER: OnceCell<NatsServer> = OnceCell::const_new();
    SERVER.get_or_init(NatsServer::start).await
}

/// A client of its own: no two tests have the same runtime.
pub(crate) async fn connect() -> Client {
    async_nats::connect(server().await.url()).await.unwrap()
}

/// The cursors in a bucket, which is created.
pub(crate) async fn cursors(bucket: &str) -> KvCursorStore {
    let builder = KvCursorStore::builder(connect().await, bucket);
    builder.create(1).open().await.unwrap()
}

pub(crate) fn at(sequence: u64) -> CursorRecord {
    let start = Cursor::start_of(LogIdentity::new("ORDERS", Timestamp::from_nanos(1)));
    let cursor = start.at(Sequence::new(sequence), Timestamp::from_nanos(2));
    CursorRecord::new(cursor, Scope::all())
}
