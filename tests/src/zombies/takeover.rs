//! A zombie stopped at every step in turn, and the second participant that takes its place meanwhile.

use std::sync::Arc;

use alluvium::{AssignmentVersion, Epoch, InstanceId, StateBackend};

use super::second::{Second, Truth, VERSION};
use crate::StoreServer;
use crate::participant::{Part, Participant, Place, Refusal, Request, Step, Told, When};

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
    if takeover == Takeover::FencesBeforeTheZombieWrites {
        assert!(
            !tried.is_empty(),
            "the zombie knew of the fence without a request"
        );
        assert!(!tried.iter().any(|one| one.sealed), "a fenced zombie has sealed");
        return;
    }
    let writes = tried.iter().filter(|one| one.step.request.writes()).count();
    assert!(
        writes >= 4,
        "one PUT writes and one seals, and the zombie was not stopped around them"
    );
    // The seal is in force from one moment on: between a conditional PUT and its answer.
    let first = tried
        .iter()
        .position(|one| one.sealed)
        .expect("the zombie's seal comes into force");
    let (before, after) = (&tried[first - 1].step, &tried[first].step);
    assert_eq!(
        [(before.when, before.request), (after.when, after.request)],
        [When::Before, When::After].map(|when| (when, Request::ConditionalPut)),
        "{before} and {after}"
    );
    assert!(tried[first..].iter().all(|one| one.sealed), "a seal was lost");
}

/// Tries a takeover at one step, counted from 0. None if the zombie has sealed its first epoch, or was refused, in
/// fewer steps.
async fn at_step(place: &Place, takeover: Takeover, number: usize) -> Option<Tried> {
    let zombie_id = InstanceId::new("zombie").expect("a plain name");
    let last = Epoch::new(LAST).expect("an epoch");
    let part = Part::Rounds {
        instance: zombie_id.clone(),
        version: REPLACED,
        first: Epoch::FIRST,
        last,
        asks: true,
    };
    let mut zombie = place.participant(part).await;
    let step = walk(place, &mut zombie, takeover, number).await?;
    zombie.stop().await;

    let witness = place.open("witness").await;
    let scene = Scene {
        when: format!("{takeover:?} at step {number}, {step}"),
        takeover,
        sealed: witness.latest_complete().await.expect("the latest epoch is read") == Some(Epoch::FIRST),
        zombie: zombie_id,
        second: Second::open(place).await,
        witness,
        last,
    };
    scene.while_stopped().await;
    zombie.cont();
    scene.while_the_zombie_goes_on(&mut zombie).await;
    zombie.ended().await;
    scene.after_the_zombie(place).await;
    Some(Tried {
        step,
        sealed: scene.sealed,
    })
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
    /// For whoever reads of a failure.
    when: String,
    takeover: Takeover,
    /// Whether the zombie had sealed its first epoch when it was stopped: then it is the zombie's, for ever.
    sealed: bool,
    zombie: InstanceId,
    second: Second,
    /// Opened when nothing was taken over yet.
    witness: Arc<dyn StateBackend>,
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
        self.check(self.takeover.seals_while_stopped(), "before the zombie goes on")
            .await;
    }

    /// Follows the zombie to its end. Wherever it gets to after a write, nobody sees it.
    async fn while_the_zombie_goes_on(&self, zombie: &mut Participant) {
        let when = &self.when;
        // The leave for the step that it was stopped at.
        zombie.say("").await;
        loop {
            match zombie.told().await {
                Told::Step(step) => {
                    if step.when == When::After && step.request.writes() {
                        let moment = format!("when the zombie is at {step}");
                        self.check(self.takeover.seals_while_stopped(), &moment).await;
                    }
                    zombie.say("").await;
                }
                Told::Opened | Told::Wrote(_) => {}
                Told::Sealed(epoch) => assert!(
                    self.sealed && epoch == Epoch::FIRST,
                    "{when}: the zombie is told that it has sealed epoch {epoch}"
                ),
                Told::Refused(refusal) => return self.check_refusal(&refusal),
                told => panic!("{when}: the zombie ends with {told:?}"),
            }
        }
    }

    async fn after_the_zombie(&self, place: &Place) {
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
        self.check(true, "after the zombie's end").await;
        let third = place.open("third").await;
        let moment = format!("{}, after the zombie's end", self.when);
        self.truth(true).check(third.as_ref(), self.last, &moment).await;
    }

    /// Holds what the second and the witness read to the truth.
    async fn check(&self, second_has_sealed: bool, moment: &str) {
        let truth = self.truth(second_has_sealed);
        let moment = format!("{}, {moment}", self.when);
        for reader in [&self.second.backend, &self.witness] {
            truth.check(reader.as_ref(), self.last, &moment).await;
        }
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
    fn check_refusal(&self, refusal: &Refusal) {
        let when = &self.when;
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
