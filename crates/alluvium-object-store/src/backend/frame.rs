//! The frame around what is stored in binary: which kind it is, which format, how long, and a checksum of all that.
//!
//! ```text
//! magic      8   which kind
//! format     2   big-endian
//! length     4   of the body, big-endian
//! body           MessagePack
//! checksum  32   SHA-256 of everything before it
//! ```

use alluvium_core::BoxError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest;

/// What is in a frame.
pub(super) trait Framed: Serialize + DeserializeOwned {
    const MAGIC: [u8; 8];

    /// Whether it makes sense beyond being well-formed.
    fn check(&self) -> Result<(), FrameError>;
}

/// The format that is written.
const FORMAT: u16 = 1;

const HEAD: usize = 8 + 2 + 4;
const CHECKSUM: usize = 32;

/// The most bytes of a frame. 65,536 partials, each in an object of its own with the longest name, take half of that.
pub(super) const MOST_BYTES: u64 = 32 << 20;

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("it does not begin as one of ours")]
    NotOurs,
    #[error(
        "it has format {found}, this Alluvium reads up to {FORMAT}: use the newer Alluvium that wrote it"
    )]
    Newer { found: u16 },
    #[error("it is cut off, or something was added to it")]
    Length,
    #[error("its checksum does not match")]
    Checksum,
    #[error("it cannot be decoded")]
    Undecodable(#[source] BoxError),
    #[error("it has more than {MOST_BYTES} bytes: write fewer partials, in fewer writes")]
    TooLong,
    #[error("it makes no sense: {0}")]
    Senseless(&'static str),
}

pub(super) fn encode<T: Framed>(content: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = Vec::with_capacity(1 << 10);
    frame.extend_from_slice(&T::MAGIC);
    frame.extend_from_slice(&FORMAT.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    rmp_serde::encode::write(&mut frame, content).map_err(|error| FrameError::Undecodable(error.into()))?;
    let length = u32::try_from(frame.len() - HEAD).map_err(|_| FrameError::TooLong)?;
    frame[HEAD - 4..HEAD].copy_from_slice(&length.to_be_bytes());
    let checksum = digest::of(&frame);
    frame.extend_from_slice(checksum.as_bytes());
    if frame.len() as u64 > MOST_BYTES {
        return Err(FrameError::TooLong);
    }
    Ok(frame)
}

pub(super) fn decode<T: Framed>(frame: &[u8]) -> Result<T, FrameError> {
    let (head, rest) = frame.split_first_chunk::<HEAD>().ok_or(FrameError::Length)?;
    let (magic, numbers) = head.split_first_chunk::<8>().ok_or(FrameError::Length)?;
    if *magic != T::MAGIC {
        return Err(FrameError::NotOurs);
    }
    let (format, length) = numbers.split_first_chunk::<2>().ok_or(FrameError::Length)?;
    // Before all else: of a newer format the rest is not known.
    let found = u16::from_be_bytes(*format);
    if found > FORMAT {
        return Err(FrameError::Newer { found });
    }
    let length = length.first_chunk().map(|length| u32::from_be_bytes(*length));
    let (body, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(FrameError::Length)?;
    if length != u32::try_from(body.len()).ok() {
        return Err(FrameError::Length);
    }
    if digest::of(&frame[..HEAD + body.len()]).as_bytes() != checksum {
        return Err(FrameError::Checksum);
    }
    let mut decoder = rmp_serde::Deserializer::from_read_ref(body);
    let content = T::deserialize(&mut decoder).map_err(|error| FrameError::Undecodable(error.into()))?;
    content.check()?;
    Ok(content)
}
