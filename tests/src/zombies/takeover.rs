//! A zombie stopped at every step in turn, and the second participant that takes its place meanwhile.

use alluvium::{AssignmentVersion, Epoch, InstanceId, StateBackend};

use super::place::Place;
use super::second::{Second, Truth, VERSION};
use crate::StoreServer;
use crate::participant::{Part, Participant, Refusal, Request, Step, Told, When};

/// The assignment version that the zombie believes in.
const REPLACED: AssignmentVersion = AssignmentVersion::new(1);
/// The last epoch that either of them writes.
const LAST: u64 = 3;

/// What the second participant does while the zombie is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    /// Raises the fence, writes and seals the zombie's epoch and later ones.
    Seals,
    /// The same, and prunes all but the last.
    SealsAndPrunes,
    /// Raises the fence only. It writes and seals after the zombie's end.
    Fences,
    /// Raises the fence and writes, and seals after the zombie's end: what the zombie writes, it writes last.
    WritesBeforeTheZombie,
    /// As [`Seals`](Takeover::Seals), but the fence was raised when the zombie had opened its backend and written
    /// nothing.
    FencesBeforeTheZombieWrites,
    /// As [`Seals`](Takeover::Seals), and nobody raises a fence.
    SealsWithoutAFence,
}

impl Takeover {
    fn fences_while_stopped(self) -> bool {
        !matches!(self, Self::FencesBeforeTheZombieWrites | Self::SealsWithoutAFence)
    }

    fn fences(self) -> bool {
        self != Self::SealsWithoutAFence
    }

    fn writes_while_stopped(self) -> bool {
        self != Self::Fences
    }

    fn seals_while_stopped(self) -> bool {
        !matches!(self, Self::Fences | Self::WritesBeforeTheZombie)
    }
}

/// A step, and whether the zombie's seal was in force when it was stopped there.
struct Tried {
    step: Step,
    sealed: bool,
}

/// Tries a takeover at every step of the zombie's first epoch in turn.
pub(super) async fn at_every_step(server: &dyn StoreServer, program: &'static str, takeover: Takeover) {
    let mut tried = Vec::new();
    while let Some(one) = at_step(&Place::new(server, program), takeover, tried.len()).await {
        eprintln!("{takeover:?} at {}: sealed {}", one.step, one.sealed);
        tried.push(one);
    }
    let requests = |request| tried.iter().filter(|one| one.step.request == request).count();
    if takeover == Takeover::FencesBeforeTheZombieWrites {
        assert!(
            !tried.is_empty(),
            "the zombie knew of the fence without a request"
        );
        assert!(!tried.iter().any(|one| one.sealed), "a fenced zombie has sealed");
        return;
    }
    // One PUT writes, one seals.
    assert!(
        requests(Request::Put) + requests(Request::ConditionalPut) >= 4,
        "the zombie was not stopped around its writes"
    );
    // The seal is in force from one moment on: between a conditional PUT and its answer.
    let first = tried
        .iter()
        .position(|one| one.sealed)
        .expect("the zombie's seal comes into force");
    let (before, after) = (&tried[first - 1].step, &tried[first].step);
    assert_eq!(
        (before.when, after.when),
        (When::Before, When::After),
        "{before} and {after}"
    );
    assert_eq!(after.request, Request::ConditionalPut, "{after}");
    assert_eq!(before.location, after.location);
    assert!(tried[first..].iter().all(|one| one.sealed), "a seal was lost");
}

/// Tries a takeover at one step, counted from 0. None if the zombie has sealed its first epoch, or was refused, in
/// fewer steps.
async fn at_step(place: &Place, takeover: Takeover, number: usize) -> Option<Tried> {
    let zombie_id = InstanceId::new("zombie").unwrap();
    let last = Epoch::new(LAST).unwrap();
    let mut zombie = place
        .participant(Part::Rounds {
            instance: zombie_id.clone(),
            version: REPLACED,
            last,
        })
        .await;
    let step = walk(place, &mut zombie, takeover, number).await?;
    zombie.stop().await;
    let when = format!("{takeover:?} at step {number}, {step}");

    let witness = place.open("witness").await;
    let sealed = witness.latest_complete().await.expect("the latest epoch is read") == Some(Epoch::FIRST);
    let second = Second::open(place).await;
    let scene = Scene {
        takeover,
        second,
        sealed,
        zombie: zombie_id,
        last,
    };
    scene.while_stopped().await;
    let truth = scene.truth(takeover.seals_while_stopped());
    let handles: [&dyn StateBackend; 2] = [scene.second.backend.as_ref(), witness.as_ref()];
    for reader in handles {
        truth
            .check(reader, last, &format!("{when}, while the zombie is stopped"))
            .await;
    }

    zombie.cont();
    let mut step_of_zombie = Some(step.clone());
    let refusal = loop {
        // Wherever the zombie gets to after a write, nobody sees it.
        if step_of_zombie.take().is_some() {
            zombie.say("").await;
        }
        match zombie.told().await {
            Told::Step(next) => {
                if next.when == When::After && matches!(next.request, Request::Put | Request::ConditionalPut)
                {
                    for reader in handles {
                        truth
                            .check(reader, last, &format!("{when}, when the zombie is at {next}"))
                            .await;
                    }
                }
                step_of_zombie = Some(next);
            }
            Told::Opened | Told::Wrote(_) => {}
            Told::Sealed(epoch) => assert!(
                sealed && epoch == Epoch::FIRST,
                "{when}: the zombie is told that it has sealed epoch {epoch}"
            ),
            Told::Refused(refusal) => break refusal,
            told => panic!("{when}: the zombie ends with {told:?}"),
        }
    };
    zombie.ended().await;
    scene.check_refusal(&refusal, &when);

    scene.after_the_zombie().await;
    let truth = scene.truth(true);
    let third = place.open("third").await;
    for reader in [handles[0], handles[1], third.as_ref()] {
        truth
            .check(reader, last, &format!("{when}, after the zombie's end"))
            .await;
    }
    Some(Tried { step, sealed })
}

