//! Obligations 1 and 2: a reader fetches what it needs, an exporter uploads what is new.

use std::sync::Arc;

use super::place::{assert_whole, content_of, publish, routes, with_place};
use crate::{Call, FaultyStore, TransportHarness};

/// A segment is one request, wherever in its pack it is.
pub fn o1_a_segment_is_one_read(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let first = publish(&handle, None, 10, &[70_000, 1, 600_000, 512]).await;
        let counted = FaultyStore::sound(place.store().await);
        let reader = place.open_over(Arc::new(counted.clone())).await;
        for (pack, segment) in first.manifest.segments() {
            let before = (counted.calls(), counted.calls_of(Call::Get));
            let bytes = reader.segment(&routes(), pack, segment).await.unwrap();
            assert!(bytes == content_of(&segment.info));
            assert_eq!(
                (counted.calls() - before.0, counted.calls_of(Call::Get) - before.1),
                (1, 1),
                "requests for one segment"
            );
        }
    });
}

/// Many read at once, of one pack and of several.
pub fn o1_segments_are_read_at_once(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let first = publish(&handle, None, 10, &[7_000; 20]).await;
        let second = publish(&handle, Some(&first), 20, &[900; 12]).await;
        let reads = second.manifest.segments().map(|(pack, segment)| {
            let (handle, segment) = (Arc::clone(&handle), segment.clone());
            tokio::spawn(async move {
                let bytes = handle.segment(&routes(), pack, &segment).await.unwrap();
                assert!(bytes == content_of(&segment.info));
            })
        });
        let reads: Vec<_> = reads.collect();
        assert_eq!(reads.len(), 32);
        for read in reads {
            read.await.unwrap();
        }
    });
}

/// A delta costs what changed, however big the table is, and what is told to have been uploaded was.
pub fn o2_an_export_costs_what_changed(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let mut newest = publish(&handle, None, 10, &[500_000; 4]).await;
        for (sequence, lengths) in [(20, &[900, 100][..]), (30, &[5]), (40, &[])] {
            let before = (place.bytes().await, handle.packs(&key).await.unwrap().len());
            let old_pointer = place.get(&key.pointer()).await.len() as u64;
            let next = publish(&handle, Some(&newest), sequence, lengths).await;
            let changed: usize = lengths.iter().sum();
            let pointer = place.get(&key.pointer()).await.len() as u64;
            // A tar has less than two blocks around each file, and two at its end.
            let most = changed as u64 + 1024 * lengths.len() as u64 + 1024 + pointer;
            assert!(next.uploaded <= most, "{} bytes for {changed}", next.uploaded);
            assert!(next.uploaded >= changed as u64 + pointer);
            // What was the newest is in the history now.
            let new = place.bytes().await - before.0 - pointer;
            assert_eq!(new, next.uploaded - pointer, "other bytes than it was told");
            assert_eq!(
                place.get(&key.manifest(newest.id)).await.len() as u64,
                old_pointer
            );
            let packs = handle.packs(&key).await.unwrap().len() - before.1;
            assert_eq!(packs, usize::from(changed > 0));
            assert_whole(&handle, &key, &next.manifest).await;
            newest = next;
        }
    });
}
