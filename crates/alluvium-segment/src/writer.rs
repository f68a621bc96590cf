//! Writing a segment.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

use alluvium_core::Digest;
use alluvium_core::artifact::{MAX_SEGMENT_BYTES, SegmentInfo};
use bytes::Bytes;
use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};
use sha2::{Digest as _, Sha256};

use crate::reader::MAX_GROUPS;
use crate::{MAX_SEGMENT_ROWS, SegmentError, SegmentRow};

pub(crate) const KEY: &str = "key";
pub(crate) const SEQUENCE: &str = "sequence";
pub(crate) const TIMESTAMP: &str = "timestamp";
pub(crate) const VALUE: &str = "value";

/// The version of what is written, and where in the footer it is.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const FORMAT_KEY: &str = "alluvium.segment";

/// A row group ends with the row that brings it to so many bytes, before they are encoded.
const GROUP_BYTES: usize = 16 << 20;

/// Makes a segment of rows in strictly rising key order.
///
/// # Errors
///
/// [`SegmentError::Invalid`] for no rows at all, rows out of order, a sequence of zero, or more than a segment can be.
pub fn encode(rows: &[SegmentRow]) -> Result<(SegmentInfo, Bytes), SegmentError> {
    let raw: usize = rows.iter().map(SegmentRow::len_bytes).sum();
    let mut writer = SegmentWriter::new(Vec::with_capacity(raw + raw / 32 + 4_096))?;
    writer.write(rows)?;
    let (info, bytes) = writer.finish()?;
    Ok((info, bytes.into()))
}

/// Writes a segment as its rows come. In memory is one row group.
pub struct SegmentWriter<W: Write + Send> {
    file: SerializedFileWriter<Hashing<W>>,
    /// Rows of the row group that is not written yet.
    group: Vec<SegmentRow>,
    group_bytes: usize,
    /// What is told of it; `None` before the first row.
    told: Option<Told>,
}

/// What is told of a segment.
struct Told {
    rows: u64,
    deletes: u64,
    first_key: Bytes,
    last_key: Bytes,
    first_sequence: alluvium_core::Sequence,
    last_sequence: alluvium_core::Sequence,
}

impl<W: Write + Send> SegmentWriter<W> {
    /// A segment that is written to `to`.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn new(to: W) -> Result<Self, SegmentError> {
        let to = Hashing {
            to,
            hasher: Sha256::new(),
            length: 0,
        };
        let file = SerializedFileWriter::new(to, SCHEMA.clone(), PROPERTIES.clone()).map_err(failed)?;
        Ok(Self {
            file,
            group: Vec::new(),
            group_bytes: 0,
            told: None,
        })
    }

    /// Takes the next rows, whose keys strictly rise and come after those before.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Invalid`] for rows out of order; those of what it is written to. The segment cannot be finished then.
    pub fn write(&mut self, rows: &[SegmentRow]) -> Result<(), SegmentError> {
        let mut first = 0;
        for (index, row) in rows.iter().enumerate() {
            self.tell(row)?;
            self.group_bytes = self.group_bytes.saturating_add(row.len_bytes());
            let length = self.group.len() + index + 1 - first;
            if length == MAX_SEGMENT_ROWS || self.group_bytes >= GROUP_BYTES {
                self.write_group(&rows[first..=index])?;
                first = index + 1;
            }
        }
        self.group.extend_from_slice(&rows[first..]);
        Ok(())
    }

    /// Ends the segment: what is in it, and what it was written to.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Invalid`] if there was no row, or more than a segment can be; those of what it is written to.
    pub fn finish(mut self) -> Result<(SegmentInfo, W), SegmentError> {
        if !self.group.is_empty() {
            self.write_group(&[])?;
        }
        let Some(told) = self.told else {
            return Err(SegmentError::Invalid("a segment has at least one row".to_owned()));
        };
        let written = self.file.into_inner().map_err(failed)?;
        if written.length > MAX_SEGMENT_BYTES {
            return Err(SegmentError::Invalid(format!(
                "the segment takes {} bytes, at most {MAX_SEGMENT_BYTES} are read: cut the rows into several",
                written.length
            )));
        }
        let info = SegmentInfo {
            sha256: Digest::from_bytes(written.hasher.finalize().into()),
            length: written.length,
            rows: told.rows,
            deletes: told.deletes,
            // Copies: the rows may be slices of something large.
            first_key: Bytes::copy_from_slice(&told.first_key),
            last_key: Bytes::copy_from_slice(&told.last_key),
            first_sequence: told.first_sequence,
            last_sequence: told.last_sequence,
        };
        Ok((info, written.to))
    }

    fn tell(&mut self, row: &SegmentRow) -> Result<(), SegmentError> {
        if i64::try_from(row.sequence.get()).map_or(true, |sequence| sequence < 1) {
            return Err(SegmentError::Invalid(format!(
                "sequence {} is none that a message has",
                row.sequence
            )));
        }
        let deletes = u64::from(row.value.is_none());
        let Some(told) = &mut self.told else {
            self.told = Some(Told {
                rows: 1,
                deletes,
                first_key: row.key.clone(),
                last_key: row.key.clone(),
                first_sequence: row.sequence,
                last_sequence: row.sequence,
            });
            return Ok(());
        };
        if row.key <= told.last_key {
            return Err(SegmentError::Invalid(format!(
                "the keys of a segment rise: {:?} cannot come after {:?}",
                row.key, told.last_key
            )));
        }
        told.rows += 1;
        told.deletes += deletes;
        told.last_key.clone_from(&row.key);
        told.first_sequence = told.first_sequence.min(row.sequence);
        told.last_sequence = told.last_sequence.max(row.sequence);
        Ok(())
    }

    /// Writes the row group of what is held and these rows.
    fn write_group(&mut self, rows: &[SegmentRow]) -> Result<(), SegmentError> {
        let held = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        if self.file.flushed_row_groups().len() >= MAX_GROUPS {
            return Err(SegmentError::Invalid(format!(
                "a segment has at most {MAX_GROUPS} row groups: cut the rows into several"
            )));
        }
        let rows = || held.iter().chain(rows);
        let mut group = self.file.next_row_group().map_err(failed)?;
        let keys: Vec<ByteArray> = rows().map(|row| row.key.clone().into()).collect();
        column::<ByteArrayType, _>(&mut group, &keys, None)?;
        drop(keys);
        let sequences: Vec<i64> = rows().map(|row| row.sequence.get().cast_signed()).collect();
        column::<Int64Type, _>(&mut group, &sequences, None)?;
        let timestamps: Vec<i64> = rows().map(|row| row.timestamp.as_nanos()).collect();
        column::<Int64Type, _>(&mut group, &timestamps, None)?;
        let there: Vec<i16> = rows().map(|row| i16::from(row.value.is_some())).collect();
        let values: Vec<ByteArray> = rows()
            .filter_map(|row| row.value.clone().map(ByteArray::from))
            .collect();
        column::<ByteArrayType, _>(&mut group, &values, Some(&there))?;
        group.close().map_err(failed)?;
        Ok(())
    }
}

