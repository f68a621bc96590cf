//! What a checkpointer is opened with.

use std::time::Duration;

/// How an [`ObjectStoreCheckpointer`](super::ObjectStoreCheckpointer) uses its store. Everything has a default.
///
/// ```
/// use std::time::Duration;
/// use alluvium_object_store::CheckpointerOptions;
///
/// let options = CheckpointerOptions::default()
///     .request_timeout(Duration::from_secs(10))
///     .parts_in_flight(16);
/// assert_eq!(options.part_bytes, 8 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointerOptions {
    /// How long a request may take until it is given up: 30 s by default, and on top of that the time that its bytes need
    /// at 1 MiB/s. What the client of the service repeats by itself is one request here.
    pub request_timeout: Duration,
    /// Bytes of a part: 8 MiB by default. What is longer is uploaded in parts of this size, and read in ranges of it. Services
    /// want 5 MiB at least, and take 10,000 parts of one object: files end at 80 GiB unless this is raised.
    pub part_bytes: u64,
    /// How many parts all saves together hold in memory: 8 by default. So saving takes no more than 64 MiB, whatever
    /// the size of what is saved.
    pub parts_in_flight: usize,
    /// How many partitions [`save_partitions_concurrent`](super::ObjectStoreCheckpointer::save_partitions_concurrent)
    /// saves at a time: 8 by default.
    pub partitions_in_flight: usize,
}

impl CheckpointerOptions {
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

    /// The same options, with so many partitions saved at a time.
    #[must_use]
    pub fn partitions_in_flight(mut self, partitions: usize) -> Self {
        self.partitions_in_flight = partitions;
        self
    }
}

impl Default for CheckpointerOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            part_bytes: 8 << 20,
            parts_in_flight: 8,
            partitions_in_flight: 8,
        }
    }
}
