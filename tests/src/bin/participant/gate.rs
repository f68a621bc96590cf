//! An object store at which every request waits for the parent's leave, before it is sent and after it was answered.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use alluvium_e2e::participant::{Request, Step, When};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::parent::Parent;

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    store: Arc<dyn ObjectStore>,
    parent: Arc<Parent>,
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, parent: Arc<Parent>) -> Self {
        Self { store, parent }
    }

    fn ask(&self, when: When, request: Request, location: &str) {
        self.parent.ask(Step {
            when,
            request,
            location: location.to_owned(),
        });
    }

    async fn through<T>(
        &self,
        request: Request,
        location: &Path,
        sent: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.ask(When::Before, request, location.as_ref());
        let answer = sent.await;
        self.ask(When::After, request, location.as_ref());
        answer
    }

    /// What a stream gives, asked for when it is first polled.
    fn streamed<T: Send + 'static>(
        &self,
        request: Request,
        location: String,
        sent: impl FnOnce(Arc<dyn ObjectStore>) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (before, after, end) = (self.clone(), self.clone(), location.clone());
        let answer = stream::once(async move {
            before.ask(When::Before, request, &location);
            sent(Arc::clone(&before.store))
        });
        let asked = stream::once(async move {
            after.ask(When::After, request, &end);
            stream::empty().boxed()
        });
        answer.chain(asked).flatten().boxed()
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gate before {}", self.store)
    }
}

fn prefix_name(prefix: Option<&Path>) -> String {
    prefix.map(ToString::to_string).unwrap_or_default()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Gate {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let request = match opts.mode {
            PutMode::Overwrite => Request::Put,
            PutMode::Create | PutMode::Update(_) => Request::ConditionalPut,
        };
        let sent = self.store.put_opts(location, payload, opts);
        self.through(request, location, sent).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let sent = self.store.put_multipart_opts(location, opts);
        let upload = self.through(Request::Put, location, sent).await?;
        Ok(Box::new(GatedUpload {
            upload,
            gate: self.clone(),
            location: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let sent = self.store.get_opts(location, options);
        self.through(Request::Get, location, sent).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let sent = self.store.get_ranges(location, ranges);
        self.through(Request::Get, location, sent).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.streamed(Request::Delete, String::new(), |store| {
            store.delete_stream(locations)
        })
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let below = prefix.cloned();
        self.streamed(Request::List, prefix_name(prefix), move |store| {
            store.list(below.as_ref())
        })
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (below, offset) = (prefix.cloned(), offset.clone());
        self.streamed(Request::List, prefix_name(prefix), move |store| {
            store.list_with_offset(below.as_ref(), &offset)
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let location = prefix.cloned().unwrap_or_default();
        let sent = self.store.list_with_delimiter(prefix);
        self.through(Request::List, &location, sent).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let sent = self.store.copy_opts(from, to, options);
        self.through(Request::Copy, to, sent).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let sent = self.store.rename_opts(from, to, options);
        self.through(Request::Copy, to, sent).await
    }
}

/// An upload whose every request waits for leave too.
#[derive(Debug)]
struct GatedUpload {
    upload: Box<dyn MultipartUpload>,
    gate: Gate,
    location: Path,
}

#[async_trait]
impl MultipartUpload for GatedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let sent = self.upload.put_part(data);
        let (gate, location) = (self.gate.clone(), self.location.clone());
        async move { gate.through(Request::Part, &location, sent).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let sent = self.upload.complete();
        self.gate.through(Request::Complete, &self.location, sent).await
    }

    async fn abort(&mut self) -> Result<()> {
        let sent = self.upload.abort();
        self.gate.through(Request::Delete, &self.location, sent).await
    }
}
