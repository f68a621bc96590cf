//! How far a piece of work has come: a bar on a terminal, else nothing.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Counts bytes or rows, and draws them.
#[derive(Clone)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Of so many bytes: it is drawn unless something else is to stand on the terminal, JSON lines or log lines.
    pub(crate) fn bytes(work: &'static str, output: Output, verbose: u8, bytes: u64) -> Self {
        Self::new(
            "{prefix:>8} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} to go {msg}",
            work,
            output,
            verbose,
            bytes,
        )
    }

    /// Of about so many rows.
    pub(crate) fn rows(work: &'static str, output: Output, verbose: u8, rows: u64) -> Self {
        Self::new(
            "{prefix:>8} [{wide_bar}] {human_pos}/{human_len} rows {per_sec}, {eta} to go {msg}",
            work,
            output,
            verbose,
            rows,
        )
    }

    fn new(template: &str, work: &'static str, output: Output, verbose: u8, length: u64) -> Self {
        let wants_bar = !output.is_json() && verbose == 0 && io::stderr().is_terminal();
        let target = if wants_bar {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        Self(bar.with_prefix(work))
    }

    /// So many more are done.
    pub(crate) fn advance(&self, more: u64) {
        self.0.inc(more);
    }

    /// So many are done, of so many, and this is to be said beside it.
    pub(crate) fn set(&self, done: u64, of: u64, beside: String) {
        self.0.set_length(of.max(done));
        self.0.set_position(done);
        self.0.set_message(beside);
    }

    /// Takes it away. Gives how many were done.
    pub(crate) fn finish(&self) -> u64 {
        self.0.finish_and_clear();
        self.0.position()
    }
}
