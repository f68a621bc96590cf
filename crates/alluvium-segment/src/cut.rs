//! Where a segment ends and the next begins.

use crate::SegmentRow;

/// The most rows of a segment.
pub const MAX_SEGMENT_ROWS: usize = 65_536;
/// A segment ends with the row that brings it to so many bytes, before they are encoded, unless it is told otherwise: 8 MiB. So a few
/// of them fit into the memory of an export, and a manifest has room for those of a table of 28 GiB.
pub const SEGMENT_BYTES: usize = 8 << 20;
/// The most that it may be told: 64 MiB.
pub const MAX_CUT_BYTES: usize = 64 << 20;

/// Cuts sorted rows into segments. Where it cuts depends on the rows only.
///
/// ```
/// use alluvium_segment::{Cutter, SegmentRow};
///
/// fn in_segments(rows: Vec<SegmentRow>) -> Vec<Vec<SegmentRow>> {
///     let mut cutter = Cutter::default();
///     let mut segments: Vec<_> = rows.into_iter().filter_map(|row| cutter.push(row)).collect();
///     segments.extend(cutter.finish());
///     segments
/// }
/// assert!(in_segments(Vec::new()).is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Cutter {
    most_bytes: usize,
    rows: Vec<SegmentRow>,
    bytes: usize,
}

impl Cutter {
    /// Cuts after so many bytes, and after [`MAX_SEGMENT_ROWS`].
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next row. The rows of a segment, if that is full now.
    pub fn push(&mut self, row: SegmentRow) -> Option<Vec<SegmentRow>> {
        self.bytes = self.bytes.saturating_add(row.len_bytes());
        self.rows.push(row);
        (self.rows.len() == MAX_SEGMENT_ROWS || self.bytes >= self.most_bytes).then(|| self.take())
    }

    /// The rows of the last segment, if there are any.
    pub fn finish(mut self) -> Option<Vec<SegmentRow>> {
        (!self.rows.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Vec<SegmentRow> {
        self.bytes = 0;
        let next = Vec::with_capacity(self.rows.len());
        std::mem::replace(&mut self.rows, next)
    }
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new(SEGMENT_BYTES)
    }
}
