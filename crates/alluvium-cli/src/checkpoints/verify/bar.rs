//! How far the reading has come: a bar on a terminal, else nothing.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Counts bytes, and draws them.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// It is drawn unless something else is to stand on the terminal: JSON lines or log lines.
    pub(super) fn new(output: Output, verbose: u8, bytes: u64) -> Self {
        let wants_bar = !output.is_json() && verbose == 0 && io::stderr().is_terminal();
        let target = if wants_bar {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(
            "  verify [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} to go",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
        Self(ProgressBar::with_draw_target(Some(bytes), target).with_style(style))
    }

    /// So many bytes more have been read.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Takes it away. Gives how many bytes were read.
    pub(super) fn finish(&self) -> u64 {
        self.0.finish_and_clear();
        self.0.position()
    }
}
