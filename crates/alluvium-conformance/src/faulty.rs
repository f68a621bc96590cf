//! An object store that fails where it is told to.

use std::fmt;
use std::future::{Future, pending};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing is done, and the answer is an error that says nothing of why.
    Fail,
    /// Nothing is done, and no answer ever comes: whoever has no limit of time waits for ever.
    TimeOut,
    /// It is done, and the answer is an error: the reply was lost.
    LoseTheAnswer,
    /// Nothing is done, at this call and at all later ones: the process died before it.
    CrashBefore,
    /// It is done, and nothing is at all later calls: the process died right after it.
    CrashAfter,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [
        Self::Fail,
        Self::TimeOut,
        Self::LoseTheAnswer,
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}

/// What is asked of an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// To store an object in one go.
    Put,
    /// To begin an upload in parts, to take a part, to end it.
    Multipart,
    /// For an object, for some ranges of it, or for what is known about it.
    Get,
    /// For the names of objects.
    List,
    /// To delete objects.
    Delete,
    /// To copy or rename an object.
    Copy,
}

impl Call {
    const COUNT: usize = Self::Copy as usize + 1;
}

/// An object store over another one, at which one call goes wrong.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_conformance::{Call, Fault, FaultyStore};
/// use object_store::{ObjectStore as _, ObjectStoreExt as _, memory::InMemory, path::Path};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sound = Arc::new(InMemory::new());
/// let store = FaultyStore::failing(sound.clone(), 2, Fault::LoseTheAnswer);
/// let key = Path::from("key");
/// store.put(&key, "first".into()).await?;
/// assert!(store.put(&key, "second".into()).await.is_err());
/// assert_eq!(sound.get(&key).await?.bytes().await?, "second");
/// assert_eq!((store.calls(), store.calls_of(Call::Put)), (2, 2));
/// # Ok::<(), object_store::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To have every call of a run go wrong in turn, count them once, and start over for each:
///
/// ```text
/// let calls = { let store = FaultyStore::sound(new()); run(&store).await; store.calls() };
/// for call in 1..=calls { for fault in Fault::ALL { run(&FaultyStore::failing(new(), call, fault)).await; … } }
/// ```
///
/// A call is one of a method that asks the store for something: a listing or a deletion of many is one call, a part of an
/// upload and its end are one each. Clones count together.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    state: Arc<State>,
}

struct State {
    plan: Option<(u64, Fault)>,
    calls: AtomicU64,
    /// The same by [`Call`].
    calls_of: [AtomicU64; Call::COUNT],
    crashed: AtomicBool,
}

impl FaultyStore {
    /// One that only counts.
    pub fn sound(inner: Arc<dyn ObjectStore>) -> Self {
        Self::new(inner, None)
    }

    /// One at which the call of this number, from 1, goes wrong.
    pub fn failing(inner: Arc<dyn ObjectStore>, call: u64, fault: Fault) -> Self {
        Self::new(inner, Some((call, fault)))
    }

    fn new(inner: Arc<dyn ObjectStore>, plan: Option<(u64, Fault)>) -> Self {
        let state = State {
            plan,
            calls: AtomicU64::new(0),
            calls_of: Default::default(),
            crashed: AtomicBool::new(false),
        };
        Self {
            inner,
            state: Arc::new(state),
        }
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::Acquire)
    }

    /// How many of them asked for this. What goes wrong counts too.
    pub fn calls_of(&self, call: Call) -> u64 {
        self.state.calls_of[call as usize].load(Ordering::Acquire)
    }

    async fn call<T>(&self, call: Call, sent: impl Future<Output = Result<T>>) -> Result<T> {
        self.state.call(call, sent).await
    }

    /// A stream whose making is the call.
    fn stream<T: Send + 'static>(
        &self,
        call: Call,
        sent: impl FnOnce(&dyn ObjectStore) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let this = self.clone();
        let answers = async move {
            let answers = async { Ok(sent(this.inner.as_ref()).collect::<Vec<_>>().await) };
            Ok::<_, Error>(stream::iter(this.call(call, answers).await?))
        };
        stream::once(answers).try_flatten().boxed()
    }
}

impl State {
    async fn call<T>(&self, call: Call, sent: impl Future<Output = Result<T>>) -> Result<T> {
        self.calls_of[call as usize].fetch_add(1, Ordering::AcqRel);
        let number = self.calls.fetch_add(1, Ordering::AcqRel) + 1;
        if self.crashed.load(Ordering::Acquire) {
            return Err(error("the process is dead"));
        }
        match self.plan {
            Some((planned, fault)) if planned == number => match fault {
                Fault::Fail => Err(error("it failed")),
                Fault::TimeOut => pending().await,
                Fault::LoseTheAnswer => {
                    sent.await?;
                    Err(error("the answer was lost"))
                }
                Fault::CrashBefore => {
                    self.crashed.store(true, Ordering::Release);
                    Err(error("the process died before it"))
                }
                Fault::CrashAfter => {
                    let done = sent.await;
                    self.crashed.store(true, Ordering::Release);
                    done?;
                    Err(error("the process died after it"))
                }
            },
            _ => sent.await,
        }
    }
}

