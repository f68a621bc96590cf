//! Which of the partials of a vnode counts. Pure.

use std::collections::BTreeMap;

use alluvium_core::{AssignmentVersion, Vnode};

use super::cache::Newest;
use super::names::PartialsName;
use super::record::Entry;

/// The partials that count, each with the object that it is in, as if all writes had been made one after the other, in the
/// order of their attempts: a write replaces those before it, but for those of a higher assignment version. A write with
/// version 0, of somebody who has no fence, replaces anything. What is below `least` was never written, and neither was
/// what `is_there` denies.
pub(super) fn choose(
    least: AssignmentVersion,
    indexes: &[Newest],
    is_wanted: impl Fn(Vnode) -> bool,
    is_there: impl Fn(&PartialsName, &Entry) -> bool,
) -> BTreeMap<Vnode, (PartialsName, Entry)> {
    let mut written = Vec::new();
    for (name, index) in indexes {
        for entry in &index.entries {
            if entry.version < least || !is_wanted(entry.vnode) {
                continue;
            }
            let object = index.object(entry, name);
            if is_there(&object, entry) {
                written.push((object, *entry));
            }
        }
    }
    // By attempt, then by instance and writer, so that all who look choose the same.
    written.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut chosen: BTreeMap<Vnode, (PartialsName, Entry)> = BTreeMap::new();
    for (object, entry) in written {
        let replaced = chosen.get(&entry.vnode);
        if replaced.is_none_or(|(_, replaced)| replaces(entry.version, replaced.version)) {
            chosen.insert(entry.vnode, (object, entry));
        }
    }
    chosen
}

/// Whether a later write of one version replaces an earlier one of another.
pub(super) fn replaces(later: AssignmentVersion, earlier: AssignmentVersion) -> bool {
    later == AssignmentVersion::OFF || later >= earlier
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alluvium_core::InstanceId;
    use uuid::Uuid;

    use super::*;
    use crate::backend::record::Index;
    use crate::digest;

    fn write(instance: &str, attempt: u64, version: u64, vnodes: &[u32]) -> Newest {
        let name = PartialsName {
            attempt,
            instance: InstanceId::new(instance).unwrap(),
            writer: Uuid::from_u128(1),
            index_bytes: 100,
        };
        let entries = vnodes.iter().map(|vnode| Entry {
            vnode: Vnode::new(*vnode),
            version: AssignmentVersion::new(version),
            object: 0,
            offset: 0,
            length: 0,
            digest: digest::of(b""),
        });
        (name, Arc::new(Index::new(entries.collect(), None)))
    }

    /// Whose partial of which attempt is chosen for vnode 0.
    fn chosen(least: u64, writes: &[Newest]) -> Option<(String, u64)> {
        let mut indexes = writes.to_vec();
        let least = AssignmentVersion::new(least);
        let mut choose = || {
            indexes.reverse();
            choose(least, &indexes, |_| true, |_, _| true)
        };
        let chosen = choose();
        assert_eq!(chosen, choose(), "it does not depend on the order of the listing");
        let (name, _) = chosen.get(&Vnode::new(0))?;
        Some((name.instance.to_string(), name.attempt))
    }

    #[test]
    fn the_last_write_counts() {
        let writes = [write("a", 1, 0, &[0]), write("b", 2, 0, &[0])];
        assert_eq!(chosen(0, &writes), Some(("b".into(), 2)));
        let at_once = [write("a", 1, 0, &[0]), write("b", 1, 0, &[0])];
        assert_eq!(chosen(0, &at_once), Some(("b".into(), 1)), "the same for all");
    }

    #[test]
    fn a_lower_version_replaces_nothing_but_none_replaces_all() {
        let writes = [write("new", 1, 2, &[0]), write("zombie", 9, 1, &[0])];
        assert_eq!(chosen(0, &writes), Some(("new".into(), 1)));
        let unfenced = [write("new", 1, 2, &[0]), write("none", 9, 0, &[0])];
        assert_eq!(chosen(0, &unfenced), Some(("none".into(), 9)));
    }

    #[test]
    fn what_is_below_the_fence_was_never_written() {
        let writes = [
            write("a", 1, 2, &[0]),
            write("b", 2, 3, &[1]),
            write("none", 9, 0, &[0]),
        ];
        assert_eq!(chosen(2, &writes), Some(("a".into(), 1)));
        assert_eq!(chosen(3, &writes), None);
    }

    #[test]
    fn what_is_not_wanted_or_not_there_is_not_chosen() {
        let indexes = [write("a", 1, 0, &[0, 1, 2])];
        let chosen = choose(
            AssignmentVersion::OFF,
            &indexes,
            |vnode| vnode.get() != 0,
            |_, entry| entry.vnode.get() != 1,
        );
        assert_eq!(chosen.keys().map(|vnode| vnode.get()).collect::<Vec<_>>(), [2]);
    }
}
