//! What an artifact consists of.

use serde::{Deserialize, Serialize};

use super::{Draft, MAX_SEGMENT_BYTES, ManifestId, PackId, SegmentRef, TransportError};
use crate::checksum::{self, Layout};
use crate::{BoxError, Cursor, Mode, Scope, Sequence};

/// The format that is written, and the newest that is read.
pub const ARTIFACT_FORMAT: u32 = 1;
/// The most bytes of a manifest: 1 MiB. A longer one is refused before it is read. That is room for about 3,500 segments.
pub const MAX_ARTIFACT_MANIFEST_BYTES: u64 = 1 << 20;

/// What an artifact consists of: one JSON object.
///
/// The text has a checksum of itself, so that no byte of it can change unseen; one without is not checked, so that a manifest can be
/// mended by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtifactManifest {
    format: u32,
    /// The table that it is of.
    pub table: String,
    /// Where the table is exact at.
    pub cursor: Cursor,
    /// The keys that the table holds.
    pub scope: Scope,
    /// What the table keeps of what its log forgets.
    pub mode: Mode,
    /// Whether the table ever saw that its log can evict, or it is not known: one that is made of the artifact remembers it.
    #[serde(default = "evicted", skip_serializing_if = "is_evicted")]
    pub has_evicted: bool,
    /// From where on the table has seen all that its log held; `None` if from the beginning, for all that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Sequence>,
    /// Rows of all segments, deletes and rows that a later run replaces included.
    rows: u64,
    /// Bytes of all segments.
    bytes: u64,
    /// The base, and what changed since then, run by run.
    pub runs: Vec<Run>,
    /// The artifact that it was made on top of, or in the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ManifestId>,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z, by the clock of its exporter. For people.
    pub created_ms: i64,
    /// Who made it. For people.
    pub exporter: String,
    /// The Alluvium that made it. For people.
    pub alluvium: String,
}

/// Manifests of before it was told say nothing, and are as careful as those that say yes.
fn evicted() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_evicted(has_evicted: &bool) -> bool {
    *has_evicted
}

/// The segments of one export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// It holds what changed after this: 0 for a base, which is the whole table.
    pub after: Sequence,
    /// And up to this.
    pub through: Sequence,
    /// How often what it holds was exported before, as several runs that are now this one.
    #[serde(default)]
    pub level: u32,
    /// Where its segments are. None if there are none: of a table without a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<PackId>,
    /// Its segments, by rising key.
    pub segments: Vec<SegmentRef>,
}

impl Run {
    /// Whether it is a whole table.
    pub fn is_base(&self) -> bool {
        self.after == Sequence::ZERO
    }

    /// Bytes of its segments.
    pub fn bytes(&self) -> u64 {
        self.segments
            .iter()
            .fold(0, |sum, segment| sum.saturating_add(segment.info.length))
    }

    /// Rows of its segments.
    pub fn rows(&self) -> u64 {
        self.segments
            .iter()
            .fold(0, |sum, segment| sum.saturating_add(segment.info.rows))
    }
}

impl Draft {
    /// The manifest, now that it is known what the new segments are and where.
    ///
    /// If nothing changed but the cursor, its last run reaches further.
    ///
    /// # Errors
    ///
    /// [`TransportError::Invalid`] for what cannot be an artifact.
    pub fn complete(
        self,
        pack: Option<PackId>,
        segments: Vec<SegmentRef>,
    ) -> Result<ArtifactManifest, TransportError> {
        let mut runs = self.runs;
        let through = self.cursor.sequence;
        match runs.last_mut() {
            Some(last) if segments.is_empty() && last.through == self.after => last.through = through,
            _ => runs.push(Run {
                after: self.after,
                through,
                level: self.level,
                pack: pack.filter(|_| !segments.is_empty()),
                segments,
            }),
        }
        let sum = |of: fn(&Run) -> u64| runs.iter().map(of).fold(0, u64::saturating_add);
        let manifest = ArtifactManifest {
            format: ARTIFACT_FORMAT,
            table: self.table,
            cursor: self.cursor,
            scope: self.scope,
            mode: self.mode,
            has_evicted: self.has_evicted,
            since: self.since,
            rows: sum(Run::rows),
            bytes: sum(Run::bytes),
            runs,
            parent: self.parent,
            created_ms: self.created_ms,
            exporter: self.exporter,
            alluvium: env!("CARGO_PKG_VERSION").to_owned(),
        };
        manifest.check().map_err(TransportError::Invalid)?;
        Ok(manifest)
    }
}

impl ArtifactManifest {
    /// The format that it was written in.
    pub fn format(&self) -> u32 {
        self.format
    }

    /// Rows of all segments, deletes and rows that a later run replaces included: at least as many as the table has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The base; none in what was not [checked](Self::from_json).
    pub fn base(&self) -> Option<&Run> {
        self.runs.first()
    }

    /// What changed since the base, run by run.
    pub fn deltas(&self) -> &[Run] {
        self.runs.get(1..).unwrap_or_default()
    }

