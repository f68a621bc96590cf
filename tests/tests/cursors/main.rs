//! Cursors in a KV bucket of a real server, and a cursor of a real stream.

mod gaps;
mod kv;
mod lost_answers;
mod support;
