//! How a table is exported.

use std::fmt;
use std::sync::Arc;

use alluvium_core::artifact::ExportPolicy;
use alluvium_core::{Clock, Log, Mode, SystemClock};
use alluvium_segment::{MAX_CUT_BYTES, SEGMENT_BYTES};

use super::ExportProgress;

/// What is told of the progress of an export.
pub(super) type OnProgress = Arc<dyn Fn(ExportProgress) + Send + Sync>;

/// How a table is exported.
#[derive(Clone)]
pub struct ExportOptions {
    pub(super) exporter: String,
    pub(super) mode: Option<Mode>,
    pub(super) policy: ExportPolicy,
    pub(super) segment_bytes: usize,
    pub(super) delta_bytes: usize,
    pub(super) on_progress: Option<OnProgress>,
    pub(super) log: Option<Arc<dyn Log>>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            exporter: "alluvium".to_owned(),
            mode: None,
            policy: ExportPolicy::default(),
            segment_bytes: SEGMENT_BYTES,
            delta_bytes: 64 << 20,
            on_progress: None,
            log: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl ExportOptions {
    /// Who exports, for people who look at the artifact: the name of a node. `alluvium` by default.
    #[must_use]
    pub fn exporter(mut self, name: impl Into<String>) -> Self {
        self.exporter = name.into();
        self
    }

    /// What the table keeps of what its log forgets: what it is bound to by default.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// When deltas become something else.
    #[must_use]
    pub fn policy(mut self, policy: ExportPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many bytes of rows make a segment, before they are encoded; 8 MiB by default, at most 64 MiB. A segment has no more than
    /// [`MAX_SEGMENT_ROWS`](alluvium_segment::MAX_SEGMENT_ROWS) rows, whatever they weigh.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes.clamp(1, MAX_CUT_BYTES);
        self
    }

    /// How many bytes of memory what changed may take while it is sorted by key; 64 MiB by default. Each change takes its
    /// key and about 100 bytes, and its value too while all of them fit. What takes more than that without the values is
    /// exported as a whole table.
    #[must_use]
    pub fn delta_bytes(mut self, bytes: usize) -> Self {
        self.delta_bytes = bytes;
        self
    }

    /// Is told how far the export is, after each segment, from the task that uploads: it must not block.
    #[must_use]
    pub fn on_progress(mut self, told: impl Fn(ExportProgress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(told));
        self
    }

    /// The log of the table: it is asked whether it still holds the message that the newest artifact is exact at. Without it, an
    /// artifact of a log that has lost its tail since, and grown again, is not told from one to build on. A
    /// [`Replica`](crate::Replica) gives its own.
    #[must_use]
    pub fn log(mut self, log: Arc<dyn Log>) -> Self {
        self.log = Some(log);
        self
    }

    /// What the time of the export is taken from, which is for people: the clock of the machine by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for ExportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportOptions")
            .field("exporter", &self.exporter)
            .field("mode", &self.mode)
            .field("policy", &self.policy)
            .field("segment_bytes", &self.segment_bytes)
            .field("delta_bytes", &self.delta_bytes)
            .field("log", &self.log.as_ref().map(|log| log.name().to_owned()))
            .finish_non_exhaustive()
    }
}