impl<W: Write + Send> std::fmt::Debug for SegmentWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentWriter").finish_non_exhaustive()
    }
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, Hashing<W>>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<(), SegmentError> {
    let ended = || SegmentError::Invalid("a segment has four columns".to_owned());
    let mut column = group.next_column().map_err(failed)?.ok_or_else(ended)?;
    column
        .typed::<T>()
        .write_batch(values, there, None)
        .map_err(failed)?;
    column.close().map_err(failed)
}

/// What is written, with its digest.
struct Hashing<W> {
    to: W,
    hasher: Sha256,
    length: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn failed(error: ParquetError) -> SegmentError {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => SegmentError::Io(*error),
            Err(source) => SegmentError::Io(io::Error::other(source)),
        },
        other => SegmentError::Io(io::Error::other(other)),
    }
}

/// The columns of every segment.
pub(crate) static SCHEMA: LazyLock<TypePtr> = LazyLock::new(|| {
    let column = |name, physical, repetition, logical| {
        let column = Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build();
        Arc::new(column.expect("a column without parameters always builds"))
    };
    let nanos = LogicalType::timestamp(true, TimeUnit::NANOS);
    let required = Repetition::REQUIRED;
    let columns = vec![
        column(KEY, PhysicalType::BYTE_ARRAY, required, None),
        column(SEQUENCE, PhysicalType::INT64, required, None),
        column(TIMESTAMP, PhysicalType::INT64, required, Some(nanos)),
        column(VALUE, PhysicalType::BYTE_ARRAY, Repetition::OPTIONAL, None),
    ];
    let schema = Type::group_type_builder("segment").with_fields(columns).build();
    Arc::new(schema.expect("a group of columns always builds"))
});

/// The same, as the decoder wants them.
pub(crate) static COLUMNS: LazyLock<SchemaDescriptor> =
    LazyLock::new(|| SchemaDescriptor::new(SCHEMA.clone()));

static PROPERTIES: LazyLock<Arc<WriterProperties>> = LazyLock::new(|| {
    let column = |name: &str| ColumnPath::from(name);
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let version = KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_string());
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("alluvium".to_owned())
        .set_key_value_metadata(Some(vec![version]))
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_column_encoding(column(SEQUENCE), Encoding::DELTA_BINARY_PACKED)
        .set_column_encoding(column(TIMESTAMP), Encoding::DELTA_BINARY_PACKED)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(column(VALUE), EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: 0,
            descending: false,
            nulls_first: false,
        }]))
        .set_max_row_group_row_count(None)
        .set_data_page_size_limit(1 << 20)
        .build();
    Arc::new(properties)
});
