//! The keys that a log holds messages of.

use alluvium_core::Scope;
use bytes::Bytes;

use super::place::{scope, with_log};
use crate::LogHarness;

/// Each key once, however many messages it has, and none that is out of scope.
pub fn m_keys_are_those_of_the_scope_once_each(harness: &dyn LogHarness) {
    with_log(harness, 5, async |place| {
        assert_eq!(place.keys(&Scope::all()).await, Vec::<Bytes>::new());
        for key in ["a", "b.c", "a", "b.d", "c", "b.c", "a"] {
            place.put(key, "value").await;
        }
        assert_eq!(place.keys(&Scope::all()).await, ["a", "b.c", "b.d", "c"]);
        assert_eq!(place.keys(&scope(&["b.*"])).await, ["b.c", "b.d"]);
        assert_eq!(place.keys(&scope(&["c", "b.c"])).await, ["b.c", "c"]);
        assert_eq!(place.keys(&scope(&["none.>"])).await, Vec::<Bytes>::new());
    });
}

/// Keys are what they were put under, to the letter.
pub fn m_keys_are_told_to_the_letter(harness: &dyn LogHarness) {
    let mut keys = vec![
        "a",
        "b.A",
        "b.a",
        "b.0",
        "b.-",
        "b._",
        "b.a/b",
        "b.a=b",
        "b.x.y.z",
        "c.1.2.3.4.5.6.7.8.9",
    ];
    let long = format!("c.{}", "x".repeat(200));
    keys.push(&long);
    with_log(harness, 1, async |place| {
        place.put_each(&keys).await;
        let mut reader = place.read(1).await;
        for key in &keys {
            let change = reader.change().await;
            assert_eq!(
                (&change.key, change.value()),
                (&Bytes::from((*key).to_owned()), Some(&change.key))
            );
        }
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(place.keys(&Scope::all()).await, sorted);
    });
}
