//! Many keys: listed page by page, and deleted many at a time.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

use super::{key, payload};
use crate::store::StoreServer;

/// Writes that are under way at once.
const AT_ONCE: usize = 16;
/// More than any service takes in one request.
const BULK: usize = 1_100;

/// A listing of more than a page goes on where the page ended, begins where it is told, and shows a prefix for what lies under it.
///
/// # Panics
///
/// If it is not so.
pub async fn a_listing_has_pages(server: &dyn StoreServer) {
    let store = server.store();
    let store = store.as_ref();
    let written = write(store, "pages", server.traits().page + 100).await;
    let beside = key("pages-beside", "object");
    store.put(&beside, payload("x")).await.unwrap();
    let prefix = Path::from("pages");
    assert_eq!(list(store, &prefix, None).await, written);
    for offset in [0, 1, written.len() - 2] {
        let listed = list(store, &prefix, Some(&written[offset])).await;
        if server.traits().lists_after {
            assert_eq!(listed, written[offset + 1..], "after {}", written[offset]);
        } else if offset > 0 {
            // Known, and to be known when it changes.
            assert_eq!(listed, written, "after {}", written[offset]);
        }
    }
    let top = store.list_with_delimiter(None).await.unwrap();
    assert!(top.common_prefixes.contains(&prefix), "{:?}", top.common_prefixes);
    let within = store.list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!(within.objects.len(), written.len());
    assert!(within.common_prefixes.is_empty());
}

/// What is deleted in bulk is gone, and nothing else is; what is not there does not keep the rest.
///
/// # Panics
///
/// If it is not so.
pub async fn many_are_deleted_at_once(server: &dyn StoreServer) {
    let store = server.store();
    let store = store.as_ref();
    let written = write(store, "bulk", BULK).await;
    let (kept, unwanted) = written.split_at(10);
    let missing = [key("bulk", "never-there")];
    let all: Vec<_> = unwanted.iter().chain(&missing).cloned().collect();
    let delete = || async {
        let answers = store.delete_stream(stream::iter(all.clone()).map(Ok).boxed());
        let answers: Vec<_> = answers.collect().await;
        let errors = answers.into_iter().filter_map(Result::err);
        // Whether it is one that something was not there is the service's own choice.
        errors
            .filter(|error| !matches!(error, Error::NotFound { .. }))
            .collect::<Vec<_>>()
    };
    // The client does not repeat this by itself, and a server may break a connection that was silent for long.
    let mut errors = delete().await;
    for _ in 0..3 {
        if errors.is_empty() {
            break;
        }
        errors = delete().await;
    }
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(list(store, &Path::from("bulk"), None).await, kept);
    for key in kept {
        store.delete(key).await.unwrap();
    }
    assert!(list(store, &Path::from("bulk"), None).await.is_empty());
}

/// Writes this many small objects. Gives their keys in order.
async fn write(store: &dyn ObjectStore, place: &str, count: usize) -> Vec<Path> {
    let keys: Vec<_> = (0..count)
        .map(|number| key(place, format!("{number:06}")))
        .collect();
    stream::iter(keys.clone())
        .map(|key| async move { store.put(&key, payload("x")).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    keys
}

async fn list(store: &dyn ObjectStore, prefix: &Path, after: Option<&Path>) -> Vec<Path> {
    let listed = match after {
        Some(after) => store.list_with_offset(Some(prefix), after),
        None => store.list(Some(prefix)),
    };
    listed
        .map_ok(|object| object.location)
        .try_collect()
        .await
        .unwrap()
}
