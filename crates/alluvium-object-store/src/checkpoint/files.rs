//! The files of checkpoints: saved once each, and checked whenever they are loaded.

use std::io;

use alluvium_core::checkpoint::{ByteStream, FilePlace, PartitionFile};
use alluvium_core::{BoxError, CheckpointError, CheckpointId, Digest, ErrorKind};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::PutMode;
use object_store::path::Path;

use super::ObjectStoreCheckpointer;
use crate::blob::{Part, UploadError};
use crate::digest::{Hasher, Mark as _};
use crate::store::StoreError;

impl ObjectStoreCheckpointer {
    pub(super) async fn save_bytes(
        &self,
        place: FilePlace<'_>,
        bytes: Bytes,
    ) -> Result<PartitionFile, CheckpointError> {
        if self.blobs.is_one_part(bytes.len() as u64) {
            self.put(place, bytes.into()).await
        } else {
            let pieces = stream::iter(self.blobs.pieces(bytes)).map(Ok::<_, io::Error>);
            self.save_pieces(place, pieces.boxed()).await
        }
    }

    pub(super) async fn save_pieces(
        &self,
        place: FilePlace<'_>,
        pieces: ByteStream<io::Error>,
    ) -> Result<PartitionFile, CheckpointError> {
        let (path, location) = self.location(place)?;
        let mut parts = self.blobs.parts(pieces);
        let first = parts
            .next()
            .await
            .map_err(|error| source_failed(&location, error))?;
        if parts.is_last(&first) {
            return self.put(place, first).await;
        }
        // An upload in parts has no condition.
        self.check_open_for(place.id).await?;
        let written = self.blobs.upload::<Hasher, _, _>(&path, first, parts).await;
        let written = written.map_err(|error| match error {
            UploadError::Source(error) => source_failed(&location, error),
            UploadError::Store(error) => error.into(),
            UploadError::TooLong { most } => CheckpointError::Invalid(format!(
                "{location} has more than {most} bytes, as many as parts of this size can have: raise `part_bytes`"
            )),
        })?;
        file_of(place, written.size, written.mark)
    }

    /// Saves what fits into one PUT.
    async fn put(&self, place: FilePlace<'_>, content: Part) -> Result<PartitionFile, CheckpointError> {
        let (path, location) = self.location(place)?;
        let stopped = |source: BoxError| CheckpointError::Storage {
            doing: "take the digest of",
            location,
            kind: ErrorKind::Unavailable,
            source,
        };
        let put = async {
            let store = self.blobs.store();
            let Err(failure) = store.put_if(&path, content.payload(), PutMode::Create).await else {
                return Ok(());
            };
            if !failure.is_condition() && !failure.is_ambiguous() {
                return Err(store.told("write", &path, failure).into());
            }
            // It was saved before, or this was done all the same. Either may be replaced until a manifest names it.
            self.check_open_for(place.id).await?;
            Ok::<_, CheckpointError>(store.put(&path, content.payload()).await?)
        };
        let taken = Hasher::default().update(content.pieces.clone());
        let (put, taken) = tokio::join!(put, taken);
        put?;
        file_of(place, content.length as u64, taken.map_err(stopped)?.finish())
    }

    pub(super) async fn load_bytes(&self, file: &PartitionFile) -> Result<Bytes, CheckpointError> {
        let mut pieces = self.checked(file)?;
        let Some(first) = pieces.try_next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = pieces.try_next().await? else {
            return Ok(first);
        };
        // The store has confirmed the size by now.
        let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default());
        bytes.extend_from_slice(&first);
        bytes.extend_from_slice(&second);
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    /// The bytes of a file. An error ends them, and what is wrong with them is told at the end at the latest.
    pub(super) fn checked(
        &self,
        file: &PartitionFile,
    ) -> Result<BoxStream<'static, Result<Bytes, CheckpointError>>, CheckpointError> {
        let pieces = self.blobs.read(self.place.file(file)?, file.size);
        let reading = Reading {
            pieces,
            hasher: Hasher::default(),
            path: file.path.clone(),
            expected: file.sha256,
        };
        Ok(stream::try_unfold(Some(reading), |reading| async {
            match reading {
                Some(reading) => reading.next().await,
                None => Ok(None),
            }
        })
        .boxed())
    }

    fn location(&self, place: FilePlace<'_>) -> Result<(Path, String), CheckpointError> {
        // Of any content: the path does not depend on it.
        let file = file_of(place, 0, Digest::from_bytes([0; 32]))?;
        let path = self.place.file(&file)?;
        let location = self.blobs.store().location(&path);
        Ok((path, location))
    }

    /// Checks that a checkpoint is not complete: nothing of it may change then.
    async fn check_open_for(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        match self.read_manifest(id).await {
            Err(CheckpointError::NotFound { .. }) => Ok(()),
            Ok(_) => Err(CheckpointError::Invalid(format!(
                "checkpoint {id} is complete, and cannot be changed any more: begin a new one"
            ))),
            Err(error) => Err(error),
        }
    }
}

/// A file that is being read.
struct Reading {
    pieces: BoxStream<'static, Result<Option<Bytes>, StoreError>>,
    hasher: Hasher,
    path: String,
    expected: Digest,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>, CheckpointError> {
        match self.pieces.try_next().await? {
            Some(Some(piece)) => {
                let taken = self.hasher.update(vec![piece.clone()]).await;
                let path = self.path.clone();
                self.hasher = taken.map_err(|source| CheckpointError::Storage {
                    doing: "take the digest of",
                    location: path,
                    kind: ErrorKind::Unavailable,
                    source,
                })?;
                Ok(Some((piece, Some(self))))
            }
            Some(None) => Err(CheckpointError::Missing { path: self.path }),
            None => {
                let actual = self.hasher.finish();
                if actual == self.expected {
                    Ok(None)
                } else {
                    Err(CheckpointError::IntegrityMismatch {
                        path: self.path,
                        expected: self.expected,
                        actual,
                    })
                }
            }
        }
    }
}

fn file_of(place: FilePlace<'_>, size: u64, sha256: Digest) -> Result<PartitionFile, CheckpointError> {
    PartitionFile::new(
        place.id,
        place.operator,
        place.partition,
        place.kind,
        size,
        sha256,
    )
}

fn source_failed(location: &str, error: io::Error) -> CheckpointError {
    CheckpointError::Storage {
        doing: "read what is to be saved as",
        location: location.to_owned(),
        kind: ErrorKind::Unavailable,
        source: error.into(),
    }
}
