//! Random operations, held against what they leave in plain maps.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{BackendError, Epoch, Vnode};
use bytes::Bytes;

use super::place::{Backend, Place, VNODES, block_on, content, epoch, version, vnode};
use crate::support::length;
use crate::{BackendHarness, Random};

/// Epochs that the operations are about.
const EPOCHS: u64 = 7;

/// What the backend should hold.
#[derive(Debug, Default)]
struct Model {
    /// By epoch and vnode: version and bytes.
    partials: BTreeMap<(u64, u32), (u64, Bytes)>,
    /// By epoch: what it was sealed with.
    seals: BTreeMap<u64, BTreeMap<u32, Bytes>>,
    fence: u64,
    floor: u64,
}

impl Model {
    fn read(&self, number: u64, at: u32) -> Option<&Bytes> {
        if number < self.floor {
            return None;
        }
        match self.seals.get(&number) {
            Some(seal) => seal.get(&at),
            None => self
                .partials
                .get(&(number, at))
                .filter(|(by, _)| *by >= self.fence)
                .map(|(_, bytes)| bytes),
        }
    }
}

/// Whatever is done in whichever order, the backend holds what it should, after every step.
pub fn o1_o2_o3_o5_o6_random_operations_leave_what_they_leave_in_a_map(harness: &dyn BackendHarness) {
    for seed in 0..length(12, 120) {
        let place = Place::new(harness);
        block_on(run(&place, seed));
    }
}

async fn run(place: &Place<'_>, seed: u64) {
    let mut random = Random::new(seed);
    let mut model = Model::default();
    let mut backend = place.open("a").await;
    for step in 1..=60 {
        let number = 1 + random.below(EPOCHS);
        match random.below(20) {
            0 => {
                model.fence += random.below(3);
                backend.fence(version(model.fence)).await.unwrap();
            }
            1 => {
                backend.prune_before(epoch(number)).await.unwrap();
                model.floor = model.floor.max(number);
            }
            2 if place.harness.backend_capabilities().persistent => {
                if random.percent(50) {
                    backend.close().await.unwrap();
                }
                drop(backend);
                backend = place.open("a").await;
            }
            3..=8 => seal(&backend, &mut model, number, &some_vnodes(&mut random)).await,
            _ => {
                let vnodes = some_vnodes(&mut random);
                write(place, &backend, &mut model, number, &vnodes, step).await;
            }
        }
        for number in 1..=EPOCHS {
            let at = u32::try_from(random.below(VNODES.into())).unwrap();
            let found = backend.read_partial(vnode(at), epoch(number)).await.unwrap();
            let expected = model.read(number, at);
            assert!(
                found.as_ref() == expected,
                "seed {seed}, step {step}: vnode {at} of epoch {number} is not as it should be"
            );
        }
        let latest = model
            .seals
            .keys()
            .copied()
            .filter(|number| *number >= model.floor)
            .max();
        let found = backend.latest_complete().await.unwrap().map(Epoch::get);
        assert_eq!(found, latest, "seed {seed}, step {step}");
    }
    backend.close().await.unwrap();
}

fn some_vnodes(random: &mut Random) -> BTreeSet<u32> {
    let count = 1 + random.below(6);
    // Few, so that epochs become complete.
    (0..count)
        .map(|_| u32::try_from(random.below(6)).unwrap())
        .collect()
}

async fn write(
    place: &Place<'_>,
    backend: &Backend,
    model: &mut Model,
    number: u64,
    vnodes: &BTreeSet<u32>,
    step: u64,
) {
    let sealed = model.seals.get(&number);
    // Half of what is written to a sealed epoch is what is there already.
    let bytes = |at: u32| match sealed.and_then(|seal| seal.get(&at)) {
        Some(bytes) if step.is_multiple_of(2) => bytes.clone(),
        _ => content(at, number, step),
    };
    let partials: Vec<(Vnode, Bytes)> = vnodes.iter().map(|at| (vnode(*at), bytes(*at))).collect();
    let written = backend
        .write_partials(epoch(number), version(model.fence), partials.clone())
        .await;
    let same = |seal: &BTreeMap<u32, Bytes>| {
        let mut partials = partials.iter();
        partials.all(|(at, bytes)| seal.get(&at.get()) == Some(bytes))
    };
    match (written, sealed) {
        (Err(BackendError::Pruned { .. }), _) if number < model.floor => {}
        (Ok(()), Some(seal)) if number >= model.floor => {
            // One that has not seen the seal may write in vain.
            assert!(
                same(seal) || place.harness.backend_capabilities().shared,
                "step {step}: accepted"
            );
        }
        (Err(BackendError::Sealed { .. }), Some(seal)) if number >= model.floor => {
            assert!(!same(seal), "step {step}: the same bytes were refused");
        }
        (Ok(()), None) if number >= model.floor => {
            for (at, bytes) in partials {
                model.partials.insert((number, at.get()), (model.fence, bytes));
            }
        }
        (other, _) => panic!("step {step}: a write to epoch {number} ends with {other:?}"),
    }
}

async fn seal(backend: &Backend, model: &mut Model, number: u64, vnodes: &BTreeSet<u32>) {
    let asked: Vec<Vnode> = vnodes.iter().copied().map(vnode).collect();
    let answer = backend.epoch_complete(epoch(number), &asked).await;
    if number < model.floor {
        assert!(
            matches!(answer, Err(BackendError::Pruned { .. })),
            "epoch {number} was pruned, and the answer is {answer:?}"
        );
        return;
    }
    if let Some(seal) = model.seals.get(&number) {
        let covered = vnodes.iter().all(|at| seal.contains_key(at));
        match answer {
            Ok(true) if covered => {}
            Err(BackendError::Sealed { .. }) if !covered => {}
            other => panic!("epoch {number} is sealed, and the answer is {other:?}"),
        }
        return;
    }
    let seal: Option<BTreeMap<u32, Bytes>> = vnodes
        .iter()
        .map(|at| Some((*at, model.read(number, *at)?.clone())))
        .collect();
    assert_eq!(answer.unwrap(), seal.is_some(), "epoch {number}");
    if let Some(seal) = seal {
        model.seals.insert(number, seal);
    }
}
