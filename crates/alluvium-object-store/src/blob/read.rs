//! Reading by ranges, several at a time.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;

use super::{Blobs, Written};
use crate::digest::Mark;
use crate::store::{Failure, StoreError};

/// Ranges that one read asks for at a time, at most.
const MOST_RANGES: usize = 4;

impl Blobs {
    /// The bytes of an object of this size, in order; `None` instead where it is not there. One of another size is
    /// [`StoreError::Corrupt`].
    pub(crate) fn read(
        &self,
        path: Path,
        size: u64,
    ) -> BoxStream<'static, Result<Option<Bytes>, StoreError>> {
        let store = self.store.clone();
        let get = move |range: Range<u64>| {
            let (store, path) = (store.clone(), path.clone());
            async move {
                // In a task of its own: ranges come in while whoever reads is busy with the one before.
                let task = {
                    let (store, path) = (store.clone(), path.clone());
                    tokio::spawn(async move { store.get_part(&path, range, size).await })
                };
                let stopped = |error| Err(store.told("read", &path, Failure::stopped(error)));
                task.await.unwrap_or_else(stopped)
            }
        };
        let ranges = self.options.parts_in_flight.min(MOST_RANGES);
        stream::iter(self.ranges(size)).map(get).buffered(ranges).boxed()
    }

    /// Whether an object is there that is what was written.
    pub(super) async fn is_there<M: Mark>(
        &self,
        path: &Path,
        written: Written<M::Taken>,
    ) -> Result<bool, StoreError> {
        if self.store.size(path).await? != Some(written.size) {
            return Ok(false);
        }
        let mut parts = self.read(path.clone(), written.size);
        let mut mark = M::default();
        while let Some(part) = parts.try_next().await? {
            let Some(part) = part else { return Ok(false) };
            mark = match mark.update(vec![part]).await {
                Ok(mark) => mark,
                Err(error) => return Err(self.store.told("read", path, Failure::stopped(error))),
            };
        }
        Ok(mark.finish() == written.mark)
    }

    /// The ranges of a content of this size: one at least, so that something is asked of the store.
    fn ranges(&self, size: u64) -> impl Iterator<Item = Range<u64>> + Send + use<> {
        let part = self.options.part_bytes;
        let count = size.div_ceil(part).max(1);
        (0..count).map(move |number| {
            let start = number * part;
            start..size.min(start.saturating_add(part))
        })
    }
}
