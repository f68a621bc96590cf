//! Requests to an object store: each with a time limit, repeated where it may be, its errors typed.
//!
//! Everything in this crate that speaks to a store does it through [`Store`]. It knows nothing of what the objects mean.
//!
//! **Time.** A request may take a time that is the same for all, and its bytes what they need at [`FLOOR_RATE`] on top. A
//! store that hangs is thereby an error and never a wait without an end.
//!
//! **Repeating.** The clients of the services repeat HTTP requests themselves. On top of that, what failed for a reason
//! that may pass is repeated, [`REPEATS`] times, with exponential backoff, if repeating it is the same as doing it once: reads, listings, removals,
//! and puts of content that never changes. What timed out is not: that was long enough. A conditional put is not
//! repeated here, for its answer may be lost and its effect not: [`Pointer`](crate::pointer::Pointer) settles that.

mod error;

use std::collections::HashSet;
use std::fmt;
use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, UpdateVersion,
};
use tokio::time::timeout;

use error::{Cut, OtherSize, TooLarge};
pub(crate) use error::{Failure, StoreError};

/// Bytes a second that a store must be able to move for a transfer not to count as hanging: 1 MiB.
pub(crate) const FLOOR_RATE: u64 = 1 << 20;

/// About how long is waited before a request is repeated for the first time; longer and longer from then on.
const PAUSE: Duration = Duration::from_millis(50);
/// By how much longer.
const LONGER: f64 = 5.0;
/// How often a request is repeated.
const REPEATS: usize = 2;

/// An object store, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Store {
    store: Arc<dyn ObjectStore>,
    /// How long a request may take, beside the time for its bytes.
    limit: Duration,
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// To be named when it is replaced.
    pub(crate) version: UpdateVersion,
}

/// What came of the removal of many objects.
pub(crate) struct Removed {
    /// Those that are gone.
    pub(crate) gone: HashSet<Path>,
    /// Why the first of the others is not.
    pub(crate) failure: Option<StoreError>,
}

