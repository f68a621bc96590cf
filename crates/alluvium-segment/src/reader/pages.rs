//! The pages of a column, none of which takes more room than its column may.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use super::page_header::{self, MAX_HEADER};

/// Pages up to this are decompressed into room that is made before: what Alluvium writes are pages of 1 MiB, but for large values.
const MADE_BEFORE: usize = 4 << 20;

/// Where a column of a row group lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) start: u64,
    pub(super) length: u64,
    /// The most bytes of its pages when they are decompressed, their headers included.
    pub(super) most: u64,
    pub(super) rows: usize,
}

/// Reads the pages of a column.
pub(super) struct Pages<R> {
    file: Arc<R>,
    /// What has not been read.
    left: Column,
    encoding: Encoding,
    decompressor: zstd::bulk::Decompressor<'static>,
}

impl<R: ChunkReader> Pages<R> {
    pub(super) fn new(file: Arc<R>, column: Column, encoding: Encoding) -> Result<Self, ParquetError> {
        Ok(Self {
            file,
            left: column,
            encoding,
            decompressor: zstd::bulk::Decompressor::new()?,
        })
    }

    fn read(&mut self) -> Result<Option<Page>, ParquetError> {
        let left = &mut self.left;
        if left.length == 0 {
            if left.rows > 0 {
                return Err(damaged("a column that ends too soon"));
            }
            return Ok(None);
        }
        let header = usize::try_from(left.length).map_or(MAX_HEADER, |length| length.min(MAX_HEADER));
        let header = self.file.get_bytes(left.start, header)?;
        let (header, length) =
            page_header::read(&header).ok_or_else(|| damaged("a page that is none of ours"))?;
        let taken = length as u64 + header.compressed as u64;
        let made = length as u64 + header.uncompressed as u64;
        if header.rows == 0 || header.rows > left.rows || header.encoding != self.encoding {
            return Err(damaged("a page that is not of its column"));
        }
        if taken > left.length || made > left.most {
            return Err(damaged("a page that is longer than its column"));
        }
        let bytes = self
            .file
            .get_bytes(left.start.saturating_add(length as u64), header.compressed)?;
        left.start = left.start.saturating_add(taken);
        left.length -= taken;
        left.most -= made;
        left.rows -= header.rows;
        Ok(Some(Page::DataPage {
            buf: self.decompress(&bytes, header.uncompressed)?,
            num_values: u32::try_from(header.rows)?,
            encoding: header.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }))
    }

    /// What a page of this length was compressed from. No more room is made than what there is, but for the first bit.
    fn decompress(&mut self, bytes: &[u8], length: usize) -> Result<Bytes, ParquetError> {
        let page = if length <= MADE_BEFORE {
            self.decompressor.decompress(bytes, length)?
        } else {
            let mut page = Vec::with_capacity(MADE_BEFORE);
            let decoder = zstd::Decoder::with_buffer(bytes)?;
            decoder.take(length as u64 + 1).read_to_end(&mut page)?;
            page
        };
        if page.len() == length {
            Ok(page.into())
        } else {
            Err(damaged("a page of another length than its header tells"))
        }
    }
}

impl<R: ChunkReader> Iterator for Pages<R> {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl<R: ChunkReader> PageReader for Pages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        self.read()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        Err(damaged("its pages are read one after the other"))
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        Err(damaged("its pages are read one after the other"))
    }

    /// A row of a segment is one value of each column.
    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        Ok(true)
    }
}

fn damaged(found: &str) -> ParquetError {
    ParquetError::General(found.to_owned())
}
