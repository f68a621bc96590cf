//! Obligation 4: what fails half-way leaves nothing but, at worst, a pack that no manifest names.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use alluvium_core::TransportError;
use alluvium_core::artifact::EncodedSegment;
use futures_util::{StreamExt as _, poll, stream};

use super::place::{
    Handle, Place, assert_history, at_once, draft, publish, routes, segments, stream_of, with_place,
};
use crate::TransportHarness;
use crate::support::{error_of, refused};

/// What was uploaded before a stream fails: nothing, less than a part, several parts.
const BEFORE: [&[usize]; 3] = [&[], &[700], &[9 << 20, 9 << 20]];

/// Asserts that all is as it was, once a prune has removed what no manifest names.
async fn assert_unchanged(place: &Place<'_>, handle: &Handle, before: &[String], what: &str) {
    handle.prune(&routes(), at_once(u32::MAX)).await.unwrap();
    assert_eq!(place.paths().await, before, "{what}");
}

/// A stream that fails is told with its cause, and nothing is published, and nothing is left.
pub fn o4_a_stream_that_fails_publishes_nothing(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        for lengths in BEFORE {
            let failing = stream_of(segments(20, lengths))
                .chain(stream::iter([Err("the table is gone".into())]))
                // After an error nothing more is taken.
                .chain(stream_of(segments(21, &[80])));
            let outcome = handle
                .upload(&key, draft(Some(&first), 20), failing.boxed())
                .await;
            let TransportError::Segments(source) = error_of(outcome) else {
                panic!("after {lengths:?} another error")
            };
            assert_eq!(source.to_string(), "the table is gone");
            assert_eq!(place.paths().await, before, "left after {lengths:?}");
        }
        assert_history(&handle, &key, &[first]).await;
    });
}

/// A segment that is not as long as it is told to be would put all others in the wrong place.
pub fn o4_a_segment_of_another_length_is_refused(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        for length in [0, 699, 701, u64::MAX] {
            let mut two: Vec<EncodedSegment> = segments(20, &[300, 700]);
            two[1].0.length = length;
            refused!(
                handle.upload(&key, draft(Some(&first), 20), stream_of(two)).await,
                TransportError::Segments(_) | TransportError::Invalid(_)
            );
            assert_unchanged(place, &handle, &before, "a segment of another length").await;
        }
        assert_history(&handle, &key, &[first]).await;
    });
}

/// Segments that do not come by rising key, or hold what is not of their run, are no artifact.
pub fn o4_segments_that_fit_no_run_are_refused(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        let mut falling = segments(20, &[70, 80]);
        falling.reverse();
        let twice = [segments(20, &[70]), segments(20, &[70])].concat();
        for segments in [falling, twice, segments(10, &[70]), segments(21, &[70])] {
            refused!(
                handle
                    .upload(&key, draft(Some(&first), 20), stream_of(segments))
                    .await,
                TransportError::Invalid(_) | TransportError::Segments(_)
            );
            assert_unchanged(place, &handle, &before, "segments that fit no run").await;
        }
        assert_history(&handle, &key, &[first]).await;
    });
}

/// An upload that is dropped has not happened.
pub fn o4_an_upload_that_is_dropped_publishes_nothing(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        for lengths in BEFORE {
            let reached = Arc::new(AtomicBool::new(false));
            let end = {
                let reached = Arc::clone(&reached);
                stream::once(async move {
                    reached.store(true, Ordering::Release);
                    std::future::pending().await
                })
            };
            let endless = stream_of(segments(20, lengths)).chain(end).boxed();
            {
                let mut upload = pin!(handle.upload(&key, draft(Some(&first), 20), endless));
                while !reached.load(Ordering::Acquire) {
                    match poll!(upload.as_mut()) {
                        Poll::Ready(outcome) => panic!("it has ended: {outcome:?}"),
                        Poll::Pending => tokio::task::yield_now().await,
                    }
                }
            }
            assert_history(&handle, &key, std::slice::from_ref(&first)).await;
            assert_unchanged(place, &handle, &before, "dropped").await;
        }
        let second = publish(&handle, Some(&first), 20, &[70]).await;
        assert_history(&handle, &key, &[first, second]).await;
    });
}
