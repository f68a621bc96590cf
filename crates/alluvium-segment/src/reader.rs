//! Reading a segment. Whatever the bytes are, they are rows or an error.
//!
//! The footer is read by the `parquet` crate, after its length has been looked at, and so are the values in a page. Where pages are,
//! how long they are and how they are decompressed is read here: [`footer`], [`pages`].

mod footer;
mod page_header;
mod pages;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alluvium_core::{ChunkIter, Chunks, KeyRange, Sequence, Timestamp};
use bytes::{Bytes, BytesMut};
use parquet::basic::Encoding;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use crate::writer::COLUMNS;
use crate::{Rows, SegmentError, SegmentRow};
use footer::Group;
use pages::{Column, Pages};

pub(crate) use footer::MAX_GROUPS;

/// Rows that are decoded in one go.
const CHUNK: usize = 1_024;

/// An open segment.
pub struct SegmentReader<R: ChunkReader + 'static> {
    file: Arc<R>,
    groups: Vec<Group>,
}

impl<R: ChunkReader + 'static> SegmentReader<R> {
    /// Opens a segment: bytes in memory, or a file.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] for what is no segment; [`SegmentError::Newer`] for one of a newer Alluvium; those of the file.
    pub fn open(from: R) -> Result<Self, SegmentError> {
        let groups = guarded(|| footer::read(&from))?;
        Ok(Self {
            file: Arc::new(from),
            groups,
        })
    }

    /// How many rows it has, deletes included.
    pub fn len(&self) -> u64 {
        self.groups.iter().map(|group| group.rows as u64).sum()
    }

    /// Whether there is no row in it, which no segment that Alluvium writes is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in a range, in strictly rising key order. Only row groups that can have some are read.
    pub fn rows(&self, range: &KeyRange) -> Rows {
        let groups = self.groups.iter().filter(|group| group.may_have(range));
        ChunkIter::new(Reading {
            file: Arc::clone(&self.file),
            groups: groups.cloned().collect::<Vec<_>>().into_iter(),
            current: None,
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

/// Rows that are being read.
struct Reading<R: ChunkReader + 'static> {
    file: Arc<R>,
    /// The row groups that are still to be read.
    groups: std::vec::IntoIter<Group>,
    current: Option<(Group, Columns)>,
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
            let current = self.current.as_mut().filter(|(_, columns)| columns.rows > 0);
            let Some((group, columns)) = current else {
                let Some(group) = self.groups.next() else {
                    return Ok(());
                };
                let columns = guarded(|| Columns::open(&self.file, &group))?;
                self.current = Some((group, columns));
                continue;
            };
            for row in guarded(|| columns.next())? {
                if self.last_key.as_ref().is_some_and(|last| *last >= row.key) {
                    return Err(SegmentError::corrupt("its keys do not rise"));
                }
                if !group.is_told(&row.key) {
                    return Err(SegmentError::corrupt("a key that its row group does not tell of"));
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
    fn open<R: ChunkReader + 'static>(file: &Arc<R>, group: &Group) -> Result<Self, SegmentError> {
        let [keys, sequences, timestamps, values] = group.columns;
        Ok(Self {
            keys: open(file, 0, keys, Encoding::PLAIN)?,
            sequences: open(file, 1, sequences, Encoding::DELTA_BINARY_PACKED)?,
            timestamps: open(file, 2, timestamps, Encoding::DELTA_BINARY_PACKED)?,
            values: open(file, 3, values, Encoding::PLAIN)?,
            rows: group.rows,
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
            if sequence < 1 {
                return Err(SegmentError::corrupt("a sequence that no message has"));
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

/// A column, from its first value on.
fn open<R: ChunkReader + 'static, T: DataType>(
    file: &Arc<R>,
    number: usize,
    column: Column,
    encoding: Encoding,
) -> Result<ColumnReaderImpl<T>, SegmentError> {
    let pages = Pages::new(Arc::clone(file), column, encoding).map_err(damaged)?;
    Ok(ColumnReaderImpl::new(COLUMNS.column(number), Box::new(pages)))
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
