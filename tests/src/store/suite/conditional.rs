//! Conditional writes: of all who race, one wins.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutResult, UpdateVersion};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{RACERS, key, payload, rounds};
use crate::store::StoreServer;

/// Clients that share no connection, for the racers to take turns with.
const CLIENTS: usize = 4;

/// Of those who create one object at once, one does, and the object is that one's.
///
/// # Panics
///
/// If it is not so.
pub async fn a_creation_has_one_winner(server: &dyn StoreServer) {
    let clients = clients(server);
    for round in 0..rounds() {
        let key = key("create", round);
        let winner = race(&clients, &key, &PutMode::Create, round, |error| {
            matches!(error, Error::AlreadyExists { .. })
        })
        .await;
        assert_eq!(text(&clients[0], &key).await, winner.0, "round {round}");
    }
}

/// Of those who replace the same version of an object at once, one does, and the object is that one's.
///
/// # Panics
///
/// If it is not so.
pub async fn an_update_has_one_winner(server: &dyn StoreServer) {
    let clients = clients(server);
    let key = key("update", "counter");
    let mut there = clients[0].put(&key, payload("first")).await.unwrap();
    for round in 0..rounds() {
        let mode = update(server, &there);
        let winner = race(&clients, &key, &mode, round, |error| {
            matches!(error, Error::Precondition { .. })
        })
        .await;
        assert_eq!(text(&clients[0], &key).await, winner.0, "round {round}");
        there = winner.1;
    }
}

/// An update is refused after another one, after a deletion, and where nothing ever was; and changes nothing.
///
/// # Panics
///
/// If it is not so.
pub async fn an_update_of_something_else_is_refused(server: &dyn StoreServer) {
    let store = server.store();
    let key = key("update", "moved-on");
    let first = store.put(&key, payload("first")).await.unwrap();
    let stale = update(server, &first);
    let second = store
        .put_opts(&key, payload("second"), stale.clone().into())
        .await
        .unwrap();
    assert_refused(&store, &key, &stale).await;
    assert_eq!(text(&store, &key).await, "second");

    store.delete(&key).await.unwrap();
    assert_refused(&store, &key, &update(server, &second)).await;
    assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })));
    let never = super::key("update", "never-there");
    assert_refused(&store, &never, &stale).await;
    assert!(matches!(store.head(&never).await, Err(Error::NotFound { .. })));
}

async fn assert_refused(store: &Arc<dyn ObjectStore>, key: &Path, mode: &PutMode) {
    let refused = store.put_opts(key, payload("late"), mode.clone().into()).await;
    assert!(matches!(refused, Err(Error::Precondition { .. })), "{refused:?}");
}

/// To replace what this has put.
fn update(server: &dyn StoreServer, put: &PutResult) -> PutMode {
    let mut version = UpdateVersion::from(put.clone());
    if !server.traits().quoted_etags {
        version.e_tag = version.e_tag.map(|etag| etag.trim_matches('"').to_owned());
    }
    PutMode::Update(version)
}

fn clients(server: &dyn StoreServer) -> Vec<Arc<dyn ObjectStore>> {
    (0..CLIENTS).map(|_| server.store()).collect()
}

/// Lets all racers write at once. Gives what the one that wrote has written, and what it was told.
async fn race(
    clients: &[Arc<dyn ObjectStore>],
    key: &Path,
    mode: &PutMode,
    round: u32,
    is_refusal: fn(&Error) -> bool,
) -> (String, PutResult) {
    let start = Arc::new(Barrier::new(RACERS as usize));
    let mut racers = JoinSet::new();
    for (racer, store) in (0..RACERS).zip(clients.iter().cycle()) {
        let (store, start, key) = (Arc::clone(store), Arc::clone(&start), key.clone());
        let options = mode.clone().into();
        racers.spawn(async move {
            // Long and short ones, so that some overtake others.
            // Never twice the same, for where an etag is a hash of the content, the same content is no other version.
            let content = format!("round {round}, racer {racer}; ").repeat(1 + racer as usize * 50);
            start.wait().await;
            let result = store.put_opts(&key, payload(content.clone()), options).await;
            (content, result)
        });
    }
    let mut winners = Vec::new();
    for (content, result) in racers.join_all().await {
        match result {
            Ok(put) => winners.push((content, put)),
            Err(error) => assert!(is_refusal(&error), "{key}: {error:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "{key}: this many have won");
    winners.remove(0)
}

async fn text(store: &Arc<dyn ObjectStore>, key: &Path) -> String {
    let bytes = store.get(key).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}
