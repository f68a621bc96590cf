//! The rows of an artifact whose segments are in a directory, or on their way into it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::artifact::SegmentInfo;
use alluvium_core::{KeyRange, Row, Scope, Sequence};
use alluvium_segment::{Deletes, Merge, Rows, SegmentError, SegmentReader, SegmentRow};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::BootstrapError;
use super::directory::open_segment;

/// Where the file of a segment is.
pub(super) enum Whereabouts {
    /// In the directory, perhaps not whole.
    Unchecked,
    /// On its way; told when it is there, and whole.
    Coming(oneshot::Receiver<()>),
}

/// A segment to read.
pub(super) struct Part {
    pub(super) run: usize,
    pub(super) info: SegmentInfo,
    pub(super) whereabouts: Whereabouts,
}

/// The rows that a table made of an artifact holds, in key order. It ends after the first error.
///
/// Every segment is compared with what the manifest tells of it: its rows, its deletes, its keys and its sequences. What differs is
/// told at the end of the segment at the latest, so rows count only when all of them have come.
///
/// Of each run one segment is open, page by page: 3 MiB in memory for each.
pub struct ArtifactRows {
    merge: Merge<RunRows, BootstrapError>,
    scope: Scope,
    over: bool,
}

impl ArtifactRows {
    /// Waits for the first segment of each run.
    pub(super) fn new(directory: &Path, parts: Vec<Part>, scope: Scope) -> Self {
        let directory: Arc<Path> = directory.into();
        let mut runs: Vec<RunRows> = Vec::new();
        for part in parts {
            while runs.len() <= part.run {
                runs.push(RunRows {
                    directory: Arc::clone(&directory),
                    parts: VecDeque::new(),
                    open: None,
                });
            }
            runs[part.run].parts.push_back(part);
        }
        Self {
            merge: Merge::new(runs, Deletes::Drop),
            scope,
            over: false,
        }
    }
}

impl Iterator for ArtifactRows {
    type Item = Result<Row, BootstrapError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.merge.next() {
                Some(Ok(row)) if self.scope.matches(&row.key) => {
                    // Without deletes every row has a value.
                    if let Some(row) = row.into_row() {
                        return Some(Ok(row));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.over = true;
                    return Some(Err(error));
                }
                None => self.over = true,
            }
        }
        None
    }
}

impl std::fmt::Debug for ArtifactRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactRows").finish_non_exhaustive()
    }
}

/// The rows of one run.
struct RunRows {
    directory: Arc<Path>,
    parts: VecDeque<Part>,
    open: Option<Open>,
}

/// A segment that is being read.
struct Open {
    info: SegmentInfo,
    rows: Rows,
    seen: Seen,
}

/// What was in it so far.
#[derive(Default)]
struct Seen {
    rows: u64,
    deletes: u64,
    first_key: Option<Bytes>,
    last_key: Bytes,
    sequences: Option<(Sequence, Sequence)>,
}

impl RunRows {
    fn open(&self, part: Part) -> Result<Open, BootstrapError> {
        let check = match part.whereabouts {
            Whereabouts::Unchecked => true,
            Whereabouts::Coming(arrival) => {
                // Whoever fetches tells why it came to nothing.
                arrival.blocking_recv().map_err(|_| BootstrapError::Stopped)?;
                false
            }
        };
        let file = open_segment(&self.directory, &part.info, check)?;
        let rows = SegmentReader::open(file).map_err(|error| failed(&self.directory, &part.info, error))?;
        Ok(Open {
            rows: rows.rows(&KeyRange::all()),
            info: part.info,
            seen: Seen::default(),
        })
    }

    fn advance(&mut self) -> Result<Option<SegmentRow>, BootstrapError> {
        loop {
            if let Some(open) = &mut self.open {
                match open.rows.next() {
                    Some(Ok(row)) => {
                        open.seen.add(&row);
                        return Ok(Some(row));
                    }
                    Some(Err(error)) => return Err(failed(&self.directory, &open.info, error)),
                    None => open.seen.check(&open.info)?,
                }
                self.open = None;
            }
            let Some(part) = self.parts.pop_front() else {
                return Ok(None);
            };
            self.open = Some(self.open(part)?);
        }
    }
}

impl Iterator for RunRows {
    type Item = Result<SegmentRow, BootstrapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.advance().transpose();
        if matches!(row, Some(Err(_))) {
            self.open = None;
            self.parts.clear();
        }
        row
    }
}

impl Seen {
    fn add(&mut self, row: &SegmentRow) {
        self.rows += 1;
        self.deletes += u64::from(row.value.is_none());
        if self.first_key.is_none() {
            self.first_key = Some(row.key.clone());
        }
        self.last_key.clone_from(&row.key);
        let (first, last) = self.sequences.unwrap_or((row.sequence, row.sequence));
        self.sequences = Some((first.min(row.sequence), last.max(row.sequence)));
    }

    /// Whether it is what the manifest tells.
    fn check(&self, told: &SegmentInfo) -> Result<(), BootstrapError> {
        let lie = |found: String| Err(BootstrapError::segment(told.sha256, found));
        if (self.rows, self.deletes) != (told.rows, told.deletes) {
            return lie(format!(
                "it has {} rows and {} deletes among them, and is told to have {} and {}",
                self.rows, self.deletes, told.rows, told.deletes
            ));
        }
        if self.first_key.as_ref() != Some(&told.first_key) || self.last_key != told.last_key {
            return lie("its first and last keys are not those that are told".to_owned());
        }
        if self.sequences != Some((told.first_sequence, told.last_sequence)) {
            return lie(format!(
                "its sequences are not those from {} to {}",
                told.first_sequence, told.last_sequence
            ));
        }
        Ok(())
    }
}

/// What an error of the reader means here.
fn failed(directory: &Path, info: &SegmentInfo, error: SegmentError) -> BootstrapError {
    match error {
        SegmentError::Io(source) => {
            let path = directory.join(super::directory::segment_name(&info.sha256));
            BootstrapError::io("read", &path)(source)
        }
        error => BootstrapError::segment(info.sha256, error),
    }
}