    /// Every pack that it needs, by rising name.
    pub fn packs(&self) -> Vec<PackId> {
        let mut packs: Vec<PackId> = self.runs.iter().filter_map(|run| run.pack).collect();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    /// Every segment, with the pack that it is in.
    pub fn segments(&self) -> impl Iterator<Item = (PackId, &SegmentRef)> {
        let of_run = |run: &Run| run.pack;
        self.runs.iter().flat_map(move |run| {
            let pack = of_run(run);
            run.segments
                .iter()
                .filter_map(move |segment| Some((pack?, segment)))
        })
    }

    /// Reads a manifest, and checks that it fits together. `path` is where it was, for errors.
    ///
    /// # Errors
    ///
    /// [`TransportError::Newer`] for another format than this Alluvium knows, [`TransportError::Corrupt`] for everything else.
    pub fn from_json(path: &str, json: &[u8]) -> Result<Self, TransportError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            checksum: Option<String>,
        }
        let corrupt = |source: BoxError| TransportError::Corrupt {
            path: path.to_owned(),
            source,
        };
        if json.len() as u64 > MAX_ARTIFACT_MANIFEST_BYTES {
            return Err(corrupt("it is longer than a manifest can be".into()));
        }
        let head: Head = serde_json::from_slice(json).map_err(|error| corrupt(error.into()))?;
        // First of all: a format that damage has made newer must not be taken for one.
        if head.checksum.is_some_and(|told| !checksum::is_right(json, &told)) {
            return Err(corrupt("its checksum is not that of its bytes".into()));
        }
        if head.format > ARTIFACT_FORMAT {
            return Err(TransportError::Newer {
                path: path.to_owned(),
                found: head.format,
                supported: ARTIFACT_FORMAT,
            });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|error| corrupt(error.into()))?;
        manifest.check().map_err(|error| corrupt(error.into()))?;
        Ok(manifest)
    }

    /// The manifest as it is stored.
    ///
    /// # Errors
    ///
    /// [`TransportError::Invalid`] for what [`from_json`](Self::from_json) would not take.
    pub fn to_json(&self) -> Result<Vec<u8>, TransportError> {
        self.check().map_err(TransportError::Invalid)?;
        let json = checksum::to_json(self, Layout::Compact).map_err(|error| {
            TransportError::Invalid(format!("the manifest cannot be written as JSON: {error}"))
        })?;
        if json.len() as u64 > MAX_ARTIFACT_MANIFEST_BYTES {
            return Err(TransportError::Invalid(format!(
                "the manifest would take {} bytes, at most {MAX_ARTIFACT_MANIFEST_BYTES} are read: export larger segments",
                json.len()
            )));
        }
        Ok(json)
    }

    /// What does not fit together.
    fn check(&self) -> Result<(), String> {
        if self.runs.is_empty() {
            return Err("it has no base".to_owned());
        }
        let mut reached = Sequence::ZERO;
        let (mut rows, mut bytes) = (0_u64, 0_u64);
        for (number, run) in self.runs.iter().enumerate() {
            let told = |what: String| format!("run {number}: {what}");
            if run.after != reached {
                return Err(told(format!(
                    "it holds what changed after {}, and what was before ends at {reached}",
                    run.after
                )));
            }
            if number > 0 && (run.is_base() || run.through <= run.after) {
                return Err(told(format!("it ends at {}, where it begins", run.through)));
            }
            run.check().map_err(told)?;
            reached = run.through;
            rows = rows.checked_add(run.rows()).ok_or("it has too many rows")?;
            bytes = bytes.checked_add(run.bytes()).ok_or("it has too many bytes")?;
        }
        if reached != self.cursor.sequence {
            return Err(format!(
                "its runs end at {reached}, and its cursor is {}",
                self.cursor
            ));
        }
        if (rows, bytes) != (self.rows, self.bytes) {
            return Err(format!(
                "it tells of {} rows and {} bytes, its segments of {rows} and {bytes}",
                self.rows, self.bytes
            ));
        }
        Ok(())
    }
}

impl Run {
    fn check(&self) -> Result<(), String> {
        if self.pack.is_none() && !self.segments.is_empty() {
            return Err("its segments are in no pack".to_owned());
        }
        let mut ends: Vec<(u64, u64)> = Vec::with_capacity(self.segments.len());
        let mut before: Option<&SegmentRef> = None;
        for (number, segment) in self.segments.iter().enumerate() {
            let told = |what: &str| format!("segment {number}: {what}");
            let info = &segment.info;
            if info.length == 0 || info.rows == 0 || info.deletes > info.rows {
                return Err(told("it has nothing in it"));
            }
            if info.length > MAX_SEGMENT_BYTES {
                return Err(told("it is longer than a segment can be"));
            }
            if self.is_base() && info.deletes > 0 {
                return Err(told("a whole table has no deletes"));
            }
            if info.first_key > info.last_key
                || before.is_some_and(|before| before.info.last_key >= info.first_key)
            {
                return Err(told("its keys do not come after those of the one before"));
            }
            if info.first_sequence > info.last_sequence
                || info.last_sequence > self.through
                || (!self.is_base() && info.first_sequence <= self.after)
            {
                return Err(told("its sequences are not those of its run"));
            }
            let end = segment.offset.checked_add(info.length);
            ends.push((
                segment.offset,
                end.ok_or_else(|| told("it lies beyond every pack"))?,
            ));
            before = Some(segment);
        }
        ends.sort_unstable();
        if ends.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err("its segments overlap in their pack".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
