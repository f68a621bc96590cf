//! Segments: immutable sorted runs of rows, each one Parquet file.
//!
//! A table at a cursor travels as segments. Any engine writes and loads them, and whatever reads Parquet reads them: a row is a
//! `key`, the `sequence` and the `timestamp` of the message that put it there, and its `value`, which is null for a delete.
//!
//! [`encode`] makes a segment of rows, [`Cutter`] says where one ends and the next begins, [`SegmentReader`] reads the rows of a range of
//! keys, and [`Merge`] makes one of several runs. Segments travel in a [`pack`].
//!
//! ```
//! use alluvium_core::{KeyRange, Sequence, Timestamp};
//! use alluvium_segment::{SegmentReader, SegmentRow, encode};
//!
//! let row = |key: &'static str, sequence| SegmentRow {
//!     key: key.into(),
//!     sequence: Sequence::new(sequence),
//!     timestamp: Timestamp::from_nanos(0),
//!     value: Some("up".into()),
//! };
//! let (info, bytes) = encode(&[row("routes.eu", 7), row("routes.us", 3)])?;
//! assert_eq!((info.rows, info.last_sequence), (2, Sequence::new(7)));
//!
//! let reader = SegmentReader::open(bytes)?;
//! let rows: Result<Vec<_>, _> = reader.rows(&KeyRange::prefix("routes.u")).collect();
//! assert_eq!(rows?, [row("routes.us", 3)]);
//! # Ok::<(), alluvium_segment::SegmentError>(())
//! ```
//!
//! # The format
//!
//! | column | type | |
//! |---|---|---|
//! | `key` | binary, required | strictly rising |
//! | `sequence` | int64, required | from 1 |
//! | `timestamp` | int64, required | UTC, nanoseconds since 1970 |
//! | `value` | binary, optional | null: the key was deleted |
//!
//! Compressed with Zstandard at level 1, in row groups of at most 65,536 rows, with statistics of all columns but the value. The same
//! rows give the same bytes, as long as they are written by the same version of Alluvium: so tables at the same cursor can
//! be compared by the digests of their segments.

mod cut;
mod error;
mod merge;
pub mod pack;
mod reader;
mod row;
mod writer;

pub use cut::{Cutter, MAX_CUT_BYTES, MAX_SEGMENT_ROWS, SEGMENT_BYTES};
pub use error::SegmentError;
pub use merge::{Deletes, Merge, Rows};
pub use pack::{PackEntry, PackError, PackReader};
pub use reader::SegmentReader;
pub use row::SegmentRow;
pub use writer::{SegmentWriter, encode};
