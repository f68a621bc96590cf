//! A participant that is killed again and again while it writes and seals on a server, which lives on. The first and
//! third obligation of a `StateBackend`; on what lives in a directory, the conformance kit proves the same.

use std::ops::Range;

use alluvium::{AssignmentVersion, Epoch, InstanceId, StateBackend};

use crate::StoreServer;
use crate::feed::Random;
use crate::participant::{Part, Place, Told, partial};

/// The proof as a test: on the server that the expression gives.
#[macro_export]
macro_rules! kill_suite {
    ($server:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_kill_leaves_whole_writes_and_seals() {
            $crate::kills::a_kill_leaves_whole_writes_and_seals($server, env!("CARGO_BIN_EXE_participant"))
                .await;
        }
    };
}

/// The name of all who are killed: it is one participant, which comes back.
const NAME: &str = "participant";
/// Turns of a loop, within which the kill comes after a report: about as long as a write or a seal takes.
const PAUSE: u64 = 300_000;

/// What a killed participant was told is so, and of what was under way there is everything or nothing.
///
/// # Panics
///
/// If it is not so.
pub async fn a_kill_leaves_whole_writes_and_seals(server: &dyn StoreServer, program: &'static str) {
    let kills = if crate::full() { 100 } else { 10 };
    let place = Place::new(server, program);
    let mut random = Random(17);
    let mut first = Epoch::FIRST;
    for kill in 0..kills {
        let told = killed(&place, first, &mut random).await;
        let when = format!("after kill {kill}, from epoch {first} on");
        first = check(&place, first, &told, &when).await;
    }
    assert!(first > Epoch::FIRST, "nothing was ever sealed");
    // What was sealed before any kill is there after all of them.
    let reader = place.open("reader").await;
    for epoch in epochs(Epoch::FIRST..first) {
        let whole = Some(true);
        assert_eq!(written(reader.as_ref(), epoch).await, whole, "epoch {epoch}");
    }
}

/// What a participant tells that goes on from this epoch until it is killed.
async fn killed(place: &Place, first: Epoch, random: &mut Random) -> Vec<Told> {
    let part = Part::Rounds {
        instance: InstanceId::new(NAME).expect("a plain name"),
        version: AssignmentVersion::new(1),
        first,
        last: Epoch::LAST,
        asks: false,
    };
    let mut participant = place.participant(part).await;
    let mut told = Vec::new();
    for _ in 0..=random.below(12) {
        told.push(participant.told().await);
    }
    for _ in 0..random.below(PAUSE) {
        std::hint::spin_loop();
    }
    told.extend(participant.kill().await);
    told
}

/// Holds what is stored to what was told. Gives the epoch to go on from: the first that is not sealed.
async fn check(place: &Place, first: Epoch, told: &[Told], when: &str) -> Epoch {
    let (mut wrote, mut sealed) = (None, None);
    for one in told {
        match one {
            Told::Opened => {}
            Told::Wrote(epoch) => wrote = Some(*epoch),
            Told::Sealed(epoch) => sealed = Some(*epoch),
            other => panic!("{when}: the participant says {other:?}"),
        }
    }
    let backend = place.open(NAME).await;
    let latest = backend.latest_complete().await.expect("the latest epoch is read");
    // Of what is older, it was looked at before.
    let latest = latest.filter(|latest| *latest >= first);
    assert!(
        latest == sealed || latest == wrote,
        "{when}: {latest:?} is the latest, {told:?} was told"
    );
    let next = |epoch: Option<Epoch>| epoch.map_or(first, |epoch| epoch.next().expect("few epochs"));
    for epoch in epochs(first..next(wrote)) {
        let whole = written(backend.as_ref(), epoch).await;
        assert_eq!(
            whole,
            Some(true),
            "{when}: epoch {epoch}, of which {told:?} was told"
        );
    }
    let under_way = written(backend.as_ref(), next(wrote)).await;
    assert!(under_way.is_some(), "{when}: epoch {} is half there", next(wrote));
    for epoch in epochs(first..next(latest)) {
        let complete = backend.epoch_complete(epoch, &place.vnodes()).await;
        assert!(matches!(complete, Ok(true)), "{when}: epoch {epoch} {complete:?}");
    }
    next(latest)
}

fn epochs(range: Range<Epoch>) -> impl Iterator<Item = Epoch> {
    (range.start.get()..range.end.get()).map(|number| Epoch::new(number).expect("between epochs"))
}

/// Whether all of an epoch is there, or nothing; none if it is neither.
async fn written(reader: &dyn StateBackend, epoch: Epoch) -> Option<bool> {
    let writer = InstanceId::new(NAME).expect("a plain name");
    let mut there = 0;
    for vnode in reader.vnode_count().vnodes() {
        let found = reader
            .read_partial(vnode, epoch)
            .await
            .expect("a partial is read");
        if let Some(bytes) = found {
            assert_eq!(
                bytes,
                partial(&writer, epoch, vnode),
                "vnode {vnode} of epoch {epoch}"
            );
            there += 1;
        }
    }
    match there {
        0 => Some(false),
        all if all == reader.vnode_count().get() => Some(true),
        _ => None,
    }
}
