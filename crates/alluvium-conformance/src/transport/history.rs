//! Obligation 8: the history is whole, wherever an upload has died.

use std::sync::Arc;

use super::place::{Place, assert_history, at_once, draft, newest_of, publish, published, routes, upload};
use crate::support::{block_on, cut_off};
use crate::{Fault, FaultyStore, TransportHarness};

/// An upload dies before each of its requests in turn. What was published before is there, and what is the newest is in the
/// history; the next upload goes on from it, and a prune leaves nothing of what died.
pub fn o8_the_history_is_whole_wherever_an_upload_dies(harness: &dyn TransportHarness) {
    for later in [&[][..], &[20]] {
        let mut call = 1;
        loop {
            let place = Place::new(harness);
            let died = block_on(dies_before(&place, call, later));
            if !died {
                break;
            }
            call += 1;
        }
        assert!(call > 2, "an upload has made {call} calls");
    }
}

/// Whether it has died.
async fn dies_before(place: &Place<'_>, call: u64, later: &[u64]) -> bool {
    let (key, handle) = (routes(), place.open().await);
    let mut all = vec![publish(&handle, None, 10, &[700]).await];
    for sequence in later {
        let next = publish(&handle, all.last(), *sequence, &[70]).await;
        all.push(next);
    }
    let dying = FaultyStore::failing(place.store().await, call, Fault::TimeOut);
    let over = place.open_over(Arc::new(dying.clone())).await;
    let ended = cut_off(&dying, call, upload(&over, &key, draft(all.last(), 30), &[80])).await;
    let died = ended.is_none();
    let reader = place.open().await;
    let newest = newest_of(&reader, &key).await.unwrap();
    if newest.id.sequence().get() == 30 {
        all.push(newest);
    } else {
        assert!(died, "what has not died at call {call} is not published");
    }
    assert_history(&reader, &key, &all).await;
    let next = publish(&reader, all.last(), 40, &[90]).await;
    all.push(next);
    assert_history(&reader, &key, &all).await;
    reader.prune(&key, at_once(u32::MAX)).await.unwrap();
    assert_eq!(
        place.paths().await.len(),
        2 * all.len(),
        "garbage is left of call {call}"
    );
    assert_history(&reader, &key, &all).await;
    died
}

/// Artifacts of one sequence are apart, and all there.
pub fn o8_artifacts_of_one_sequence_are_apart(harness: &dyn TransportHarness) {
    let place = Place::new(harness);
    block_on(async {
        let (key, handle) = (routes(), place.open().await);
        let mut all = vec![publish(&handle, None, 10, &[700]).await];
        for _ in 0..4 {
            let level = super::place::base(all.last().unwrap(), 10);
            let next = published(upload(&handle, &key, level, &[700]).await);
            all.push(next);
        }
        let newest = newest_of(&handle, &key).await.map(|newest| newest.id);
        assert_eq!(newest, all.last().map(|one| one.id));
        let mut ids: Vec<_> = all.iter().map(|one| one.id).collect();
        ids.sort();
        assert_eq!(handle.history(&key).await.unwrap(), ids);
        for one in &all {
            assert_eq!(handle.manifest_of(&key, one.id).await.unwrap(), one.manifest);
        }
    });
}