/// Lets the zombie go on to the step of this number; of one that is fenced early, to that after its open.
async fn walk(place: &Place, zombie: &mut Participant, takeover: Takeover, number: usize) -> Option<Step> {
    let fenced_early = takeover == Takeover::FencesBeforeTheZombieWrites;
    let (mut steps, mut counts) = (0, !fenced_early);
    loop {
        match zombie.told().await {
            Told::Step(step) if counts && steps == number => return Some(step),
            Told::Step(_) => {
                steps += usize::from(counts);
                zombie.say("").await;
            }
            Told::Opened if fenced_early => {
                Second::open(place).await.fence().await;
                counts = true;
            }
            Told::Opened | Told::Wrote(_) => {}
            Told::Refused(Refusal::StaleVersion { .. }) if fenced_early => return None,
            Told::Sealed(epoch) if epoch == Epoch::FIRST && !fenced_early => return None,
            told => panic!("{takeover:?}, before step {number}: the zombie says {told:?}"),
        }
    }
}

/// A takeover at one step.
struct Scene {
    takeover: Takeover,
    second: Second,
    /// Whether the zombie had sealed its first epoch when it was stopped: then it is the zombie's, for ever.
    sealed: bool,
    zombie: InstanceId,
    last: Epoch,
}

impl Scene {
    async fn while_stopped(&self) {
        if self.takeover.fences_while_stopped() {
            self.second.fence().await;
        }
        if self.sealed && self.takeover.writes_while_stopped() {
            self.second.finds_sealed(Epoch::FIRST, &self.zombie).await;
        }
        for epoch in self.epochs() {
            if self.takeover.writes_while_stopped() {
                self.second.write(epoch).await;
            }
            if self.takeover.seals_while_stopped() {
                self.second.seal(epoch).await;
            }
        }
        self.prune().await;
    }

    async fn after_the_zombie(&self) {
        for epoch in self.epochs() {
            if !self.takeover.writes_while_stopped() {
                self.second.write(epoch).await;
            }
            // What it sealed before, it is told again to have sealed.
            if !self.is_pruned(epoch) {
                self.second.seal(epoch).await;
            }
        }
        self.prune().await;
    }

    fn is_pruned(&self, epoch: Epoch) -> bool {
        self.takeover == Takeover::SealsAndPrunes && epoch < self.last
    }

    async fn prune(&self) {
        if self.takeover == Takeover::SealsAndPrunes {
            self.second
                .backend
                .prune_before(self.last)
                .await
                .expect("earlier epochs are pruned");
        }
    }

    /// The epochs that are the second's, rising.
    fn epochs(&self) -> impl Iterator<Item = Epoch> + use<> {
        let first = if self.sealed { 2 } else { 1 };
        (first..=LAST).map(|number| Epoch::new(number).unwrap())
    }

    /// What readers have to find, when the second has sealed and when it has not.
    fn truth(&self, second_has_sealed: bool) -> Truth {
        let mut truth = Truth::default();
        if self.sealed {
            truth.partials.insert(1, self.zombie.clone());
            truth.latest_complete = Some(Epoch::FIRST);
        }
        if second_has_sealed {
            truth.latest_complete = Some(self.last);
        }
        if second_has_sealed || self.takeover.writes_while_stopped() {
            let second = self.second.backend.instance();
            truth
                .partials
                .extend(self.epochs().map(|epoch| (epoch.get(), second.clone())));
        }
        truth
            .partials
            .retain(|epoch, _| !self.is_pruned(Epoch::new(*epoch).unwrap()));
        truth
    }

    /// A zombie is told that it is one.
    fn check_refusal(&self, refusal: &Refusal, when: &str) {
        match refusal {
            Refusal::StaleVersion { authoritative } if self.takeover.fences() => {
                assert_eq!(*authoritative, VERSION, "{when}");
            }
            Refusal::SplitBrainCommit { committer } if self.takeover.seals_while_stopped() => {
                assert_eq!(committer, self.second.backend.instance(), "{when}");
            }
            other => panic!("{when}: the zombie ends with {other:?}"),
        }
    }
}
