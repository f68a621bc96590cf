//! A table exported: on demand by an [`Exporter`], or in rounds beside a replica, as an
//! [`ExportSchedule`](crate::ExportSchedule) says.
//!
//! ```text
//!  snapshot ──▶ scanning thread ──▶ bounded room ──▶ encoding threads ──▶ Transport::upload
//!                cuts rows            in bytes        one segment each      parts, manifest, pointer
//! ```
//!
//! The three overlap. Whoever waits for room waits in a thread of its own, so a slow store holds back the scan and nothing
//! else; nothing is written to a local disk.

mod changed;
mod error;
mod exported;
mod exporter;
mod options;
mod pipeline;
mod rounds;
mod schedule;

pub use error::ExportError;
pub use exported::{ExportProgress, ExportReport, ExportStatus, Exported};
pub use exporter::Exporter;
pub use options::ExportOptions;
pub(crate) use rounds::{Request, Rounds, RunningRounds};
pub use rounds::{Round, SkipReason};
pub use schedule::ExportSchedule;
