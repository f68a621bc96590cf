//! Content that comes in parts.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::directory::{Condition, Directory};
use super::error::{Failure, NAME};
use super::staged::Staged;
use super::{blocking, put_result};

/// An upload that goes on. Dropping or aborting it leaves nothing.
#[derive(Debug)]
pub(super) struct Upload {
    directory: Arc<Directory>,
    location: Path,
    target: PathBuf,
    /// `None` once it has ended.
    parts: Option<Arc<Parts>>,
    /// Where the next part begins.
    offset: u64,
}

#[derive(Debug)]
struct Parts {
    staged: Staged,
    written: AtomicU64,
}

impl Upload {
    pub(super) fn begin(directory: Arc<Directory>, location: Path, target: &FsPath) -> Result<Self, Failure> {
        let parts = Arc::new(Parts {
            staged: directory.stage()?,
            written: AtomicU64::new(0),
        });
        Ok(Self {
            directory,
            location,
            target: target.into(),
            parts: Some(parts),
            offset: 0,
        })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let parts = self.parts.clone();
        let location = self.location.clone();
        let mut offset = self.offset;
        self.offset += data.content_length() as u64;
        Box::pin(blocking(move || {
            let parts = parts.ok_or_else(|| refuse("the upload has ended"))?;
            for chunk in &data {
                parts
                    .staged
                    .write_at(chunk, offset)
                    .map_err(|failure| failure.at(&location))?;
                offset += chunk.len() as u64;
                parts.written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = self.parts.take().ok_or_else(|| refuse("the upload has ended"))?;
        // A part that nobody waited for, or that failed, would be a hole.
        let parts = Arc::into_inner(parts)
            .filter(|parts| parts.written.load(Ordering::Relaxed) == self.offset)
            .ok_or_else(|| refuse("not every part of the upload has been written"))?;
        let directory = Arc::clone(&self.directory);
        let location = self.location.clone();
        let target = self.target.clone();
        blocking(move || {
            directory
                .publish(&parts.staged, &target, &Condition::None)
                .map(put_result)
                .map_err(|failure| failure.at(&location))
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        // Removed with the last part that is being written.
        let parts = self.parts.take();
        blocking(move || {
            drop(parts);
            Ok(())
        })
        .await
    }
}

fn refuse(why: &'static str) -> Error {
    Error::Generic {
        store: NAME,
        source: why.into(),
    }
}