impl Store {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, limit: Duration) -> Self {
        Self { store, limit }
    }

    /// Where something is, for whoever reads an error.
    pub(crate) fn location(&self, path: &Path) -> String {
        if path.is_root() {
            self.store.to_string()
        } else {
            format!("{path} in {}", self.store)
        }
    }

    /// Reads a whole object of at most so many bytes; none if it is not there.
    pub(crate) async fn get(&self, path: &Path, most: u64) -> Result<Option<Object>, StoreError> {
        let read = || async {
            let found = self.within(self.limit, self.store.get_opts(path, GetOptions::default()));
            let Some(found) = found_or_none(found.await)? else {
                return Ok(None);
            };
            if found.meta.size > most {
                return Err(Failure::damaged(TooLarge {
                    size: found.meta.size,
                    most,
                }));
            }
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            let bytes = self.body(found).await?;
            Ok(Some(Object { bytes, version }))
        };
        let object = self.repeated(read).await;
        object.map_err(|failure| self.told("read", path, failure))
    }

    /// Reads exactly these bytes of an object; none if it is not there. One that ends before is
    /// [`StoreError::Corrupt`].
    pub(crate) async fn get_range(
        &self,
        path: &Path,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, StoreError> {
        self.get_range_of(path, range, None).await
    }

    /// Reads exactly these bytes of an object of exactly this size; none if it is not there. One of another size is
    /// [`StoreError::Corrupt`].
    pub(crate) async fn get_part(
        &self,
        path: &Path,
        range: Range<u64>,
        size: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        self.get_range_of(path, range, Some(size)).await
    }

    async fn get_range_of(
        &self,
        path: &Path,
        range: Range<u64>,
        whole: Option<u64>,
    ) -> Result<Option<Bytes>, StoreError> {
        let check_size = |size| match whole {
            Some(wanted) if wanted != size => Err(Failure::damaged(OtherSize { size, wanted })),
            _ => Ok(()),
        };
        let wanted = range.end - range.start;
        if wanted == 0 {
            // No service has a range of nothing.
            let Some(size) = self.size(path).await? else {
                return Ok(None);
            };
            check_size(size).map_err(|failure| self.told("read", path, failure))?;
            return Ok(Some(Bytes::new()));
        }
        let read = || async {
            let options = GetOptions::new().with_range(Some(range.clone()));
            let found = match self.within(self.limit, self.store.get_opts(path, options)).await {
                Ok(found) => found,
                Err(failure) if failure.is_not_found() => return Ok(None),
                Err(failure) if failure.is_time_out() => return Err(failure),
                Err(failure) => return Err(self.cut_or(failure, path, &range).await),
            };
            let size = found.meta.size;
            check_size(size)?;
            let bytes = self.body(found).await?;
            if bytes.len() as u64 == wanted {
                Ok(Some(bytes))
            } else {
                Err(Failure::damaged(Cut {
                    size,
                    needed: range.end,
                }))
            }
        };
        let bytes = self.repeated(read).await;
        bytes.map_err(|failure| self.told("read", path, failure))
    }

    /// How long an object is; none if it is not there.
    pub(crate) async fn size(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        let found = self.repeated(|| self.head(path)).await;
        let found = found.map_err(|failure| self.told("look for", path, failure))?;
        Ok(found.map(|found| found.size))
    }

    /// The version of an object, whatever it holds; none if it is not there.
    pub(crate) async fn version(&self, path: &Path) -> Result<Option<UpdateVersion>, StoreError> {
        let found = self.repeated(|| self.head(path)).await;
        let found = found.map_err(|failure| self.told("look for", path, failure))?;
        Ok(found.map(|found| UpdateVersion {
            e_tag: found.e_tag,
            version: found.version,
        }))
    }

    /// When an object was written, by the clock of the store; none if it is not there.
    pub(crate) async fn last_modified(&self, path: &Path) -> Result<Option<SystemTime>, StoreError> {
        let found = self.repeated(|| self.head(path)).await;
        let found = found.map_err(|failure| self.told("look for", path, failure))?;
        Ok(found.map(|found| found.last_modified.into()))
    }

    /// Puts an object of which the name stands for its content: to put it twice is to put it once.
    pub(crate) async fn put(&self, path: &Path, payload: PutPayload) -> Result<(), StoreError> {
        let put = || async {
            self.put_opts(path, payload.clone(), PutMode::Overwrite)
                .await
                .map(drop)
        };
        let done = self.repeated(put).await;
        done.map_err(|failure| self.told("write", path, failure))
    }

    /// Puts an object on a condition, once.
    pub(crate) async fn put_if(
        &self,
        path: &Path,
        payload: PutPayload,
        condition: PutMode,
    ) -> Result<UpdateVersion, Failure> {
        self.put_opts(path, payload, condition).await
    }

    /// Begins an object that is put in parts.
    pub(crate) async fn begin_upload(&self, path: &Path) -> Result<Box<dyn MultipartUpload>, StoreError> {
        let options = PutMultipartOptions::default();
        let begin = || self.within(self.limit, self.store.put_multipart_opts(path, options.clone()));
        let upload = self.repeated(begin).await;
        upload.map_err(|failure| self.told("write", path, failure))
    }

    /// Every object below a directory, in no order.
    pub(crate) async fn list(&self, directory: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let list = || async {
            let mut found = Vec::new();
            let mut pages = self.store.list(Some(directory));
            while let Some(object) = self.next(&mut pages).await? {
                found.push(object);
            }
            Ok(found)
        };
        let found = self.repeated(list).await;
        found.map_err(|failure| self.told("list", directory, failure))
    }

    /// Every object right in a directory, and none below that, in no order.
    pub(crate) async fn list_here(&self, directory: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let list = || self.within(self.limit, self.store.list_with_delimiter(Some(directory)));
        let found = self.repeated(list).await;
        let found = found.map_err(|failure| self.told("list", directory, failure))?;
        Ok(found.objects)
    }

    /// Removes objects, and goes on past those that cannot be. One that is not there is gone.
    pub(crate) async fn remove(&self, mut paths: Vec<Path>) -> Removed {
        let mut removed = Removed {
            gone: HashSet::new(),
            failure: None,
        };
        for pause in pauses().map(Some).chain([None]) {
            let failure = self.remove_once(&paths, &mut removed.gone).await;
            paths.retain(|path| !removed.gone.contains(path));
            let Some(failure) = failure.filter(|_| !paths.is_empty()) else {
                return removed;
            };
            if let Some(pause) = pause.filter(|_| failure.may_repeat()) {
                tokio::time::sleep(pause).await;
            } else {
                let location = paths.first().cloned().unwrap_or_default();
                removed.failure = Some(self.told("remove", &location, failure));
                return removed;
            }
        }
        removed
    }

    async fn remove_once(&self, paths: &[Path], gone: &mut HashSet<Path>) -> Option<Failure> {
        let wanted = paths.to_vec();
        let mut answers = self
            .store
            .delete_stream(stream::iter(wanted).map(Ok).boxed())
            .fuse();
        // Not every store leaves out of its answers what it could not remove, nor says in them which that was.
        let mut first = None;
        loop {
            match self.next(&mut answers).await {
                Ok(Some(path)) => drop(gone.insert(path)),
                Ok(None) => return first,
                Err(failure) => match failure.not_found_path() {
                    Some(path) => gone.extend(paths.iter().find(|wanted| wanted.as_ref() == path).cloned()),
                    None if failure.is_time_out() => return Some(first.unwrap_or(failure)),
                    None => first = first.or(Some(failure)),
                },
            }
        }
    }

    /// An error of this store, of a request about this object.
    pub(crate) fn told(&self, doing: &'static str, path: &Path, failure: Failure) -> StoreError {
        let location = self.location(path);
        match failure {
            Failure::Damaged(source) => StoreError::Corrupt { location, source },
            Failure::Refused { kind, source } => StoreError::Refused {
                doing,
                location,
                kind,
                source,
            },
        }
    }

    async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, Failure> {
        let options = GetOptions::new().with_head(true);
        let found = self.within(self.limit, self.store.get_opts(path, options));
        Ok(found_or_none(found.await)?.map(|found| found.meta))
    }

    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<UpdateVersion, Failure> {
        let limit = self.time_for(payload.content_length() as u64);
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        let put = self.within(limit, self.store.put_opts(path, payload, options));
        put.await.map(UpdateVersion::from)
    }

    /// The bytes of an object that has begun to come.
    async fn body(&self, found: GetResult) -> Result<Bytes, Failure> {
        let limit = self.time_for(found.range.end - found.range.start);
        self.within(limit, found.bytes()).await
    }

    async fn next<T>(
        &self,
        answers: &mut (impl stream::Stream<Item = object_store::Result<T>> + Unpin),
    ) -> Result<Option<T>, Failure> {
        self.within(self.limit, async { answers.next().await.transpose() })
            .await
    }

    /// Gives a request so much time.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        match timeout(limit, request).await {
            Ok(answer) => answer.map_err(Failure::of),
            Err(_) => Err(Failure::timed_out(limit)),
        }
    }

    /// What a refused range means: services refuse one that begins after the end, in words of their own.
    async fn cut_or(&self, failure: Failure, path: &Path, range: &Range<u64>) -> Failure {
        match self.head(path).await {
            Ok(Some(found)) if found.size < range.end => Failure::damaged(Cut {
                size: found.size,
                needed: range.end,
            }),
            _ => failure,
        }
    }

    async fn repeated<T, F>(&self, request: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        for pause in pauses() {
            match request().await {
                Err(failure) if failure.may_repeat() => {
                    tracing::debug!(store = %self.store, %failure, "a request is repeated");
                    tokio::time::sleep(pause).await;
                }
                answer => return answer,
            }
        }
        request().await
    }

    /// How long a request may take that moves so many bytes.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        self.limit + Duration::from_millis(bytes.saturating_mul(1000) / FLOOR_RATE)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By its name only: the stores of some services show their credentials.
        write!(f, "Store({})", self.store)
    }
}

/// What is waited each time that a request is repeated.
fn pauses() -> impl Iterator<Item = Duration> {
    let mut backoff = ExponentialBackoffBuilder::new()
        .with_initial_interval(PAUSE)
        .with_multiplier(LONGER)
        .with_max_elapsed_time(None)
        .build();
    iter::from_fn(move || backoff.next_backoff()).take(REPEATS)
}

/// Where something is, of which this is the path below a directory, its names encoded already.
pub(crate) fn below(directory: &Path, path: &str) -> Result<Path, object_store::path::Error> {
    if directory.is_root() {
        Path::parse(path)
    } else {
        Path::parse(format!("{directory}/{path}"))
    }
}

fn found_or_none<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests;
