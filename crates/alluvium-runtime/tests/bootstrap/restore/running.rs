//! The same while it runs: nobody has to start it again.

use alluvium_core::{Log as _, Mode, Sequence};

use super::{LONG, World};
use crate::eventually::eventually;
use crate::shelf::{content, new_table};

#[tokio::test]
async fn an_archive_that_is_overrun_while_it_reads_is_restored_and_no_key_goes_back() {
    // Two pieces are received: one is being applied, one waits for room.
    const RECEIVED: u64 = 2 * 1_024;
    let world = World::new(Mode::Archive);
    let (table, other) = (new_table(), new_table());
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let replica = world
        .with_artifacts(&table, world.transport())
        .queue_bytes(1)
        // Waits until the gate is open, and does not wait again.
        .on_batch(move |_| {
            // An error is what it waits for.
            let _ = gate.recv();
            Ok(())
        })
        .start()
        .await
        .unwrap();
    for number in 0..RECEIVED + 900 {
        world.log.put(format!("k{number}"), "1");
        if number % 100 == 0 {
            world.log.put("hot", "1");
        }
    }
    // A status is not told of as it changes if that is all.
    eventually("what is received", || replica.status().received >= RECEIVED).await;
    world.export(&other).await;
    let last = world.log.put("hot", "last");
    world.log.evict_before(last);
    drop(open);

    let mut status = replica.watch_status();
    let mut shown = Sequence::ZERO;
    let restored = async {
        while shown < last {
            status.changed().await.unwrap();
            if let Some(hot) = replica.get("hot").unwrap() {
                assert!(hot.sequence >= shown, "{} after {shown}", hot.sequence);
                shown = hot.sequence;
            }
        }
    };
    let outcome = tokio::time::timeout(LONG, restored).await;
    assert!(outcome.is_ok(), "{:?}", replica.status());
    assert!(replica.status().bootstrap.unwrap().done.is_some());
    replica.shutdown().await.unwrap();
    let mut expected = content(other.as_ref());
    let hot = world.log.message_at(last).await.unwrap().unwrap();
    let entry = expected.get_mut(&hot.key).unwrap();
    (entry.sequence, entry.timestamp) = (hot.sequence, hot.timestamp);
    entry.value = hot.value().unwrap().clone();
    assert_eq!(content(table.as_ref()), expected);
}
