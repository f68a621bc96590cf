//! Multipart uploads.

use alluvium_core::BoxError;
use bytes::Bytes;
use futures_util::Stream;
use object_store::MultipartUpload;
use object_store::path::Path;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Blobs, MOST_PARTS, Part, Parts, Written};
use crate::digest::Mark;
use crate::store::{Failure, Store, StoreError};

/// Why a content was not written.
#[derive(Debug)]
pub(crate) enum UploadError<E> {
    /// It did not come.
    Source(E),
    /// The store did not take it.
    Store(StoreError),
    /// It has more parts than a service takes.
    TooLong {
        /// The most bytes there may be.
        most: u64,
    },
}

impl<E> From<StoreError> for UploadError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Blobs {
    /// Writes a content of more than one part, of which the first was taken already. Nothing is to be seen of it until it is there
    /// as a whole, and nothing is left of it where it fails.
    pub(crate) async fn upload<M: Mark, S, E>(
        &self,
        path: &Path,
        first: Part,
        rest: Parts<S>,
    ) -> Result<Written<M::Taken>, UploadError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let mut upload = Upload::begin(&self.store, path).await?;
        let sent = self.send::<M, S, E>(&mut upload, path, first, rest).await;
        let written = match sent {
            Ok(written) => written,
            Err(error) => {
                upload.abort().await;
                return Err(error);
            }
        };
        let limit = self.store.time_for(written.size);
        let Err(failure) = self.store.within(limit, upload.parts()?.complete()).await else {
            upload.done();
            return Ok(written);
        };
        // Completing may be answered by an error, or not at all, and be done.
        if failure.is_ambiguous() && matches!(self.is_there::<M>(path, written).await, Ok(true)) {
            upload.done();
            return Ok(written);
        }
        upload.abort().await;
        Err(self.store.told("write", path, failure).into())
    }

    async fn send<M: Mark, S, E>(
        &self,
        upload: &mut Upload,
        path: &Path,
        first: Part,
        mut rest: Parts<S>,
    ) -> Result<Written<M::Taken>, UploadError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let told = |failure| UploadError::Store(self.store.told("write", path, failure));
        let mut sending = JoinSet::new();
        let mut mark = M::default();
        let (mut size, mut count) = (0, 0);
        let mut next = Some(first);
        loop {
            // Before the part is taken from the stream: a permit is room in memory for it.
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|error| told(Failure::stopped(error)))?;
            let part = match next.take() {
                Some(part) => part,
                None => rest.next().await.map_err(UploadError::Source)?,
            };
            if part.length > 0 {
                count += 1;
                if count > MOST_PARTS {
                    return Err(UploadError::TooLong {
                        most: MOST_PARTS.saturating_mul(self.options.part_bytes),
                    });
                }
                size += part.length as u64;
                let limit = self.store.time_for(part.length as u64);
                let put = upload.parts()?.put_part(part.payload());
                let store = self.store.clone();
                sending.spawn(async move {
                    let sent = store.within(limit, put).await;
                    drop(permit);
                    sent
                });
                let is_last = rest.is_last(&part);
                let taken = mark.update(part.pieces).await;
                mark = taken.map_err(|error| told(Failure::stopped(error)))?;
                if !is_last {
                    // What has failed already ends it here.
                    while let Some(sent) = sending.try_join_next() {
                        finished(sent).map_err(told)?;
                    }
                    continue;
                }
            }
            break;
        }
        while let Some(sent) = sending.join_next().await {
            finished(sent).map_err(told)?;
        }
        Ok(Written {
            size,
            mark: mark.finish(),
        })
    }
}

fn finished(sent: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    sent.unwrap_or_else(|error| Err(Failure::stopped(error)))
}

/// An upload that is aborted unless it is done.
struct Upload {
    store: Store,
    path: Path,
    /// `None` once it has ended.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    async fn begin(store: &Store, path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            store: store.clone(),
            path: path.clone(),
            parts: Some(store.begin_upload(path).await?),
        })
    }

    fn parts(&mut self) -> Result<&mut Box<dyn MultipartUpload>, StoreError> {
        let ended: BoxError = "the upload has ended".into();
        self.parts
            .as_mut()
            .ok_or_else(|| self.store.told("write", &self.path, Failure::stopped(ended)))
    }

    fn done(mut self) {
        self.parts = None;
    }

    async fn abort(mut self) {
        if let Some(upload) = self.parts.take() {
            abort(&self.store, &self.path, upload).await;
        }
    }
}

impl Drop for Upload {
    /// Whoever gave up waiting has not aborted it.
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.parts.take(), Handle::try_current()) {
            let (store, path) = (self.store.clone(), self.path.clone());
            runtime.spawn(async move { abort(&store, &path, upload).await });
        }
    }
}

async fn abort(store: &Store, path: &Path, mut upload: Box<dyn MultipartUpload>) {
    if let Err(failure) = store.within(store.time_for(0), upload.abort()).await {
        let location = store.location(path);
        tracing::warn!(location, %failure, "the parts of an upload that failed could not be removed: have the store expire them");
    }
}
