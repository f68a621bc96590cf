//! What a log holds now: `current` and `keys`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_core::{Change, Listed, Scope, Sequence};
use bytes::Bytes;

use super::place::{Place, assert_whole, scope, sequences, told, with_log};
use crate::support::{Stop, length};
use crate::{LogHarness, Random};

/// Of each key the latest message, in order, then where the listing is complete up to, then the end.
pub fn m_current_is_the_latest_message_of_each_key(harness: &dyn LogHarness) {
    for history in [1, 5] {
        with_log(harness, history, async |place| {
            let nothing = place.list(&Scope::all()).await;
            assert_eq!(nothing, (Vec::new(), 0));
            for (key, value) in [
                ("a", "1"),
                ("b", "1"),
                ("a", "2"),
                ("c.d", "1"),
                ("b", "2"),
                ("b", "3"),
            ] {
                place.put(key, value).await;
            }
            let (listed, end) = place.list(&Scope::all()).await;
            let expected = [("a", Some("2")), ("c.d", Some("1")), ("b", Some("3"))];
            assert_eq!(
                listed.iter().map(told).collect::<Vec<_>>(),
                expected,
                "history {history}"
            );
            assert_eq!((sequences(&listed), end), (vec![3, 4, 6], 6), "history {history}");
            let without_values = listed.into_iter().map(Listed::of).collect();
            assert_eq!(
                place.list_without_values(&Scope::all()).await,
                (without_values, end)
            );
            // The end of a scope is the end of the log.
            let (listed, end) = place.list(&scope(&["a"])).await;
            assert_eq!((sequences(&listed), end), (vec![3], 6));
            assert_eq!(place.list(&scope(&["none"])).await, (Vec::new(), 6));
        });
    }
}

/// A key whose latest message went has the one before as its latest, or none.
pub fn m_current_follows_what_goes(harness: &dyn LogHarness) {
    with_log(harness, 3, async |place| {
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", "2")] {
            place.put(key, value).await;
        }
        place.owner.remove(Sequence::new(3)).await;
        place.owner.remove(Sequence::new(4)).await;
        let (listed, end) = place.list(&Scope::all()).await;
        assert_eq!((sequences(&listed), end), (vec![1, 5], 5));
        assert_eq!(place.keys(&Scope::all()).await, ["a", "b"]);
        place.owner.evict_before(Sequence::new(2)).await;
        assert_eq!(place.keys(&Scope::all()).await, ["b"]);
        place.owner.evict_before(Sequence::new(6)).await;
        assert_eq!(place.list(&Scope::all()).await, (Vec::new(), 5));
        assert_eq!(place.keys(&Scope::all()).await, Vec::<Bytes>::new());
    });
}

/// Many keys, each with several messages: each is listed once.
pub fn m_current_of_many_keys_is_whole(harness: &dyn LogHarness) {
    let keys = length(3_000, 50_000);
    with_log(harness, 3, async |place| {
        place.fill(1, keys, 100).await;
        place.fill(1, keys / 2, 100).await;
        let (listed, end) = place.list(&Scope::all()).await;
        assert_whole(&listed, keys / 2 + 1..=keys + keys / 2);
        assert_eq!(end, keys + keys / 2);
        let listed = place.keys(&Scope::all()).await;
        assert_eq!(listed.len() as u64, keys);
    });
}

/// Overwrites the keys `a.1` and so on until it is told to stop.
async fn overwrite(place: &Place, keys: u64, stop: &AtomicBool) {
    let mut random = Random::new(7);
    while !stop.load(Ordering::Acquire) {
        let some = (0..50).map(|_| format!("a.{}", random.below(keys) + 1));
        place
            .owner
            .put_all(some.collect(), Bytes::from_static(b"new"))
            .await;
    }
}

/// Writers that move keys while they are listed hide none: a key comes once or more, and what came last of it is the latest
/// up to where the listing is complete.
pub fn m_no_key_is_missing_from_a_listing_that_writers_overtake(harness: &dyn LogHarness) {
    let keys = length(2_000, 20_000);
    for history in [1, 3] {
        with_log(harness, history, async |place| {
            place.fill(1, keys, 100).await;
            let stop = AtomicBool::new(false);
            let list = async {
                let _stop = Stop(&stop);
                for _ in 0..3 {
                    let (listed, _) = place.list(&Scope::all()).await;
                    let listed: BTreeMap<Bytes, Change> = listed
                        .into_iter()
                        .map(|change| (change.key.clone(), change))
                        .collect();
                    assert_eq!(listed.len() as u64, keys, "history {history}");
                    let names = async {
                        let mut names = place.keys(&Scope::all()).await;
                        names.dedup();
                        names.len() as u64
                    };
                    assert_eq!(names.await, keys, "history {history}");
                }
            };
            tokio::join!(list, overwrite(place, keys, &stop));
        });
    }
}

/// Who lists and then reads from the sequence after the end of the listing misses nothing: the two together are the state.
pub fn m_a_read_from_the_end_of_a_listing_misses_nothing(harness: &dyn LogHarness) {
    const KEYS: u64 = 200;
    with_log(harness, 2, async |place| {
        place.fill(1, KEYS, 10).await;
        let stop = AtomicBool::new(false);
        let follow = async {
            let _stop = Stop(&stop);
            let (listed, end) = place.list(&Scope::all()).await;
            let mut state: BTreeMap<Bytes, Change> = listed
                .into_iter()
                .map(|change| (change.key.clone(), change))
                .collect();
            (place.read(end + 1).await, std::mem::take(&mut state))
        };
        let ((mut reader, mut state), ()) = tokio::join!(follow, overwrite(place, KEYS, &stop));
        let last = place.put("b", "the last").await;
        loop {
            let change = reader.change().await;
            let sequence = change.sequence.get();
            state.insert(change.key.clone(), change);
            if sequence == last {
                break;
            }
        }
        let (truth, _) = place.list(&Scope::all()).await;
        let mut state: Vec<Change> = state.into_values().collect();
        state.sort_by_key(|change| change.sequence);
        assert_eq!(sequences(&state), sequences(&truth));
        assert_eq!(state, truth);
    });
}
