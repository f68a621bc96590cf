//! Reading a segment. Whatever the bytes are, they are rows or an error.

use std::ops::{Bound, RangeBounds as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use alluvium_core::artifact::MAX_SEGMENT_BYTES;
use alluvium_core::{ChunkIter, Chunks, KeyRange, Sequence, Timestamp};
use bytes::{Bytes, BytesMut};
use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, FileReader as _, SerializedFileReader};
use parquet::schema::types::Type;
use std::sync::Arc;

use crate::writer::SCHEMA;
use crate::{MAX_SEGMENT_ROWS, Rows, SegmentError, SegmentRow};

/// Rows that are decoded in one go.
const CHUNK: usize = 1_024;
/// The most bytes that a column of a row group has when it is decompressed: what compresses better than this is a bomb.
const MAX_COLUMN_BYTES: i64 = 2 * MAX_SEGMENT_BYTES.cast_signed();

/// An open segment.
pub struct SegmentReader<R: ChunkReader + 'static> {
    file: Arc<SerializedFileReader<R>>,
}

impl<R: ChunkReader + 'static> SegmentReader<R> {
    /// Opens a segment: bytes in memory, or a file.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] for what is no segment; those of the file.
    pub fn open(from: R) -> Result<Self, SegmentError> {
        let length = from.len();
        let file = guarded(|| SerializedFileReader::new(from).map_err(damaged))?;
        let metadata = file.metadata();
        if fields(metadata.file_metadata().schema()) != fields(&SCHEMA) {
            return Err(SegmentError::corrupt("its columns are not those of a segment"));
        }
        for group in metadata.row_groups() {
            check_group(group, length)?;
        }
        Ok(Self { file: Arc::new(file) })
    }

    /// How many rows it has, deletes included.
    pub fn len(&self) -> u64 {
        let groups = self.file.metadata().row_groups().iter();
        // They have been checked.
        groups.map(|group| group.num_rows().unsigned_abs()).sum()
    }

    /// Whether there is no row in it, which no segment that Alluvium writes is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in a range, in strictly rising key order. Only row groups that can have some are read.
    pub fn rows(&self, range: &KeyRange) -> Rows {
        let metadata = self.file.metadata();
        let groups =
            (0..metadata.num_row_groups()).filter(|group| may_have(metadata.row_group(*group), range));
        ChunkIter::new(Reading {
            file: Arc::clone(&self.file),
            groups: groups.collect::<Vec<_>>().into_iter(),
            columns: None,
            last_key: None,
            range: range.clone(),
        })
    }
}

impl<R: ChunkReader + 'static> std::fmt::Debug for SegmentReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentReader").finish_non_exhaustive()
    }
}

/// The columns that a schema has, as far as it matters how they are read.
fn fields(
    schema: &Type,
) -> Vec<(
    String,
    Option<parquet::basic::Type>,
    Option<parquet::basic::Repetition>,
)> {
    if !schema.is_group() {
        return Vec::new();
    }
    let field = |field: &Arc<Type>| {
        let info = field.get_basic_info();
        let physical = field.is_primitive().then(|| field.get_physical_type());
        let repetition = info.has_repetition().then(|| info.repetition());
        (info.name().to_owned(), physical, repetition)
    };
    schema.get_fields().iter().map(field).collect()
}

/// Whether a row group can be what its footer tells.
fn check_group(group: &RowGroupMetaData, length: u64) -> Result<(), SegmentError> {
    let rows = group.num_rows();
    if rows < 1 || rows.unsigned_abs() > MAX_SEGMENT_ROWS as u64 {
        return Err(SegmentError::corrupt(format!("a row group of {rows} rows")));
    }
    for column in group.columns() {
        let (start, size) = (column.data_page_offset(), column.compressed_size());
        let end = start.checked_add(size).filter(|_| start >= 0 && size >= 0);
        if end.is_none_or(|end| end.unsigned_abs() > length) || column.dictionary_page_offset().is_some() {
            return Err(SegmentError::corrupt("a column that is not in the file"));
        }
        if !(0..=MAX_COLUMN_BYTES).contains(&column.uncompressed_size()) {
            return Err(SegmentError::corrupt("a column that is longer than any of ours"));
        }
        if column.num_values() != rows || !matches!(column.compression(), Compression::ZSTD(_)) {
            return Err(SegmentError::corrupt("a column that is none of ours"));
        }
    }
    Ok(())
}

/// Whether a row group can have a row of the range, by its statistics: these may be bounds that were rounded.
fn may_have(group: &RowGroupMetaData, range: &KeyRange) -> bool {
    let Some(statistics) = group.columns().first().and_then(|keys| keys.statistics()) else {
        return true;
    };
    let below = |key: &[u8]| match range.start_bound() {
        Bound::Included(start) => key < start,
        Bound::Excluded(start) => key <= start,
        Bound::Unbounded => false,
    };
    let above = |key: &[u8]| match range.end_bound() {
        Bound::Included(end) => key > end,
        Bound::Excluded(end) => key >= end,
        Bound::Unbounded => false,
    };
    !statistics.max_bytes_opt().is_some_and(below) && !statistics.min_bytes_opt().is_some_and(above)
}

