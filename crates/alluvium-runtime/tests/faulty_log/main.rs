//! What reads a log, over one of which each step in turn fails, hangs or ends without a word.

mod cursor;
mod replica;
