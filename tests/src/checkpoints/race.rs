//! Two participants that announce checkpoint after checkpoint, each as if it were alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium::{CheckpointId, Checkpointer as _, Epoch};
use alluvium_object_store::ObjectStoreCheckpointer;
use futures_util::stream::{self, StreamExt as _};

use super::witness::whole;
use crate::StoreServer;
use crate::participant::{Part, Place, Told, state};

/// Whoever reads `_latest` meanwhile sees it rise, epoch by epoch, and every checkpoint that it names is whole.
///
/// # Panics
///
/// If it is not so.
pub async fn latest_never_goes_back_while_two_race(server: &dyn StoreServer, program: &'static str) {
    let wanted = if crate::full() { 300 } else { 30 };
    let place = Place::new(server, program);
    let over = Arc::new(AtomicBool::new(false));
    // One that looks as often as it can, and one that reads every byte.
    let followers =
        [false, true].map(|reads| tokio::spawn(follow(checkpointer(&place), reads, Arc::clone(&over))));
    let part = || Part::Checkpoints {
        prunes: false,
        asks: false,
    };
    let mut racers = [place.participant(part()).await, place.participant(part()).await];
    let mut announced = BTreeMap::new();
    let mut outrun = 0;
    let [one, other] = racers.each_mut().map(|racer| {
        Box::pin(stream::unfold(racer, |racer| async move {
            Some((racer.told().await, racer))
        }))
    });
    let mut told = stream::select(one, other);
    while announced.len() < wanted {
        match told.next().await.expect("racers go on") {
            Told::Began(_) => {}
            Told::Announced(id, epoch) => {
                let twice = announced.insert(epoch, id);
                assert_eq!(
                    twice, None,
                    "epoch {epoch} is announced twice, {id} was the second"
                );
            }
            Told::Outrun(_) => outrun += 1,
            other => panic!("a racer says {other:?}"),
        }
    }
    drop(told);
    for racer in racers {
        racer.kill().await;
    }
    over.store(true, Ordering::Relaxed);
    let mut seen = 0;
    for follower in followers {
        for (epoch, id) in follower.await.expect("the follower ends") {
            let announced = announced.get(&epoch);
            assert!(
                announced.is_none_or(|announced| *announced == id),
                "epoch {epoch}: {id} was read, {announced:?} was announced"
            );
            seen += 1;
        }
    }
    eprintln!("{} announced, {outrun} outrun, {seen} seen", announced.len());
    assert!(outrun > 0, "nobody was ever outrun: there was no race");
    assert!(seen > 2, "nobody looked while they raced");
    // Every epoch was announced once, and none left out: each builds on the one before.
    assert!(announced.keys().map(|epoch| epoch.get()).eq(1..=wanted as u64));
}

/// Reads `_latest` until the race is over. Gives what it named, by epoch.
async fn follow(
    checkpointer: ObjectStoreCheckpointer,
    reads: bool,
    over: Arc<AtomicBool>,
) -> Vec<(Epoch, CheckpointId)> {
    let mut seen: Vec<(Epoch, CheckpointId)> = Vec::new();
    loop {
        // Once more after the last announcement.
        let is_last = over.load(Ordering::Relaxed);
        let latest = checkpointer.read_latest().await.expect("_latest is read");
        if let Some(id) = latest.filter(|id| seen.last().is_none_or(|(_, last)| last != id)) {
            let manifest = if reads {
                whole(&checkpointer, id, "while they race").await
            } else {
                let manifest = checkpointer.load_manifest(id).await;
                manifest.expect("what _latest names is complete")
            };
            let last = seen.last().copied();
            assert!(
                last.is_none_or(|(epoch, _)| epoch < manifest.epoch),
                "_latest went from {last:?} to {id} of epoch {}",
                manifest.epoch
            );
            seen.push((manifest.epoch, id));
        }
        if is_last {
            return seen;
        }
    }
}

fn checkpointer(place: &Place) -> ObjectStoreCheckpointer {
    let (store, prefix) = place.store();
    ObjectStoreCheckpointer::new(store, prefix, state::options())
}
