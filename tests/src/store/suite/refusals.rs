//! What is refused, and that it is said as what it is.

use futures_util::TryStreamExt as _;
use object_store::{Error, ObjectStoreExt as _};

use super::{key, payload};
use crate::store::{self, RemoteStore, StoreServer};

/// Nobody gets in with another key, or as somebody unknown, and nothing is written.
///
/// # Panics
///
/// If it is not so.
pub async fn wrong_credentials_are_refused(server: &dyn StoreServer) {
    let key = key("credentials", "object");
    let there = server.store();
    there.put(&key, payload("there")).await.unwrap();
    for name in ["key_id", "account_name", "secret_access_key", "account_key"] {
        let mut options = server.options();
        let Some((_, value)) = options.iter_mut().find(|(option, _)| option.ends_with(name)) else {
            continue;
        };
        // As long as the right one, and but for one letter the same.
        let other = if value.starts_with('x') { "y" } else { "x" };
        value.replace_range(..1, other);
        let store = store::open(&server.url(""), &options).unwrap();
        for refused in [
            store.get(&key).await.err(),
            store.put(&key, payload("forged")).await.err(),
            store.delete(&key).await.err(),
            store.list(None).try_next().await.err(),
        ] {
            let said = refused.expect("a wrong credential was good enough");
            let known = matches!(
                said,
                Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
            );
            assert!(known || has_status(&said, 403), "with another {name}: {said:?}");
        }
    }
    let content = there.get(&key).await.unwrap().bytes().await.unwrap();
    assert_eq!(content, "there".as_bytes());
}

/// A bucket that is not there is not made on the way, however large the object.
///
/// # Panics
///
/// If it is not so.
pub async fn a_bucket_that_is_not_there_is_said(server: &dyn RemoteStore) {
    let url = server.url_in("no-such-bucket", "");
    let store = store::open(&url, &server.options()).unwrap();
    let key = key("bucket", "object");
    for refused in [
        store.put(&key, vec![0; 1 << 20].into()).await.err(),
        store.get(&key).await.err(),
        store.head(&key).await.err(),
        store.list(None).try_next().await.err(),
    ] {
        let said = refused.expect("there is no such bucket");
        assert!(
            matches!(said, Error::NotFound { .. }) || has_status(&said, 404),
            "{said:?}"
        );
    }
}

/// Whether the server has answered this: for listings and bulk deletions the client gives no kind of error but the
/// generic one, and its source has no public type.
fn has_status(error: &Error, status: u16) -> bool {
    let Error::Generic { source, .. } = error else {
        return false;
    };
    format!("{source:?}").contains(&format!("status: {status},"))
}
