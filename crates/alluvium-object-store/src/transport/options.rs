//! What a transport is opened with.

use std::time::Duration;

/// How an [`ObjectStoreTransport`](super::ObjectStoreTransport) uses its store. Everything has a default.
///
/// ```
/// use std::time::Duration;
/// use alluvium_object_store::TransportOptions;
///
/// let options = TransportOptions::default().request_timeout(Duration::from_secs(10)).parts_in_flight(8);
/// assert_eq!(options.part_bytes, 8 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportOptions {
    /// How long a request may take until it is given up: 30 s by default, and on top of that the time that its bytes need
    /// at 1 MiB/s. What the client of the service repeats by itself is one request here.
    pub request_timeout: Duration,
    /// Bytes of a part of a pack: 8 MiB by default. Services want 5 MiB at least, and take 10,000 parts of one object: what one
    /// export brings ends at 80 GiB unless this is raised.
    pub part_bytes: u64,
    /// How many parts all uploads together hold in memory: 4 by default, so 32 MiB. A store that is far away takes more at a time.
    pub parts_in_flight: usize,
}

impl TransportOptions {
    /// The same options, with this time limit for requests.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// The same options, with parts of so many bytes.
    #[must_use]
    pub fn part_bytes(mut self, bytes: u64) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// The same options, with so many parts in memory.
    #[must_use]
    pub fn parts_in_flight(mut self, parts: usize) -> Self {
        self.parts_in_flight = parts;
        self
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            part_bytes: 8 << 20,
            parts_in_flight: 4,
        }
    }
}
