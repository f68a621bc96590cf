//! What a memory engine keeps on disk, so that its state outlives the process.
//!
//! # What is stored
//!
//! ```text
//! <data>/<n>.journal      every change since snapshot n, or since journal n-1 ended, one record per commit
//! <data>/<n>.snap         the whole state just before the first record of journal n
//! <data>/<i>.ingest       the pairs of one ingest; in force once a journal's record names it
//! <data>/<name>.tmp       a file that is not whole yet
//! ```
//!
//! `n` counts from 1, `i` is a number of its own, both written with 20 digits. At rest there is one snapshot and the
//! journal of the same number. A compaction begins journal n+1, writes snapshot n+1, and only then deletes what is
//! older. The state is the newest snapshot, plus the journals from its number on, in order.
//!
//! A journal that another one follows ends with a record that says so, and the next one knows its length: none of them
//! can be cut short or go missing unnoticed. Journals and snapshots get their names only when they are whole and
//! synced, so a kill never leaves half of one behind. All that a kill can leave is a cut-off record at the end of the newest journal, files that nothing
//! names any more, and `.tmp` files. The next open removes them, once it has found the rest sound.
//!
//! All files have the form that [`format`] describes. The parts: [`files`] names, creates and lists them, [`reader`]
//! checks them, [`recovery`] puts a state together from them, [`writer`] appends to the newest journal.

pub(crate) mod files;
pub(crate) mod format;
pub(crate) mod reader;
pub(crate) mod recovery;
pub(crate) mod writer;
