//! Obligation 5: whatever a key is called, what is of it is in its own directory.

use std::collections::BTreeSet;

use super::place::{assert_history, draft, key, publish, published, routes, upload, with_place};
use crate::TransportHarness;
use crate::support::names;

/// Keys stay apart and inside, and are listed as they were given.
pub fn o5_keys_of_every_kind_stay_apart_and_inside(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let mut all = Vec::new();
        for (sequence, name) in (10..).zip(names()) {
            let key = key(&name);
            let outcome = upload(&handle, &key, draft(None, sequence), &[50]).await;
            all.push((key, published(outcome)));
        }
        let reader = place.open().await;
        let mut keys: Vec<_> = all.iter().map(|(key, _)| key.clone()).collect();
        keys.sort();
        assert_eq!(reader.keys().await.unwrap(), keys);
        let paths = place.paths().await;
        assert_eq!(paths.len(), 2 * all.len(), "{paths:?}");
        for (key, one) in &all {
            assert_history(&reader, key, std::slice::from_ref(one)).await;
            let pack = key.pack(one.manifest.packs()[0]);
            assert!(paths.contains(&pack) && paths.contains(&key.pointer()), "{key}");
        }
        // On a file system that does not tell case, too.
        let folded: BTreeSet<String> = paths.iter().map(|path| path.to_lowercase()).collect();
        assert_eq!(folded.len(), paths.len(), "{paths:?}");
    });
}

/// What others have put beside the artifacts is none.
pub fn o8_what_belongs_to_others_is_no_artifact(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let second = publish(&handle, Some(&first), 20, &[70]).await;
        let directory = key.directory().to_owned();
        for path in [
            "README.md".to_owned(),
            "Upper.manifest.json".to_owned(),
            ".manifest.json".to_owned(),
            "other/deep.manifest.json".to_owned(),
            format!("{directory}/manifests/README.md"),
            format!("{directory}/manifests/1-abcdefab.json"),
            format!("{directory}/manifests/deep/{}.json", first.id),
            format!("{directory}/packs/not-a-pack.tar"),
            format!("{directory}/packs/README.md"),
        ] {
            place.put(&path, "somebody else's").await;
        }
        let packs: Vec<_> = handle.packs(&key).await.unwrap();
        assert_eq!(packs.len(), 2);
        assert_eq!(handle.keys().await.unwrap(), std::slice::from_ref(&key));
        assert_history(&handle, &key, &[first, second]).await;
    });
}
