//! Which segments of an artifact are needed, and in which order.

use std::collections::HashSet;
use std::ops::{Bound, RangeBounds as _};

use alluvium_core::artifact::{ArtifactManifest, PackId, SegmentInfo, SegmentRef};
use alluvium_core::{Filter, KeyRange, Scope};
use bytes::Bytes;

use super::BootstrapError;

/// A segment that is needed.
#[derive(Clone, Debug)]
pub(super) struct Needed {
    /// Which run it is of.
    pub(super) run: usize,
    pub(super) pack: PackId,
    pub(super) segment: SegmentRef,
    /// A merge needs its first row when it has taken this key from the same run; the first ones it needs at once.
    pub(super) after: Option<Bytes>,
}

/// The segments that can hold a key of the scope, in the order in which a merge of all runs comes to need them.
///
/// # Errors
///
/// [`BootstrapError::Segment`] for a manifest that names a segment twice: the sequences of its runs differ.
pub(super) fn needed(manifest: &ArtifactManifest, scope: &Scope) -> Result<Vec<Needed>, BootstrapError> {
    let ranges: Vec<KeyRange> = scope.filters().iter().map(range_of).collect();
    let mut needed = Vec::new();
    let mut names = HashSet::new();
    for (run, of_run) in manifest.runs.iter().enumerate() {
        let mut after: Option<Bytes> = None;
        for segment in &of_run.segments {
            let info = &segment.info;
            let Some(pack) = of_run.pack else { continue };
            if !ranges.iter().any(|range| overlaps(info, range)) {
                continue;
            }
            if !names.insert(info.sha256) {
                return Err(BootstrapError::segment(info.sha256, "it is named twice"));
            }
            needed.push(Needed {
                run,
                pack,
                segment: segment.clone(),
                after: after.replace(info.last_key.clone()),
            });
        }
    }
    // `None` comes first.
    needed.sort_by(|one, other| (&one.after, one.run).cmp(&(&other.after, other.run)));
    Ok(needed)
}

/// A range that holds every key that the filter matches: what its tokens have in common up to the first that is none.
fn range_of(filter: &Filter) -> KeyRange {
    let text = filter.as_str();
    let mut literal = 0;
    for token in text.split_inclusive('.') {
        if matches!(token.trim_end_matches('.'), "*" | ">") {
            return KeyRange::prefix(&text[..literal]);
        }
        literal += token.len();
    }
    KeyRange::of(text..=text)
}

fn overlaps(info: &SegmentInfo, range: &KeyRange) -> bool {
    let (first, last) = (info.first_key.as_ref(), info.last_key.as_ref());
    let starts = match range.start_bound() {
        Bound::Included(start) => last >= start,
        Bound::Excluded(start) => last > start,
        Bound::Unbounded => true,
    };
    let ends = match range.end_bound() {
        Bound::Included(end) => first <= end,
        Bound::Excluded(end) => first < end,
        Bound::Unbounded => true,
    };
    starts && ends
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_as_narrow_as_the_literal_beginning() {
        let range = |filter: &str| range_of(&filter.parse().unwrap());
        assert_eq!(range(">"), KeyRange::prefix(""));
        assert_eq!(range("*.eu"), KeyRange::prefix(""));
        assert_eq!(range("routes.>"), KeyRange::prefix("routes."));
        assert_eq!(range("routes.*.eu"), KeyRange::prefix("routes."));
        assert_eq!(range("routes.eu"), KeyRange::of("routes.eu"..="routes.eu"));
    }

    proptest! {
        #[test]
        fn a_key_that_matches_is_in_the_range(
            filter in prop::collection::vec(prop_oneof![Just("a"), Just("bb"), Just("*")], 1..4),
            open in any::<bool>(),
            key in prop::collection::vec(prop_oneof![Just("a"), Just("bb"), Just("c")], 1..5),
        ) {
            let mut filter = filter;
            if open {
                filter.push(">");
            }
            let filter: Filter = filter.join(".").parse().unwrap();
            let key = key.join(".");
            prop_assert!(!filter.matches(key.as_bytes()) || range_of(&filter).contains(key.as_bytes()));
        }
    }
}
