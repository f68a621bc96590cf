//! Whether a pack is a plain tar of its segments and nothing else, and whether those are what is told of them.

use std::collections::BTreeMap;
use std::io::{self, Read};

use alluvium::artifact::{PackId, SegmentRef};
use alluvium::segment::{PackError, PackReader};
use alluvium::{ArtifactKey, ByteStream, Digest, Transport, TransportError};
use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::segment;
use crate::artifacts::catalog::is_damage;
use crate::bar::Bar;
use crate::error::chain as told;

/// Something that is wrong: the segment, or the pack as a whole, and why.
type Found = (Option<Digest>, String);

/// Segments by where they begin.
type Expected = BTreeMap<u64, SegmentRef>;

/// Reads a pack once, from its beginning to its end.
///
/// # Errors
///
/// Those of the store, if they say nothing of what is stored.
pub(super) async fn check(
    transport: &dyn Transport,
    key: &ArtifactKey,
    pack: PackId,
    segments: &[SegmentRef],
    bar: &Bar,
) -> Result<Vec<Found>, TransportError> {
    let path = key.pack(pack);
    let of_pack = |why: String| (None, format!("{path}: {why}"));
    let from = match transport.pack(key, pack).await {
        Ok(from) => from,
        Err(error) if is_damage(error.kind()) => {
            for segment in segments {
                bar.advance(segment.info.length);
            }
            return Ok(vec![of_pack(told(&error))]);
        }
        Err(error) => return Err(error),
    };
    let expected: Expected = segments
        .iter()
        .map(|segment| (segment.offset, segment.clone()))
        .collect();
    let feed = Feed {
        from,
        runtime: Handle::current(),
        piece: Bytes::new(),
    };
    let drawn = bar.clone();
    let walked = spawn_blocking(move || walk(feed, expected, &drawn)).await;
    let Ok(walked) = walked else {
        // Nothing that is read makes it panic; if something does, the pack is not known to be whole.
        return Ok(vec![of_pack("it cannot be read".to_owned())]);
    };
    let (mut found, left) = walked?;
    for (sha256, why) in &mut found {
        let name = sha256.map_or_else(|| path.clone(), |sha256| format!("{sha256}.parquet of {path}"));
        *why = format!("{name}: {why}");
    }
    // What comes after something that is no pack is read by itself.
    for segment in left.into_values() {
        let sha256 = segment.info.sha256;
        let read = transport.segment(key, pack, &segment).await;
        bar.advance(segment.info.length);
        let why = match read {
            Ok(bytes) => match spawn_blocking(move || segment::contents(&segment.info, bytes)).await {
                Ok(None) => continue,
                Ok(Some(why)) => why,
                Err(error) => error.to_string(),
            },
            Err(error) if is_damage(error.kind()) => told(&error),
            Err(error) => return Err(error),
        };
        found.push((Some(sha256), format!("{sha256}.parquet of {path}: {why}")));
    }
    Ok(found)
}

/// What is wrong with the entries of a pack, and the segments that were not come to.
fn walk(feed: Feed, mut expected: Expected, bar: &Bar) -> Result<(Vec<Found>, Expected), TransportError> {
    let mut reader = PackReader::new(feed);
    let mut found = Vec::new();
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                for segment in std::mem::take(&mut expected).into_values() {
                    let why = format!("it is not in the pack at byte {}", segment.offset);
                    found.push((Some(segment.info.sha256), why));
                }
                return Ok((found, expected));
            }
            Err(error) => {
                found.push((None, damage(error)?));
                return Ok((found, expected));
            }
        };
        let told_of =
            |segment: &SegmentRef| segment.info.sha256 == entry.digest && segment.info.length == entry.length;
        if !expected.get(&entry.offset).is_some_and(told_of) {
            let why = format!(
                "it holds {}.parquet of {} bytes at byte {}, which no manifest tells of",
                entry.digest, entry.length, entry.offset
            );
            found.push((None, why));
            continue;
        }
        let Some(segment) = expected.remove(&entry.offset) else {
            continue;
        };
        bar.advance(entry.length);
        match reader.content() {
            Ok(bytes) => {
                let why = segment::contents(&segment.info, bytes);
                found.extend(why.map(|why| (Some(entry.digest), why)));
            }
            Err(error @ PackError::IntegrityMismatch { .. }) => {
                found.push((Some(entry.digest), told(&error)));
            }
            // Nothing comes after that.
            Err(error) => {
                found.push((Some(entry.digest), damage(error)?));
                return Ok((found, expected));
            }
        }
    }
}

/// What an error tells of the pack; the error of the store, if it tells nothing.
fn damage(error: PackError) -> Result<String, TransportError> {
    let PackError::Io(source) = error else {
        return Ok(told(&error));
    };
    match source.downcast::<TransportError>() {
        Ok(error) if is_damage(error.kind()) => Ok(told(&error)),
        Ok(error) => Err(error),
        Err(source) => Ok(told(&source)),
    }
}

/// The bytes of a pack, for whoever reads where it may block.
struct Feed {
    from: ByteStream<TransportError>,
    runtime: Handle,
    piece: Bytes,
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.from.next()) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
