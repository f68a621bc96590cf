//! The footer of a segment: what lies where. Nothing of it is believed that could make a reader take more room than a segment may.

use std::ops::{Bound, RangeBounds as _};
use std::sync::Arc;

use alluvium_core::KeyRange;
use alluvium_core::artifact::MAX_SEGMENT_BYTES;
use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::file::metadata::{FileMetaData, FooterTail, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::Type;

use super::pages::Column;
use super::{damaged, thrift};
use crate::writer::{FORMAT, FORMAT_KEY, SCHEMA};
use crate::{MAX_SEGMENT_ROWS, SegmentError};

/// The most row groups of a segment: what [`Cutter`](crate::Cutter) cuts has one, or two.
pub(crate) const MAX_GROUPS: usize = 256;
/// The most bytes of a footer.
const MAX_FOOTER_BYTES: usize = 512 << 10;
/// The most bytes of a row group when it is decompressed: what compresses better than this is a bomb.
const MAX_GROUP_BYTES: u64 = 2 * MAX_SEGMENT_BYTES;
/// What a file begins with, and its last bytes: the length of the footer, and the same again.
const MAGIC: &[u8; 4] = b"PAR1";
const TAIL: usize = 8;

/// A row group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) rows: usize,
    /// Keys that no row of it is below and above. They may have been rounded.
    pub(super) first: Option<KeyBound>,
    pub(super) last: Option<KeyBound>,
    pub(super) columns: [Column; 4],
}

/// A bound of the keys of a row group.
#[derive(Clone, Debug)]
pub(super) struct KeyBound {
    pub(super) key: Bytes,
    /// Whether there is a row with this key.
    pub(super) exact: bool,
}

impl Group {
    /// Whether it can have a row of the range.
    pub(super) fn may_have(&self, range: &KeyRange) -> bool {
        let below = |bound: &KeyBound| match range.start_bound() {
            Bound::Included(start) => bound.key < start,
            Bound::Excluded(start) => bound.key <= start,
            Bound::Unbounded => false,
        };
        let above = |bound: &KeyBound| match range.end_bound() {
            Bound::Included(end) => bound.key > end,
            Bound::Excluded(end) => bound.key >= end,
            Bound::Unbounded => false,
        };
        // Without both there is nothing to go by.
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => !below(last) && !above(first),
            _ => true,
        }
    }

    /// Whether a key is between the bounds.
    pub(super) fn is_told(&self, key: &[u8]) -> bool {
        self.first.as_ref().is_none_or(|first| first.key <= key)
            && self.last.as_ref().is_none_or(|last| last.key >= key)
    }
}

/// The row groups of a segment.
pub(super) fn read(from: &impl ChunkReader) -> Result<Vec<Group>, SegmentError> {
    let length = from.len();
    if length > MAX_SEGMENT_BYTES {
        return Err(SegmentError::corrupt(format!(
            "{length} bytes, which no segment has"
        )));
    }
    let none = || SegmentError::corrupt("it is no file of Parquet");
    let tail_start = length.checked_sub(TAIL as u64).ok_or_else(none)?;
    let tail = from.get_bytes(tail_start, TAIL).map_err(damaged)?;
    let tail = FooterTail::try_from(&tail[..]).map_err(damaged)?;
    let footer = tail.metadata_length();
    let start = tail_start.checked_sub(footer as u64).ok_or_else(none)?;
    if tail.is_encrypted_footer() || footer > MAX_FOOTER_BYTES || start < MAGIC.len() as u64 {
        return Err(SegmentError::corrupt("a footer that is longer than any of ours"));
    }
    if from.get_bytes(0, MAGIC.len()).map_err(damaged)? != MAGIC[..] {
        return Err(none());
    }
    let footer = from.get_bytes(start, footer).map_err(damaged)?;
    if !thrift::is_one_struct(&footer) {
        return Err(SegmentError::corrupt("a footer that no segment has"));
    }
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(damaged)?;
    check_format(metadata.file_metadata())?;
    if fields(metadata.file_metadata().schema()) != fields(&SCHEMA) {
        return Err(SegmentError::corrupt("its columns are not those of a segment"));
    }
    if metadata.num_row_groups() > MAX_GROUPS {
        return Err(SegmentError::corrupt("more row groups than any segment has"));
    }
    let mut after = MAGIC.len() as u64;
    let groups = metadata.row_groups().iter();
    let groups = groups
        .map(|group| read_group(group, &mut after, start))
        .collect::<Result<Vec<_>, _>>()?;
    if groups.is_sorted_by(comes_before) {
        Ok(groups)
    } else {
        Err(SegmentError::corrupt("its row groups are not in order"))
    }
}

