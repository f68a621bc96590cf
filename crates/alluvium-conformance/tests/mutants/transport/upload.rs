//! The sins of those who upload.

use std::sync::Arc;

use alluvium_core::artifact::{Draft, EncodedSegment, ManifestId, Outcome, PackId, Published, SegmentStream};
use alluvium_core::{ArtifactKey, Digest, Sequence, Transport as _, TransportError};
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::sinner::{Sin, Sinner};

impl Sinner {
    /// Publishes an artifact, whatever is there: it is made elsewhere, and all of it is put here.
    async fn put_artifact(
        &self,
        key: &ArtifactKey,
        mut draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        let elsewhere: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let alone = ObjectStoreTransport::new(
            Arc::clone(&elsewhere),
            self.prefix.clone(),
            TransportOptions::default(),
        );
        draft.parent = None;
        let outcome = alone.upload(key, draft, segments).await?;
        if let (Some(pointer), Ok(Some((id, _)))) =
            (self.get(&key.pointer()).await, self.sound.newest(key).await)
        {
            self.put(&key.manifest(id), pointer).await;
        }
        let made: Vec<_> = elsewhere.list(None).try_collect().await.unwrap();
        for object in made {
            let bytes = elsewhere
                .get(&object.location)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            self.store.put(&object.location, bytes.into()).await.unwrap();
        }
        Ok(outcome)
    }

    /// Uploads as one should, and gives the segments once more.
    async fn upload_twice(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<(Result<Outcome, TransportError>, SegmentStream), TransportError> {
        let all: Vec<EncodedSegment> = segments.try_collect().await.map_err(TransportError::Segments)?;
        let outcome = self.sound.upload(key, draft, stream_of(all.clone())).await;
        Ok((outcome, stream_of(all)))
    }

    /// Whether what came of an upload is something that the sin does not take for an answer.
    fn insists(&self, draft: &Draft, outcome: &Result<Outcome, TransportError>) -> bool {
        match (self.sin, outcome) {
            (Sin::LastPublisherWins, Ok(Outcome::SupersededByNewer { by })) => {
                by.cursor.sequence < draft.cursor.sequence
            }
            (Sin::CursorFalls, Ok(Outcome::SupersededByNewer { by })) => {
                (by.cursor.sequence > draft.cursor.sequence || by.cursor.log != draft.cursor.log)
                    && draft.runs.is_empty()
            }
            (Sin::EverybodyWins, Ok(Outcome::SupersededByNewer { .. }))
            | (Sin::ReplacesWhatIsNewer, Err(TransportError::Newer { .. }))
            | (Sin::BuildsOnNothing, Err(TransportError::NotFound { .. }))
            | (Sin::AnyTable, Err(TransportError::Mismatch { .. })) => true,
            _ => false,
        }
    }

    pub(super) async fn publish(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        match self.sin {
            Sin::LastPublisherWins
            | Sin::CursorFalls
            | Sin::ReplacesWhatIsNewer
            | Sin::BuildsOnNothing
            | Sin::AnyTable => {
                let (outcome, again) = self.upload_twice(key, draft.clone(), segments).await?;
                if self.insists(&draft, &outcome) {
                    return self.put_artifact(key, draft, again).await;
                }
                outcome
            }
            Sin::EverybodyWins => match self.sound.upload(key, draft, segments).await? {
                Outcome::SupersededByNewer { by } => {
                    let id = ManifestId::new(by.cursor.sequence, &Digest::from_bytes([7; 32]));
                    Ok(Outcome::Published(Box::new(Published::new(id, *by, 0))))
                }
                outcome => Ok(outcome),
            },
            Sin::PointerFirst => {
                let ahead = draft.clone().complete(None, Vec::new())?;
                self.put(&key.pointer(), ahead.to_json()?).await;
                self.put_artifact(key, draft, segments).await
            }
            Sin::PublishesHalfStreams => {
                let came = segments.take_while(|segment| std::future::ready(segment.is_ok()));
                self.sound.upload(key, draft, came.boxed()).await
            }
            Sin::LeavesWhatFailed => {
                let outcome = self.sound.upload(key, draft, segments).await;
                if outcome.is_err() {
                    self.put(&format!("{}/packs/half", key.directory()), "half").await;
                }
                outcome
            }
            Sin::RepairsSegments => {
                let mut all: Vec<EncodedSegment> =
                    segments.try_collect().await.map_err(TransportError::Segments)?;
                for (info, bytes) in &mut all {
                    info.length = bytes.len() as u64;
                }
                all.sort_by(|(a, _), (b, _)| a.first_key.cmp(&b.first_key));
                all.dedup_by(|(a, _), (b, _)| a.first_key == b.first_key);
                self.sound.upload(key, draft, stream_of(all)).await
            }
            Sin::RepairsDrafts => {
                let (outcome, again) = self.upload_twice(key, draft.clone(), segments).await?;
                let mut whole = draft;
                (whole.runs, whole.after) = (Vec::new(), Sequence::ZERO);
                match outcome {
                    Err(TransportError::Invalid(_)) => self.sound.upload(key, whole, again).await,
                    outcome => outcome,
                }
            }
            Sin::UploadsWhatIsShared => {
                let shared: Vec<PackId> = draft.runs.iter().filter_map(|run| run.pack).collect();
                for (number, pack) in (0..).zip(shared) {
                    let bytes = self.get(&key.pack(pack)).await.unwrap_or_default();
                    let copy = PackId::new(1_700_000_000_000, [number; 10]);
                    self.put(&key.pack(copy), bytes).await;
                }
                self.sound.upload(key, draft, segments).await
            }
            Sin::DamagedStays => {
                self.sound.newest(key).await?;
                self.sound.upload(key, draft, segments).await
            }
            Sin::RecordsNothing => {
                let parent = draft.parent;
                let outcome = self.sound.upload(key, draft, segments).await;
                if let (Ok(Outcome::Published(_)), Some(parent)) = (&outcome, parent) {
                    self.remove(&key.manifest(parent)).await;
                }
                outcome
            }
            _ => self.sound.upload(key, draft, segments).await,
        }
    }
}

fn stream_of(segments: Vec<EncodedSegment>) -> SegmentStream {
    stream::iter(segments.into_iter().map(Ok)).boxed()
}
