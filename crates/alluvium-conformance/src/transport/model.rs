//! Random operations, crashes among them, held against what they leave in a plain list.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::artifact::{Draft, PackId, Published};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::place::{
    Handle, Place, assert_history, assert_whole, at_once, base, draft, newest_of, published, routes,
    superseded, upload,
};
use crate::support::{block_on, cut_off, length, property};
use crate::{Fault, FaultyStore, TransportHarness};

/// What is done to the artifacts.
#[derive(Clone, Debug)]
enum Operation {
    /// A whole table or what changed is published, in segments of these lengths.
    Publish { whole: bool, lengths: Vec<usize> },
    /// The same, but its process dies before this call to the store.
    Crash { whole: bool, call: u64 },
    /// The same, planned on one that is not the newest any more, or on nothing.
    Late(usize),
    /// So many are kept.
    Prune(u32),
    /// Somebody else goes on, who knows nothing.
    Reopen,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => (any::<u8>(), vec(1..2_000_usize, 0..4))
            .prop_map(|(whole, lengths)| Operation::Publish { whole: whole < 60, lengths }),
        3 => (any::<bool>(), 1..8_u64).prop_map(|(whole, call)| Operation::Crash { whole, call }),
        1 => any::<usize>().prop_map(Operation::Late),
        2 => (1..4_u32).prop_map(Operation::Prune),
        1 => Just(Operation::Reopen),
    ];
    vec(operation, 1..25)
}

/// What there should be: the artifacts, oldest first, and what the next one is at.
#[derive(Default)]
struct Model {
    all: Vec<Published>,
    sequence: u64,
}

impl Model {
    fn next(&mut self, whole: bool) -> Draft {
        self.sequence += 10;
        match self.all.last() {
            Some(newest) if whole => base(newest, self.sequence),
            newest => draft(newest, self.sequence),
        }
    }
}

/// Whatever is done in whichever order, and wherever it ends, there is what should be, after every step.
pub fn o3_o4_o7_o8_random_operations_leave_what_they_leave_in_a_list(harness: &dyn TransportHarness) {
    property(length(40, 400), &operations(), |operations| {
        let place = Place::new(harness);
        block_on(run(&place, &operations));
    });
}

async fn run(place: &Place<'_>, operations: &[Operation]) {
    let (key, mut model) = (routes(), Model::default());
    let mut handle = place.open().await;
    for operation in operations {
        match operation {
            Operation::Publish { whole, lengths } => {
                let next = model.next(*whole);
                let next = published(upload(&handle, &key, next, lengths).await);
                model.all.push(next);
            }
            Operation::Crash { whole, call } => {
                let next = model.next(*whole);
                let dying = FaultyStore::failing(place.store().await, *call, Fault::TimeOut);
                let over = place.open_over(Arc::new(dying.clone())).await;
                let ended = cut_off(&dying, *call, upload(&over, &key, next, &[500, 600])).await;
                handle = place.open().await;
                match ended {
                    Some(outcome) => model.all.push(published(outcome)),
                    None => look(&handle, &mut model).await,
                }
            }
            Operation::Late(index) => {
                let Some((newest, older)) = model.all.split_last() else {
                    continue;
                };
                let planned_on = index.checked_rem(older.len()).map(|at| &older[at]);
                let late = draft(planned_on, model.sequence + 5);
                let outcome = upload(&handle, &key, late, &[300]).await;
                assert_eq!(superseded(outcome), newest.manifest);
            }
            Operation::Prune(keep) => {
                handle.prune(&key, at_once(*keep)).await.unwrap();
                let go = model.all.len().saturating_sub(*keep as usize);
                model.all.drain(..go);
            }
            Operation::Reopen => handle = place.open().await,
        }
        check(&handle, &model).await;
    }
    // Who died may have been about to replace what is the newest: until somebody does, that is nobody's garbage.
    let last = model.next(false);
    model
        .all
        .push(published(upload(&handle, &key, last, &[400]).await));
    handle.prune(&key, at_once(u32::MAX)).await.unwrap();
    assert_history(&handle, &key, &model.all).await;
    let packs: BTreeSet<PackId> = model.all.iter().flat_map(|one| one.manifest.packs()).collect();
    let left = place.paths().await;
    assert_eq!(
        left.len(),
        model.all.len() + packs.len(),
        "garbage is left: {left:?}"
    );
}

/// Whether what has died was published.
async fn look(handle: &Handle, model: &mut Model) {
    let newest = newest_of(handle, &routes()).await;
    let published = newest.filter(|newest| newest.id.sequence().get() == model.sequence);
    model.all.extend(published);
}

async fn check(handle: &Handle, model: &Model) {
    let key = routes();
    let newest = newest_of(handle, &key).await;
    let named = |one: &Published| (one.id, one.manifest.clone());
    assert_eq!(newest.as_ref().map(named), model.all.last().map(named));
    let history = handle.history(&key).await.unwrap();
    assert!(
        history.iter().eq(model.all.iter().map(|one| &one.id)),
        "{history:?}"
    );
    if let Some(newest) = newest {
        assert_whole(handle, &key, &newest.manifest).await;
    }
}
