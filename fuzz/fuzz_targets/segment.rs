//! A segment: an error, or rows whose keys rise; a range of them is what is in it of all.
//!
//! The decoder may panic on a damaged file: the reader catches that, and so does this. No other panic is forgiven.
#![no_main]

use std::sync::Once;

use alluvium_core::KeyRange;
use alluvium_segment::{SegmentError, SegmentReader, SegmentRow};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// Takes the place of libFuzzer's hook, which ends the program also for a panic that is caught.
fn forgive_the_decoder() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map_or("", |location| location.file());
            if !place.contains("parquet-") && !place.contains("/library/") {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
    });
}

fn read(bytes: &Bytes, range: &KeyRange) -> Result<Vec<SegmentRow>, SegmentError> {
    SegmentReader::open(bytes.clone())?.rows(range).collect()
}

fuzz_target!(|bytes: &[u8]| {
    forgive_the_decoder();
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(rows) = read(&bytes, &KeyRange::all()) else {
        return;
    };
    assert!(rows.is_sorted_by(|a, b| a.key < b.key));
    assert!(rows.iter().all(|row| row.sequence.get() > 0));
    let Some(middle) = rows.get(rows.len() / 2) else {
        return;
    };
    // Statistics that lie may hide rows, and never show others.
    if let Ok(part) = read(&bytes, &KeyRange::of(middle.key.as_ref()..)) {
        assert!(part.iter().all(|row| rows.contains(row) && row.key >= middle.key));
    }
});
