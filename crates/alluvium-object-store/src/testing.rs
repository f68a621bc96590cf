//! A store for tests, at which a script decides before each request what becomes of it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::poll_fn;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// What becomes of requests.
#[async_trait]
pub(crate) trait Script: Send + Sync + 'static {
    /// Before it is sent. An error is the answer instead.
    async fn before(&self, request: &str) -> Result<()>;
}

/// The store.
#[derive(Clone)]
pub(crate) struct Staged {
    store: Arc<dyn ObjectStore>,
    script: Arc<dyn Script>,
}

impl Staged {
    pub(crate) fn over(store: &Arc<impl ObjectStore>, script: &Arc<impl Script>) -> Arc<dyn ObjectStore> {
        Arc::new(Self {
            store: Arc::clone(store) as _,
            script: Arc::clone(script) as _,
        })
    }

    async fn through<T>(&self, request: String, sent: impl Future<Output = Result<T>>) -> Result<T> {
        self.script.before(&request).await?;
        sent.await
    }

    fn streamed<T: Send + 'static>(
        &self,
        request: String,
        sent: impl FnOnce(&dyn ObjectStore) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let this = self.clone();
        let all = async move {
            let answers = async { Ok(sent(this.store.as_ref()).collect::<Vec<_>>().await) };
            let answers = this.through(request, answers).await?;
            Ok::<_, Error>(stream::iter(answers))
        };
        stream::once(all).try_flatten().boxed()
    }
}

impl fmt::Display for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staged({})", self.store)
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for Staged {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let kind = match options.mode {
            PutMode::Overwrite => "PUT",
            PutMode::Create => "CREATE",
            PutMode::Update(_) => "SWAP",
        };
        let sent = self.store.put_opts(location, payload, options);
        self.through(format!("{kind} {location}"), sent).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let sent = self.store.put_multipart_opts(location, options);
        self.through(format!("PUT {location}"), sent).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let sent = self.store.get_opts(location, options);
        self.through(format!("GET {location}"), sent).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let sent = self.store.get_ranges(location, ranges);
        self.through(format!("GET {location}"), sent).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.streamed("DELETE".to_owned(), |store| store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        self.streamed(format!("LIST {prefix}"), move |store| store.list(Some(&prefix)))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned().unwrap_or_default(), offset.clone());
        self.streamed(format!("LIST {prefix}"), move |store| {
            store.list_with_offset(Some(&prefix), &offset)
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let sent = self.store.list_with_delimiter(prefix);
        self.through("LIST".to_owned(), sent).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let sent = self.store.copy_opts(from, to, options);
        self.through(format!("COPY {to}"), sent).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let sent = self.store.rename_opts(from, to, options);
        self.through(format!("COPY {to}"), sent).await
    }
}

/// Writes down each request.
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<String>>);

impl Log {
    /// What was sent since this was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl Script for Log {
    async fn before(&self, request: &str) -> Result<()> {
        self.0.lock().unwrap().push(request.to_owned());
        Ok(())
    }
}

/// Lets requests through, from some time on only when it is their turn.
#[derive(Default)]
pub(crate) struct Turns(Mutex<Turn>);

#[derive(Default)]
struct Turn {
    /// Whether only those go on that are allowed to.
    held: bool,
    allowed: usize,
    /// What waits for its turn.
    waiting: Vec<(String, Waker)>,
}

impl Turns {
    /// From now on requests wait for their turn.
    pub(crate) fn hold(&self) {
        self.0.lock().unwrap().held = true;
    }

    /// Lets one more request through.
    pub(crate) fn allow(&self) {
        let mut turn = self.0.lock().unwrap();
        turn.allowed += 1;
        turn.waiting.drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// What waits for its turn.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let turn = self.0.lock().unwrap();
        turn.waiting.iter().map(|(request, _)| request.clone()).collect()
    }
}

#[async_trait]
impl Script for Turns {
    async fn before(&self, request: &str) -> Result<()> {
        poll_fn(|context| {
            let mut turn = self.0.lock().unwrap();
            if !turn.held {
                return Poll::Ready(Ok(()));
            }
            if let Some(left) = turn.allowed.checked_sub(1) {
                turn.allowed = left;
                return Poll::Ready(Ok(()));
            }
            turn.waiting.push((request.to_owned(), context.waker().clone()));
            Poll::Pending
        })
        .await
    }
}