fn error(what: &'static str) -> Error {
    Error::Generic {
        store: "faulty",
        source: what.into(),
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .field("plan", &self.state.plan)
            .field("calls", &self.calls())
            .finish()
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

// A method that is not forwarded would be counted as others are, if at all.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call(Call::Put, self.inner.put_opts(location, payload, options))
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self
            .call(Call::Multipart, self.inner.put_multipart_opts(location, options))
            .await?;
        Ok(Box::new(FaultyUpload {
            inner: upload,
            state: Arc::clone(&self.state),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(Call::Get, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.call(Call::Get, self.inner.get_ranges(location, ranges))
            .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.stream(Call::Delete, move |inner| inner.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.stream(Call::List, move |inner| inner.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.stream(Call::List, move |inner| {
            inner.list_with_offset(prefix.as_ref(), &offset)
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(Call::List, self.inner.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(Call::Copy, self.inner.copy_opts(from, to, options))
            .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.call(Call::Copy, self.inner.rename_opts(from, to, options))
            .await
    }
}

struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    state: Arc<State>,
}

impl fmt::Debug for FaultyUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyUpload")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, state) = (self.inner.put_part(data), Arc::clone(&self.state));
        Box::pin(async move { state.call(Call::Multipart, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.state.call(Call::Multipart, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.state.call(Call::Multipart, self.inner.abort()).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    /// Puts three objects, lists and deletes them: five calls.
    async fn run(store: &FaultyStore) -> Vec<bool> {
        let mut went_well = Vec::new();
        for key in ["a", "b", "c"] {
            went_well.push(store.put(&Path::from(key), key.into()).await.is_ok());
        }
        let listed: Result<Vec<_>> = store.list(None).try_collect().await;
        went_well.push(listed.is_ok_and(|listed| listed.len() == 3));
        let keys = stream::iter(["a", "b", "c"].map(|key| Ok(Path::from(key)))).boxed();
        went_well.push(store.delete_stream(keys).try_collect::<Vec<_>>().await.is_ok());
        went_well
    }

    async fn left(store: &InMemory) -> usize {
        store.list(None).count().await
    }

    #[tokio::test]
    async fn a_sound_one_does_what_it_is_told_and_counts() {
        let (inner, all_well) = (Arc::new(InMemory::new()), vec![true; 5]);
        let store = FaultyStore::sound(inner.clone());
        assert_eq!(run(&store).await, all_well);
        assert_eq!((store.calls(), left(&inner).await), (5, 0));
    }

    #[tokio::test]
    async fn calls_are_counted_by_what_they_ask_for() {
        let inner = Arc::new(InMemory::new());
        let store = FaultyStore::failing(inner, 2, Fault::Fail);
        run(&store).await;
        let key = Path::from("key");
        let mut upload = store.put_multipart(&key).await.unwrap();
        upload.put_part("part".into()).await.unwrap();
        upload.complete().await.unwrap();
        store.get_range(&key, 0..2).await.unwrap();
        store.head(&key).await.unwrap();
        store.rename(&key, &Path::from("other")).await.unwrap();
        let kinds = [
            Call::Put,
            Call::Multipart,
            Call::Get,
            Call::List,
            Call::Delete,
            Call::Copy,
        ];
        assert_eq!(kinds.map(|call| store.calls_of(call)), [3, 3, 2, 1, 1, 1]);
        assert_eq!(store.calls(), 11);
    }

    #[tokio::test]
    async fn one_call_goes_wrong_as_it_is_told() {
        for (call, fault, expected, objects) in [
            (2, Fault::Fail, [true, false, true, false, true], 0),
            (2, Fault::LoseTheAnswer, [true, false, true, true, true], 0),
            (2, Fault::CrashBefore, [true, false, false, false, false], 1),
            (2, Fault::CrashAfter, [true, false, false, false, false], 2),
            (5, Fault::Fail, [true, true, true, true, false], 3),
            (5, Fault::LoseTheAnswer, [true, true, true, true, false], 0),
        ] {
            let inner = Arc::new(InMemory::new());
            let store = FaultyStore::failing(inner.clone(), call, fault);
            assert_eq!(run(&store).await, expected, "{fault:?}");
            assert_eq!(left(&inner).await, objects, "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_times_out_never_answers() {
        let inner = Arc::new(InMemory::new());
        let store = FaultyStore::failing(inner.clone(), 1, Fault::TimeOut);
        let key = Path::from("key");
        let put = store.put(&key, "value".into());
        let limit = std::time::Duration::from_hours(1);
        assert!(tokio::time::timeout(limit, put).await.is_err());
        assert_eq!(left(&inner).await, 0);
        store.put(&key, "value".into()).await.unwrap();
    }
}
