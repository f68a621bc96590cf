//! The bytes of an object: a file of its own, written once, complete before anybody can see it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use xxhash_rust::xxh3::Xxh3;

use crate::guardian::Directory;

/// Where contents are kept.
#[derive(Debug)]
pub(super) struct Contents {
    directory: Directory,
    next: AtomicU64,
}

/// The bytes of one version of an object. The file goes with the last who holds this: an object that is replaced or
/// deleted is still read to its end by who reads it.
#[derive(Debug)]
pub(super) struct Content {
    path: PathBuf,
    pub(super) length: u64,
    /// A hash of the bytes, without quotes: the same bytes have the same etag, as on S3.
    pub(super) etag: String,
    pub(super) modified: SystemTime,
}

impl Contents {
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            directory,
            next: AtomicU64::new(0),
        }
    }

    /// Reads the body of a request to its end and keeps it.
    ///
    /// # Errors
    ///
    /// If the body does not arrive whole, is not what was signed, or cannot be written.
    pub(super) async fn receive(self: &Arc<Self>, body: Option<StreamingBlob>) -> S3Result<Content> {
        let mut chunks = Vec::new();
        if let Some(mut body) = body {
            while let Some(chunk) = body.next().await {
                let broken = |error| S3Error::with_source(S3ErrorCode::IncompleteBody, error);
                chunks.push(chunk.map_err(broken)?);
            }
        }
        let contents = Arc::clone(self);
        blocking(move || contents.write(&chunks)).await
    }

    /// Puts contents together into one.
    ///
    /// # Errors
    ///
    /// If that fails on the disk.
    pub(super) async fn join(self: &Arc<Self>, parts: Vec<Arc<Content>>) -> S3Result<Content> {
        let contents = Arc::clone(self);
        blocking(move || {
            let chunks = parts
                .iter()
                .map(|part| part.read_blocking(0..part.length))
                .collect::<io::Result<Vec<_>>>()?;
            let mut joined = contents.write(&chunks)?;
            // As on S3: what was put in parts is told from what was put at once.
            let mut hash = Xxh3::new();
            for part in &parts {
                hash.update(part.etag.as_bytes());
            }
            joined.etag = format!("{:032x}-{}", hash.digest128(), parts.len());
            Ok(joined)
        })
        .await
    }

    fn write(&self, chunks: &[Bytes]) -> io::Result<Content> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let path = self.directory.path().join(name);
        let mut file = File::create_new(&path)?;
        let mut hash = Xxh3::new();
        let mut length = 0;
        for chunk in chunks {
            hash.update(chunk);
            file.write_all(chunk)?;
            length += chunk.len() as u64;
        }
        Ok(Content {
            modified: file.metadata()?.modified()?,
            path,
            length,
            etag: format!("{:032x}", hash.digest128()),
        })
    }
}

impl Content {
    /// The bytes in this range, which lies within the content.
    ///
    /// # Errors
    ///
    /// If that fails on the disk.
    pub(super) async fn read(self: &Arc<Self>, range: Range<u64>) -> S3Result<Bytes> {
        let content = Arc::clone(self);
        blocking(move || content.read_blocking(range)).await
    }

    fn read_blocking(&self, range: Range<u64>) -> io::Result<Bytes> {
        let length = range.end - range.start;
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let capacity = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(capacity);
        if file.take(length).read_to_end(&mut bytes)? < capacity {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        // Whatever stays goes with the directory.
        let _ = fs::remove_file(&self.path);
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> S3Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| s3_error!(error, InternalError))?
        .map_err(|error| s3_error!(error, InternalError))
}