/// The version first of all: what a newer one means is not known here.
fn check_format(metadata: &FileMetaData) -> Result<(), SegmentError> {
    let mut told = metadata.key_value_metadata().into_iter().flatten();
    let format = told.find(|told| told.key == FORMAT_KEY);
    let format = format.and_then(|format| format.value.as_deref()?.parse::<u32>().ok());
    match format {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(SegmentError::Newer {
            found,
            supported: FORMAT,
        }),
        _ => Err(SegmentError::corrupt(
            "it does not say which version of a segment it is",
        )),
    }
}

type Field = (
    String,
    Option<PhysicalType>,
    Option<Repetition>,
    Option<LogicalType>,
);

/// The columns that a schema has, as far as it matters how they are read.
fn fields(schema: &Type) -> Vec<Field> {
    if !schema.is_group() {
        return Vec::new();
    }
    let field = |field: &Arc<Type>| {
        let info = field.get_basic_info();
        let physical = field.is_primitive().then(|| field.get_physical_type());
        let repetition = info.has_repetition().then(|| info.repetition());
        let logical = info.logical_type_ref().cloned();
        (info.name().to_owned(), physical, repetition, logical)
    };
    schema.get_fields().iter().map(field).collect()
}

/// A row group, whose columns lie one after the other behind `after`, which is moved on, and before the footer.
fn read_group(group: &RowGroupMetaData, after: &mut u64, footer: u64) -> Result<Group, SegmentError> {
    let rows = usize::try_from(group.num_rows()).unwrap_or(0);
    if rows == 0 || rows > MAX_SEGMENT_ROWS {
        return Err(SegmentError::corrupt(format!(
            "a row group of {} rows",
            group.num_rows()
        )));
    }
    let mut most = MAX_GROUP_BYTES;
    let mut columns = Vec::with_capacity(4);
    for column in group.columns() {
        let outside = || SegmentError::corrupt("a column that is not where it can be");
        let start = u64::try_from(column.data_page_offset()).map_err(|_| outside())?;
        let length = u64::try_from(column.compressed_size()).map_err(|_| outside())?;
        let end = start
            .checked_add(length)
            .filter(|end| start >= *after && *end <= footer);
        *after = end.ok_or_else(outside)?;
        let longer = || SegmentError::corrupt("a column that is longer than any of ours");
        let uncompressed = u64::try_from(column.uncompressed_size()).map_err(|_| longer())?;
        most = most.checked_sub(uncompressed).ok_or_else(longer)?;
        if column.num_values() != group.num_rows()
            || !matches!(column.compression(), Compression::ZSTD(_))
            || column.dictionary_page_offset().is_some()
            || column.file_path().is_some()
        {
            return Err(SegmentError::corrupt("a column that is none of ours"));
        }
        columns.push(Column {
            start,
            length,
            most: uncompressed,
            rows,
        });
    }
    let other = |_| SegmentError::corrupt("its columns are not those of a segment");
    let keys = group.columns().first().and_then(|keys| keys.statistics());
    let bound = |key: Option<&[u8]>, exact| {
        key.map(|key| KeyBound {
            key: Bytes::copy_from_slice(key),
            exact,
        })
    };
    Ok(Group {
        rows,
        first: keys.and_then(|keys| bound(keys.min_bytes_opt(), keys.min_is_exact())),
        last: keys.and_then(|keys| bound(keys.max_bytes_opt(), keys.max_is_exact())),
        columns: columns.try_into().map_err(other)?,
    })
}

/// Whether a row group can come before another, by their bounds. Bounds that were rounded may be the same, or even overlap.
fn comes_before(group: &Group, next: &Group) -> bool {
    let rises = |one: &Option<KeyBound>, other: &Option<KeyBound>| match (one, other) {
        (Some(one), Some(other)) if one.exact && other.exact => one.key < other.key,
        (Some(one), Some(other)) => one.key <= other.key,
        _ => true,
    };
    let apart = match (&group.last, &next.first) {
        (Some(last), Some(first)) if last.exact && first.exact => last.key < first.key,
        _ => true,
    };
    rises(&group.first, &next.first) && rises(&group.last, &next.last) && apart
}
