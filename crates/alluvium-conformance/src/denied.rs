//! An object store that lets nobody do anything, and counts who tries.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Every request is denied, and repeating it would not help.
#[derive(Debug, Default)]
pub(crate) struct Denied {
    calls: AtomicU64,
}

impl Denied {
    /// How many requests there have been since this was last asked.
    pub(crate) fn take_calls(&self) -> u64 {
        self.calls.swap(0, Ordering::AcqRel)
    }

    fn deny(&self, path: &Path) -> Error {
        self.calls.fetch_add(1, Ordering::AcqRel);
        Error::PermissionDenied {
            path: path.to_string(),
            source: "nobody may".into(),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that denies everything")
    }
}

#[async_trait]
impl ObjectStore for Denied {
    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(self.deny(location))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(self.deny(location))
    }

    async fn get_opts(&self, location: &Path, _: GetOptions) -> Result<GetResult> {
        Err(self.deny(location))
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let denied = self.deny(&Path::default());
        stream::iter([Err(denied)]).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let denied = self.deny(&Path::default());
        stream::iter([Err(denied)]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(self.deny(&Path::default()))
    }

    async fn copy_opts(&self, from: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(self.deny(from))
    }
}
