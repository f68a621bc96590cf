//! Obligation 6, and that no fault is taken for something else: one that passes, one that stays, an answer that never comes.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::artifact::Published;
use alluvium_core::{ErrorKind, TransportError};

use super::place::{
    Handle, assert_history, at_once, draft, newest_of, publish, routes, upload, whole_pack, with_place,
};
use crate::denied::Denied;
use crate::support::patience;
use crate::{Call, Fault, FaultyStore, TransportHarness};

/// Does everything that there is to do, and gives what came of each.
async fn everything(
    handle: &Handle,
    there: &Published,
    mut done: impl FnMut(&'static str, Option<TransportError>),
) {
    let (key, other) = (routes(), super::place::key("other"));
    let (pack, segment) = there.manifest.segments().next().unwrap();
    done("newest", handle.newest(&key).await.err());
    done("manifest", handle.manifest(&key).await.err());
    done("manifest of another", handle.manifest(&other).await.err());
    done("segment", handle.segment(&key, pack, segment).await.err());
    done("history", handle.history(&key).await.err());
    done("manifest_of", handle.manifest_of(&key, there.id).await.err());
    done("pack", whole_pack(handle, &key, pack).await.err());
    done("packs", handle.packs(&key).await.err());
    done("keys", handle.keys().await.err());
    done("prune", handle.prune(&key, at_once(1)).await.err());
    let next = upload(handle, &key, draft(Some(there), 90), &[70]).await;
    done("upload", next.err());
    done(
        "first upload",
        upload(handle, &other, draft(None, 90), &[70]).await.err(),
    );
}

/// A store that is out of reach is not an empty one, whatever it is asked.
pub fn m_a_fault_is_never_taken_for_none(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        let dead = FaultyStore::failing(place.store().await, 1, Fault::CrashBefore);
        let over = place.open_over(Arc::new(dead)).await;
        everything(&over, &first, |method, error| {
            let kind = error.as_ref().map(TransportError::kind);
            assert_eq!(kind, Some(ErrorKind::Transient), "{method}: {error:?}");
        })
        .await;
        assert_eq!(place.paths().await, before);
    });
}

/// What is denied once is denied again: it is told at once, and is not taken for damage, or for nothing.
pub fn m_a_permanent_fault_surfaces_at_once(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let first = publish(&handle, None, 10, &[700]).await;
        let denied = Arc::new(Denied::default());
        let over = place.open_over(Arc::clone(&denied) as _).await;
        denied.take_calls();
        everything(&over, &first, |method, error| {
            let kind = error.as_ref().map(TransportError::kind);
            assert!(
                matches!(kind, Some(ErrorKind::Unavailable | ErrorKind::Invalid)),
                "{method}: {error:?}"
            );
            let calls = denied.take_calls();
            assert!(calls <= 2, "{method} was denied {calls} times");
        })
        .await;
    });
}

/// No request is waited for without an end: wherever the answer does not come, the call ends, and what is there is whole.
pub fn o6_an_answer_that_never_comes_is_an_error(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let mut all = vec![publish(&handle, None, 10, &[700]).await];
        let (limit, mut call) = (Duration::from_millis(500), 1);
        loop {
            let newest = all.last().unwrap().clone();
            let sequence = newest.manifest.cursor.sequence.get() + 1;
            let stalled = FaultyStore::failing(place.store().await, call, Fault::TimeOut);
            let over = place.open_within(Arc::new(stalled.clone()), limit).await;
            let work = async {
                over.manifest(&key).await?;
                let (pack, segment) = newest.manifest.segments().next().unwrap();
                over.segment(&key, pack, segment).await?;
                upload(&over, &key, draft(Some(&newest), sequence), &[70]).await
            };
            let ended = tokio::time::timeout(patience(), work).await;
            let outcome = ended.unwrap_or_else(|_| panic!("call {call} is waited for for ever"));
            if let Err(error) = &outcome {
                assert_eq!(error.kind(), ErrorKind::Transient, "call {call}: {error:?}");
            }
            let now = newest_of(&handle, &key).await;
            all.extend(now.filter(|now| now.id != newest.id));
            assert_history(&handle, &key, &all).await;
            if stalled.calls() < call {
                assert!(stalled.calls_of(Call::Get) > 1, "{outcome:?}");
                break;
            }
            call += 1;
        }
        assert!(call > 4, "a run has made {call} calls");
    });
}
