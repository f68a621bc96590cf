//! Obligations 3 and 8 between handles that share nothing but the store.

use std::sync::Arc;

use alluvium_core::Sequence;
use alluvium_core::artifact::{Outcome, Published};

use super::place::{Handle, Place, assert_history, at_once, draft, newest_of, routes, upload};
use crate::TransportHarness;
use crate::support::{block_on, length};

const PUBLISHERS: u64 = 16;

async fn handles(place: &Place<'_>) -> Vec<Handle> {
    let mut handles = Vec::new();
    for _ in 0..PUBLISHERS {
        handles.push(place.open().await);
    }
    handles
}

/// Of many who planned on the same artifact one publishes, the others are told; what is the newest only ever goes on; and the
/// history is whole.
pub fn o3_o8_of_16_racing_publishers_one_publishes(harness: &dyn TransportHarness) {
    let place = Place::new(harness);
    block_on(async {
        let key = routes();
        let handles = handles(&place).await;
        let reader = place.open().await;
        let mut all: Vec<Published> = Vec::new();
        for round in 0..length(6, 60) {
            let newest = all.last().cloned();
            let mut uploads = Vec::new();
            for (at, handle) in (1..).zip(&handles) {
                let (handle, newest, key) = (Arc::clone(handle), newest.clone(), key.clone());
                let mut draft = draft(newest.as_ref(), (round + 1) * 100 + at * 7 % PUBLISHERS);
                draft.exporter = format!("node-{at}");
                uploads.push(tokio::spawn(
                    async move { upload(&handle, &key, draft, &[70]).await },
                ));
            }
            let mut seen = newest.map_or(Sequence::ZERO, |newest| newest.manifest.cursor.sequence);
            while !uploads.iter().all(tokio::task::JoinHandle::is_finished) {
                let now = reader.manifest(&key).await.unwrap();
                let now = now.map_or(Sequence::ZERO, |now| now.cursor.sequence);
                assert!(now >= seen, "it went back from {seen} to {now}");
                seen = now;
                tokio::task::yield_now().await;
            }
            let (mut winners, mut told) = (Vec::new(), Vec::new());
            for upload in uploads {
                match upload.await.unwrap() {
                    Ok(Outcome::Published(published)) => winners.push(*published),
                    Ok(Outcome::SupersededByNewer { by }) => told.push(*by),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(winners.len(), 1, "several have published on the same artifact");
            assert!(told.iter().all(|by| *by == winners[0].manifest), "{told:?}");
            all.append(&mut winners);
            assert_history(&reader, &key, &all).await;
        }
        // Nothing but, at worst, packs that no manifest names is left of the others.
        reader.prune(&key, at_once(u32::MAX)).await.unwrap();
        assert_eq!(reader.packs(&key).await.unwrap().len(), all.len());
        assert_eq!(place.paths().await.len(), 2 * all.len());
        assert_history(&reader, &key, &all).await;
    });
}

/// Publishers who go on and on, each on what it finds: every artifact that one of them was told is published is there.
pub fn o8_what_publishers_were_told_is_in_the_history(harness: &dyn TransportHarness) {
    let place = Place::new(harness);
    block_on(async {
        let mut publishers = Vec::new();
        for number in 0..4 {
            let handle = place.open().await;
            publishers.push(tokio::spawn(go_on(handle, number, length(8, 80))));
        }
        let mut all = Vec::new();
        for publisher in publishers {
            all.append(&mut publisher.await.unwrap());
        }
        all.sort_by_key(|published| published.id);
        assert!(all.len() >= 8);
        assert_history(&place.open().await, &routes(), &all).await;
    });
}

async fn go_on(handle: Handle, number: u64, times: u64) -> Vec<Published> {
    let key = routes();
    let mut published = Vec::new();
    let mut newest = None;
    while (published.len() as u64) < times {
        let reached: u64 = newest
            .as_ref()
            .map_or(0, |newest: &Published| newest.id.sequence().get());
        let mut draft = draft(newest.as_ref(), reached + 1);
        draft.exporter = format!("node-{number}");
        match upload(&handle, &key, draft, &[50]).await {
            Ok(Outcome::Published(own)) => {
                newest = Some((*own).clone());
                published.push(*own);
            }
            Ok(_) => newest = newest_of(&handle, &key).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    published
}
