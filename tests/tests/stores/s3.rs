//! The S3 server.

use std::sync::LazyLock;

use alluvium_e2e::{S3Server, StoreServer as _, store_suite};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode};

/// One for all that do not count. It ends with this process.
static SERVER: LazyLock<S3Server> = LazyLock::new(S3Server::start);

store_suite!(&*SERVER);

#[tokio::test]
async fn every_request_is_counted_by_its_kind() {
    let server = S3Server::start();
    let store = server.store();
    let key = Path::from("counted");
    store.put(&key, "one".into()).await.unwrap();
    let before = server.requests();
    assert_eq!((before.total(), before.of("PutObject")), (1, 1));
    let refused = store.put_opts(&key, "two".into(), PutMode::Create.into()).await;
    assert!(refused.is_err());
    store.get(&key).await.unwrap();
    store.head(&key).await.unwrap();
    store.list(None).try_collect::<Vec<_>>().await.unwrap();
    let keys = stream::iter([Ok(key)]).boxed();
    store.delete_stream(keys).try_collect::<Vec<_>>().await.unwrap();
    let kinds = [
        "PutObject",
        "GetObject",
        "HeadObject",
        "ListObjectsV2",
        "DeleteObjects",
    ];
    let since = server.requests().since(&before);
    assert_eq!(kinds.map(|kind| since.of(kind)), [1; 5], "{since:?}");
    assert_eq!(since.total(), 5, "{since:?}");
}

/// A client that is answered before it has sent everything may see a broken connection instead of the answer.
#[tokio::test]
async fn a_refusal_comes_after_the_whole_body() {
    let store = SERVER.store();
    let key = Path::from("refused/large");
    let large = Bytes::from(vec![7; 32 << 20]);
    store.put(&key, "small".into()).await.unwrap();
    for _ in 0..5 {
        let refused = store
            .put_opts(&key, large.clone().into(), PutMode::Create.into())
            .await;
        assert!(
            matches!(refused, Err(object_store::Error::AlreadyExists { .. })),
            "{refused:?}"
        );
    }
}

/// As real S3 has it: whoever compares etags compares contents.
#[tokio::test]
async fn an_etag_is_the_contents() {
    let store = SERVER.store();
    let put = async |name: &str, content: &'static str| {
        let put = store.put(&Path::from(name), content.into()).await.unwrap();
        put.e_tag.unwrap()
    };
    let one = put("etags/one", "content").await;
    assert_eq!(one, put("etags/another", "content").await);
    assert_ne!(one, put("etags/other", "contents").await);
    let listed: Vec<_> = store
        .list(Some(&Path::from("etags")))
        .try_collect()
        .await
        .unwrap();
    assert!(listed.iter().all(|object| object.e_tag.is_some()));
}

#[tokio::test]
async fn what_it_stored_goes_with_it() {
    let server = S3Server::start();
    let directory = server.directory().to_owned();
    server
        .store()
        .put(&Path::from("object"), "content".into())
        .await
        .unwrap();
    assert!(directory.read_dir().unwrap().next().is_some());
    drop(server);
    assert!(!directory.exists());
}
