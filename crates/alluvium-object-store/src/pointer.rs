//! The shared mutable object: written by compare-and-swap, every ambiguous answer settled by reading back.
//!
//! A conditional put that was answered by a time-out, a 5xx or a lost connection may have been done. One that the client
//! repeated by itself may be told that the condition does not hold, because the first time it did. So whatever is not a
//! plain success is settled by looking: our own content there is success, another one is defeat, and the one that was to
//! be replaced may be tried again, with the same bytes. A try that arrives late then finds another version and has no
//! effect.
//!
//! That needs contents that never come twice, for of most services the version of an object is a hash of its content.
//! **Whoever swaps puts something unique into every content.** Both etag and version of a put are kept: which one
//! counts depends on the service.
//!
//! HTTP has etags in quotes, and some services (Ceph before version 17) compare what is in `If-Match` without. A put
//! that is refused where nothing has changed is tried again with the other form, which is remembered if it succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};

use crate::store::{Failure, Object, Store, StoreError};

/// How often a swap is tried where nothing shows whether it was done.
const TRIES: u32 = 4;
/// What is waited before the second try; longer before later ones.
const PAUSE: Duration = Duration::from_millis(50);

/// An object that is only ever created or replaced on a condition.
#[derive(Debug)]
pub(crate) struct Pointer {
    store: Store,
    path: Path,
    /// The most bytes that it has.
    most: u64,
    /// Whether the service takes etags without their quotes.
    bare_etags: Arc<AtomicBool>,
}

/// What came of a swap.
#[derive(Debug)]
pub(crate) enum Swap {
    /// The new content is there; this is its version.
    Done(UpdateVersion),
    /// Somebody else was there first; this is what is there now.
    Lost(Option<Object>),
}

impl Pointer {
    /// The pointer at this path, of at most so many bytes.
    pub(crate) fn new(store: Store, path: Path, most: u64) -> Self {
        Self {
            store,
            path,
            most,
            bare_etags: Arc::default(),
        }
    }

    /// One like it at another path. They share what they know of the service.
    pub(crate) fn at(&self, path: Path) -> Self {
        Self {
            store: self.store.clone(),
            path,
            most: self.most,
            bare_etags: Arc::clone(&self.bare_etags),
        }
    }

    pub(crate) fn location(&self) -> String {
        self.store.location(&self.path)
    }

    pub(crate) async fn read(&self) -> Result<Option<Object>, StoreError> {
        self.store.get(&self.path, self.most).await
    }

    /// What is there, without a byte of it where it has more than it can have: so that it can be replaced.
    pub(crate) async fn read_anything(&self) -> Result<Option<Object>, StoreError> {
        match self.read().await {
            Err(StoreError::Corrupt { .. }) => {
                let there = self.store.version(&self.path).await?;
                Ok(there.map(|version| Object {
                    bytes: Bytes::new(),
                    version,
                }))
            }
            read => read,
        }
    }

    /// Replaces this version by new content; without a version creates it. The content must be unlike any other.
    ///
    /// # Errors
    ///
    /// Storage errors: it may be replaced or not, and if the same content is there later, it was.
    pub(crate) async fn swap(
        &self,
        over: Option<&UpdateVersion>,
        content: Bytes,
    ) -> Result<Swap, StoreError> {
        let mut bare = self.bare_etags.load(Ordering::Relaxed);
        let mut tries = 0;
        loop {
            let condition = condition(over, bare);
            let put = self
                .store
                .put_if(&self.path, content.clone().into(), condition)
                .await;
            let failure = match put {
                Ok(version) => {
                    self.bare_etags.store(bare, Ordering::Relaxed);
                    return Ok(Swap::Done(version));
                }
                Err(failure) if failure.is_condition() || failure.is_ambiguous() => failure,
                Err(failure) => return Err(self.told(failure)),
            };
            let there = self.read().await?;
            match there {
                Some(object) if object.bytes == content => {
                    self.bare_etags.store(bare, Ordering::Relaxed);
                    return Ok(Swap::Done(object.version));
                }
                there if !is_unchanged(over, there.as_ref()) => return Ok(Swap::Lost(there)),
                _ => {}
            }
            tries += 1;
            if tries == TRIES {
                return Err(self.told(failure));
            }
            tracing::debug!(location = self.location(), %failure, "a swap is tried again");
            tokio::time::sleep(PAUSE * tries).await;
            // Refused where nothing has changed.
            bare ^= failure.is_condition() && over.is_some_and(is_quoted);
        }
    }

    fn told(&self, failure: Failure) -> StoreError {
        self.store.told("write", &self.path, failure)
    }
}

fn condition(over: Option<&UpdateVersion>, bare: bool) -> PutMode {
    let Some(over) = over else { return PutMode::Create };
    let mut over = over.clone();
    if bare {
        over.e_tag = over.e_tag.map(|etag| etag.trim_matches('"').to_owned());
    }
    PutMode::Update(over)
}

fn is_quoted(version: &UpdateVersion) -> bool {
    version.e_tag.as_ref().is_some_and(|etag| etag.starts_with('"'))
}

/// Whether what is there is what was to be replaced.
fn is_unchanged(over: Option<&UpdateVersion>, there: Option<&Object>) -> bool {
    match (over, there) {
        (None, None) => true,
        (Some(over), Some(there)) => {
            let etags = over.e_tag.as_ref().zip(there.version.e_tag.as_ref());
            let versions = over.version.as_ref().zip(there.version.version.as_ref());
            // Two contents of one etag would be the same bytes, and no two contents are.
            match (versions, etags) {
                (Some((over, there)), _) | (None, Some((over, there))) => over == there,
                (None, None) => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
