//! What is to be read, and what was found.

use std::collections::{BTreeMap, BTreeSet};

use alluvium::artifact::{ManifestId, PackId, SegmentRef};
use alluvium::{ArtifactKey, Transport, TransportError};

use super::pack;
use crate::artifacts::catalog::{Artifact, History};
use crate::bar::Bar;

/// What a pack has in it, as some artifacts tell.
struct Layout {
    segments: Vec<SegmentRef>,
    needed_by: BTreeSet<ManifestId>,
}

/// What is wrong with something, and the artifacts that need it.
type Damage = (String, BTreeSet<ManifestId>);

#[derive(Default)]
pub(super) struct Survey {
    /// How many artifacts there are.
    pub(super) artifacts: usize,
    /// What packs have in them. All artifacts tell the same, unless one lies.
    layouts: BTreeMap<(ArtifactKey, PackId), Vec<Layout>>,
    /// By key and path.
    pub(super) damage: BTreeMap<(ArtifactKey, String), Damage>,
    /// Packs that nothing needs.
    pub(super) garbage: Vec<(ArtifactKey, PackId, u64)>,
}

impl Survey {
    /// Adds everything of a key, with the packs that were there before it was read.
    pub(super) fn add_history(&mut self, key: &ArtifactKey, history: History, packs: Vec<(PackId, u64)>) {
        if let Some(why) = history.damage() {
            self.note(key, key.pointer(), why.to_owned(), []);
        }
        let all_read = history.artifacts.iter().all(|artifact| artifact.manifest.is_ok());
        for artifact in history.artifacts {
            self.add(key, artifact);
        }
        // What is needed by an artifact that cannot be read is not known.
        if all_read {
            let needed = |pack: PackId| self.layouts.contains_key(&(key.clone(), pack));
            let garbage = packs.into_iter().filter(|(pack, _)| !needed(*pack));
            let garbage: Vec<_> = garbage.map(|(pack, bytes)| (key.clone(), pack, bytes)).collect();
            self.garbage.extend(garbage);
        }
    }

    /// Adds one artifact.
    pub(super) fn add(&mut self, key: &ArtifactKey, artifact: Artifact) {
        let Artifact { id, manifest, .. } = artifact;
        self.artifacts += 1;
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(why) => return self.note(key, key.manifest(id), why, [id]),
        };
        for run in manifest.runs {
            let Some(pack) = run.pack else { continue };
            let layouts = self.layouts.entry((key.clone(), pack)).or_default();
            match layouts.iter_mut().find(|layout| layout.segments == run.segments) {
                Some(layout) => {
                    layout.needed_by.insert(id);
                }
                None => layouts.push(Layout {
                    segments: run.segments,
                    needed_by: BTreeSet::from([id]),
                }),
            }
        }
    }

    fn note(
        &mut self,
        key: &ArtifactKey,
        path: String,
        why: String,
        needed_by: impl IntoIterator<Item = ManifestId>,
    ) {
        let damage = self.damage.entry((key.clone(), path));
        let (_, needing) = damage.or_insert((why, BTreeSet::new()));
        needing.extend(needed_by);
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        let segments = self.all_segments().map(|segment| segment.info.length);
        segments.fold(0, u64::saturating_add)
    }

    pub(super) fn packs(&self) -> usize {
        self.layouts.len()
    }

    pub(super) fn segments(&self) -> usize {
        self.all_segments().count()
    }

    fn all_segments(&self) -> impl Iterator<Item = &SegmentRef> {
        let layouts = self.layouts.values().flatten();
        layouts.flat_map(|layout| &layout.segments)
    }

    /// The artifacts that cannot be restored, as `key/id`.
    pub(super) fn damaged(&self) -> Vec<String> {
        let needing = self.damage.iter();
        let needing =
            needing.flat_map(|((key, _), (_, needed_by))| needed_by.iter().map(move |id| (key, id)));
        let needing: BTreeSet<(&ArtifactKey, &ManifestId)> = needing.collect();
        needing
            .into_iter()
            .map(|(key, id)| format!("{key}/{id}"))
            .collect()
    }

    /// Reads every pack. Damage is noted; what cannot be read for another reason ends it.
    pub(super) async fn read(&mut self, transport: &dyn Transport, bar: &Bar) -> Result<(), TransportError> {
        let layouts = std::mem::take(&mut self.layouts);
        let result = self.read_all(&layouts, transport, bar).await;
        self.layouts = layouts;
        result
    }

    async fn read_all(
        &mut self,
        layouts: &BTreeMap<(ArtifactKey, PackId), Vec<Layout>>,
        transport: &dyn Transport,
        bar: &Bar,
    ) -> Result<(), TransportError> {
        for ((key, pack), layouts) in layouts {
            for layout in layouts {
                let found = pack::check(transport, key, *pack, &layout.segments, bar).await?;
                for (segment, why) in found {
                    let mut path = key.pack(*pack);
                    if let Some(sha256) = segment {
                        path = format!("{path}/{sha256}.parquet");
                    }
                    self.note(key, path, why, layout.needed_by.iter().copied());
                }
            }
        }
        Ok(())
    }
}
