//! Stores of URLs without a service; those of services are in `service_tests.rs`.

use alluvium_core::ErrorKind;
use object_store::{ObjectStoreExt as _, PutMode};

use super::*;

fn none() -> StoreOptions {
    StoreOptions::default().environment(false)
}

fn refused(url: &str) -> String {
    let error = open_store(url, &none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
    error.to_string()
}

#[tokio::test]
async fn memory_is_a_new_store_each_time() {
    let (store, prefix) = open_store("memory:", &none()).unwrap();
    let (other, _) = open_store("memory:", &none()).unwrap();
    let key = prefix.join("key");
    store.put(&key, "x".into()).await.unwrap();
    assert!(other.head(&key).await.is_err());
}

#[tokio::test]
async fn a_file_url_is_a_directory_with_conditional_puts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made for it/ü");
    let url = ::url::Url::from_directory_path(&path).unwrap();
    assert!(url.as_str().contains("%20") && url.as_str().contains("%C3%BC"));
    let (store, prefix) = open_store(url.as_str(), &none()).unwrap();
    assert_eq!(prefix, Path::default());
    let put = store
        .put_opts(&Path::from("key"), "x".into(), PutMode::Create.into())
        .await
        .unwrap();
    let update = PutMode::Update(put.into());
    store
        .put_opts(&Path::from("key"), "y".into(), update.into())
        .await
        .unwrap();
    assert_eq!(std::fs::read(path.join("key")).unwrap(), b"y");
}

#[test]
fn a_file_is_no_store_and_an_unreachable_directory_is_an_operators_matter() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = open_store(&format!("file://{}", path.display()), &none()).unwrap_err();
        assert!(matches!(error, OpenStoreError::Directory { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
    let error = open_store("file:///proc/no/such/place", &none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[test]
fn stores_without_a_service_take_no_options() {
    let options = none().set("allow_http", "value-of-it");
    for url in ["memory:", "file:///tmp/never-made"] {
        let error = open_store(url, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("`allow_http`"), "{error}");
        assert!(!format!("{error:?}{options:?}").contains("value-of-it"));
    }
    assert!(!std::path::Path::new("/tmp/never-made").exists());
}

#[test]
fn what_is_no_url_of_a_store_is_refused_with_the_way_out() {
    for (url, says) in [
        ("", "no scheme"),
        ("bucket/prefix", "no scheme"),
        ("/srv/state", "no scheme"),
        ("://x", "no scheme"),
        ("http://host/bucket", "no such scheme"),
        ("S3://bucket", "no such scheme"),
        ("memory:name", "use memory:"),
        ("memory:///", "use memory:"),
        ("file:state", "absolute path"),
        ("file:./state", "`.` or `..`"),
        ("file:/srv/state", "absolute path"),
        ("file://state", "absolute path"),
        ("file://host/srv/state", "absolute path"),
        ("file://localhost/srv/state", "absolute path"),
        ("file:///", "below the root"),
        ("file:///srv/../etc", "`.` or `..`"),
        ("file:///srv/%2e%2E/etc", "`.` or `..`"),
        ("file:///srv/./x", "`.` or `..`"),
        ("file:///srv\\..\\x", "`.` or `..`"),
        ("file:///srv/x?a=b", "query"),
        ("file:///srv/x#1", "fragment"),
        ("file:///srv/a%00b", "zero byte"),
    ] {
        let message = refused(url);
        assert!(message.contains(says), "{url}: {message}");
    }
}

#[test]
fn what_is_no_bucket_is_refused_whatever_is_compiled_in() {
    for (url, says) in [
        ("s3://", "no bucket: s3://BUCKET"),
        ("s3:///prefix", "no bucket"),
        ("s3:bucket", "no bucket"),
        ("az://", "no container: az://CONTAINER"),
        ("gs:///x", "no bucket"),
        ("s3://bucket:9000/x", "`endpoint`"),
        ("s3://buck%20et/x", "no bucket has such a name"),
        ("s3://bücket/x", "no bucket has such a name"),
        ("az://[::1]/x", "no container has such a name"),
        ("s3://bucket/a/../b", "`.` or `..`"),
        ("s3://bucket/..", "`.` or `..`"),
        ("s3://bucket/a//b", "empty"),
        ("s3://bucket/a#1", "%23"),
    ] {
        let message = refused(url);
        assert!(
            message.to_lowercase().contains(&says.to_lowercase()),
            "{url}: {message}"
        );
    }
}

#[test]
fn a_bucket_and_a_prefix_are_read_as_they_are_written() {
    for (url, expected_service, expected_bucket, expected_prefix) in [
        ("s3://bucket", Service::S3, "bucket", ""),
        ("s3://bucket/", Service::S3, "bucket", ""),
        ("s3://Bucket.a-b_c/x", Service::S3, "Bucket.a-b_c", "x"),
        ("s3://bucket/a/b/", Service::S3, "bucket", "a/b"),
        ("s3://bucket/a%20b/%C3%BC", Service::S3, "bucket", "a b/ü"),
        ("az://$web/a", Service::Azure, "$web", "a"),
        ("gs://bucket/..a/b..", Service::Gcs, "bucket", "..a/b.."),
    ] {
        let Place::Bucket {
            service,
            bucket,
            prefix,
        } = url::parse(url).unwrap()
        else {
            panic!("{url}");
        };
        let found = (service, bucket.as_str(), prefix.as_ref());
        assert_eq!(found, (expected_service, expected_bucket, expected_prefix));
    }
}

#[test]
fn credentials_in_a_url_are_refused_and_not_repeated() {
    const SECRET: &str = "s3cr3t-of-mine";
    for url in [
        format!("s3://key:{SECRET}@bucket/prefix"),
        format!("s3://{SECRET}@bucket/prefix"),
        format!("az://container/prefix?sv=1&sig={SECRET}"),
        format!("az://container/prefix#{SECRET}"),
        format!("gs://bucket/prefix?{SECRET}"),
        format!("https://u:{SECRET}@host/x"),
        format!("s3://u:{SECRET}@[bad/x"),
        format!("u:{SECRET}@host"),
        SECRET.to_owned(),
    ] {
        let error = open_store(&url, &none()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_scheme_that_is_not_compiled_in_says_what_to_turn_on() {
    let message = refused("s3://bucket/prefix");
    assert!(message.contains("feature `aws`"), "{message}");
}

#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
#[path = "service_tests.rs"]
mod services;