/// Rows that are being read.
struct Reading<R: ChunkReader + 'static> {
    file: Arc<SerializedFileReader<R>>,
    /// The row groups that are still to be read.
    groups: std::vec::IntoIter<usize>,
    columns: Option<Columns>,
    last_key: Option<Bytes>,
    range: KeyRange,
}

/// The columns of a row group, as far as they are not read yet.
struct Columns {
    keys: ColumnReaderImpl<ByteArrayType>,
    sequences: ColumnReaderImpl<Int64Type>,
    timestamps: ColumnReaderImpl<Int64Type>,
    values: ColumnReaderImpl<ByteArrayType>,
    /// Rows that are not read yet.
    rows: usize,
}

impl<R: ChunkReader + 'static> Chunks<SegmentRow, SegmentError> for Reading<R> {
    fn append_next(&mut self, rows: &mut Vec<SegmentRow>) -> Result<(), SegmentError> {
        let before = rows.len();
        while rows.len() == before {
            let Some(columns) = self.columns.as_mut().filter(|columns| columns.rows > 0) else {
                let Some(group) = self.groups.next() else {
                    return Ok(());
                };
                self.columns = Some(guarded(|| Columns::open(&self.file, group))?);
                continue;
            };
            for row in guarded(|| columns.next())? {
                if self.last_key.as_ref().is_some_and(|last| *last >= row.key) {
                    return Err(SegmentError::corrupt("its keys do not rise"));
                }
                self.last_key = Some(row.key.clone());
                if self.range.contains(&row.key) {
                    rows.push(row);
                }
            }
        }
        Ok(())
    }
}

impl Columns {
    fn open<R: ChunkReader + 'static>(
        file: &SerializedFileReader<R>,
        group: usize,
    ) -> Result<Self, SegmentError> {
        let group = file.get_row_group(group).map_err(damaged)?;
        let column = |number| group.get_column_reader(number).map_err(damaged);
        let other = || SegmentError::corrupt("its columns are not those of a segment");
        let bytes = |number| match column(number)? {
            ColumnReader::ByteArrayColumnReader(column) => Ok(column),
            _ => Err(other()),
        };
        let numbers = |number| match column(number)? {
            ColumnReader::Int64ColumnReader(column) => Ok(column),
            _ => Err(other()),
        };
        Ok(Self {
            keys: bytes(0)?,
            sequences: numbers(1)?,
            timestamps: numbers(2)?,
            values: bytes(3)?,
            rows: usize::try_from(group.metadata().num_rows()).unwrap_or(0),
        })
    }

    /// The next rows.
    fn next(&mut self) -> Result<Vec<SegmentRow>, SegmentError> {
        let count = self.rows.min(CHUNK);
        let keys = read(&mut self.keys, count, None)?;
        let sequences = read(&mut self.sequences, count, None)?;
        let timestamps = read(&mut self.timestamps, count, None)?;
        let mut there = Vec::with_capacity(count);
        let values = read(&mut self.values, count, Some(&mut there))?;
        let ended = || SegmentError::corrupt("its columns are not of one length");
        let mut keys = together(&keys).into_iter();
        let mut values = together(&values).into_iter();
        let mut rows = Vec::with_capacity(count);
        for index in 0..count {
            let sequence = sequences.get(index).copied().ok_or_else(ended)?;
            if sequence < 0 {
                return Err(SegmentError::corrupt("a sequence below zero"));
            }
            let value = match there.get(index).ok_or_else(ended)? {
                0 => None,
                _ => Some(values.next().ok_or_else(ended)?),
            };
            rows.push(SegmentRow {
                key: keys.next().ok_or_else(ended)?,
                sequence: Sequence::new(sequence.unsigned_abs()),
                timestamp: Timestamp::from_nanos(timestamps.get(index).copied().ok_or_else(ended)?),
                value,
            });
        }
        self.rows -= count;
        Ok(rows)
    }
}

/// The next so many values of a column. `there` is told which of the rows have one.
fn read<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    count: usize,
    there: Option<&mut Vec<i16>>,
) -> Result<Vec<T::T>, SegmentError> {
    let mut values = Vec::with_capacity(count);
    let (rows, _, _) = column
        .read_records(count, there, None, &mut values)
        .map_err(damaged)?;
    if rows == count {
        Ok(values)
    } else {
        Err(SegmentError::corrupt("a column that ends too soon"))
    }
}

/// Values in one allocation of their own, so that none of them holds on to a whole page.
fn together(values: &[ByteArray]) -> Vec<Bytes> {
    let mut all = BytesMut::with_capacity(values.iter().map(ByteArray::len).sum());
    let apart = values.iter().map(|value| {
        all.extend_from_slice(value.data());
        all.split().freeze()
    });
    apart.collect()
}

/// Runs the decoder. It is made for files that a writer of Parquet wrote, and may panic at what nobody did.
fn guarded<T>(decode: impl FnOnce() -> Result<T, SegmentError>) -> Result<T, SegmentError> {
    // What it was working on is not used again.
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(SegmentError::corrupt("the decoder panicked on it")))
}

fn damaged(error: ParquetError) -> SegmentError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => SegmentError::Io(*error),
            Err(source) => SegmentError::Corrupt(source),
        },
        other => SegmentError::corrupt(other),
    }
}

#[cfg(test)]
mod tests;
