//! What a prune cannot remove.

use alluvium_core::ErrorKind;

use super::*;

#[tokio::test]
async fn a_prune_goes_on_past_what_cannot_be_removed() {
    /// Refuses to remove what has this in its name.
    #[derive(Debug)]
    struct Stubborn(InMemory, &'static str);

    impl std::fmt::Display for Stubborn {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Stubborn")
        }
    }

    use futures_util::StreamExt as _;
    use futures_util::stream::BoxStream;
    use object_store::{
        CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    };

    #[async_trait]
    impl ObjectStore for Stubborn {
        async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            self.0.put_opts(at, payload, options).await
        }

        async fn put_multipart_opts(
            &self,
            at: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(at, options).await
        }

        async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(at, options).await
        }

        fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            let (store, refused) = (self.0.clone(), self.1);
            all.then(move |path| {
                let store = store.clone();
                async move {
                    let path = path?;
                    if path.as_ref().contains(refused) {
                        return Err(Error::PermissionDenied {
                            path: path.to_string(),
                            source: "it is locked".into(),
                        });
                    }
                    object_store::ObjectStoreExt::delete(&store, &path).await?;
                    Ok(path)
                }
            })
            .boxed()
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    let store = InMemory::new();
    let stubborn = Arc::new(Stubborn(store.clone(), "epochs/00000000000000000002/partials"));
    let backend = try_open(stubborn, "a").await.unwrap();
    for epoch in 1..=4 {
        backend
            .write_partials(e(epoch), v(0), partials("a"))
            .await
            .unwrap();
        assert!(backend.epoch_complete(e(epoch), &vnodes()).await.unwrap());
    }
    let error = backend.prune_before(e(4)).await.unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::PruneIncomplete {
                failed: 1,
                found: 6,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for (epoch, there) in [(1, false), (2, false), (3, false), (4, true)] {
        assert_eq!(owner(&backend, e(epoch)).await.is_some(), there, "epoch {epoch}");
    }
    let sound = try_open(Arc::new(store), "b").await.unwrap();
    assert_eq!(sound.prune_before(e(4)).await.unwrap(), 1, "what was left");
    assert_eq!(sound.prune_before(e(4)).await.unwrap(), 0);
}
