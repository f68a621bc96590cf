//! Every way in which the requests of several participants can come one after the other.
//!
//! Each participant runs until its next request and waits there for its turn. Who has the next turn is a choice, and every
//! sequence of choices is tried. A process that stops between two requests, for however long, is one of them.
//!
//! Two requests that have nothing to do with one another, as two that only read or are about different objects, come to
//! the same the other way round: of those two sequences one is tried.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::testing::{Staged, Turns};

/// What a participant ends with.
type Outcome = Result<Said, BackendError>;

/// What a participant says at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Complete(bool),
    Fenced,
    Pruned,
    Reads(Vec<Option<String>>),
    Latest(Option<Epoch>),
}

struct Participant {
    turns: Arc<Turns>,
    course: Pin<Box<dyn Future<Output = Outcome>>>,
    outcome: Option<Outcome>,
}

impl Participant {
    /// Goes on to the next request, sending the one it waits at if it is allowed to.
    fn go_on(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.course.as_mut().poll(&mut context) {
            self.outcome = Some(outcome);
        }
    }
}

/// Which participant has the next turn, for every sequence of choices in turn.
#[derive(Default)]
struct Choices {
    /// What was chosen, out of how many.
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    fn choose(&mut self, among: usize) -> usize {
        if self.next == self.made.len() {
            self.made.push((0, among));
        }
        let (choice, then) = self.made[self.next];
        assert_eq!(then, among, "the same choices lead to the same place");
        self.next += 1;
        choice
    }

    /// Goes to the next sequence; not if that was the last one.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((choice, among)) = self.made.pop() {
            if choice + 1 < among {
                self.made.push((choice + 1, among));
                return true;
            }
        }
        false
    }
}

/// The state that all begin from, with what the participants are going to do.
struct Scene {
    store: Arc<InMemory>,
    participants: Vec<Participant>,
}

impl Scene {
    /// With a control object, as after an epoch before.
    async fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let before = open(&store, "before").await;
        before
            .write_partials(e(1), v(0), partials("before"))
            .await
            .unwrap();
        before.prune_before(epoch()).await.unwrap();
        Self {
            store,
            participants: Vec::new(),
        }
    }

    /// Adds a participant that has written before anybody does anything else.
    async fn add_writer<F>(&mut self, instance: &str, course: impl FnOnce(ObjectStoreBackend) -> F)
    where
        F: Future<Output = Outcome> + 'static,
    {
        self.add_after(instance, true, course).await;
    }

    /// Adds a participant that was opened before anybody does anything else.
    async fn add<F>(&mut self, instance: &str, course: impl FnOnce(ObjectStoreBackend) -> F)
    where
        F: Future<Output = Outcome> + 'static,
    {
        self.add_after(instance, false, course).await;
    }

    async fn add_after<F>(
        &mut self,
        instance: &str,
        writes: bool,
        course: impl FnOnce(ObjectStoreBackend) -> F,
    ) where
        F: Future<Output = Outcome> + 'static,
    {
        let turns = Arc::new(Turns::default());
        let backend = try_open(Staged::over(&self.store, &turns), instance)
            .await
            .unwrap();
        if writes {
            backend
                .write_partials(epoch(), v(1), partials(instance))
                .await
                .unwrap();
        }
        turns.hold();
        let course = Box::pin(course(backend));
        self.participants.push(Participant {
            turns,
            course,
            outcome: None,
        });
    }

    /// Runs all, in the order of these choices. Gives what each ended with; nothing if this order comes to the same as
    /// another one.
    fn run(&mut self, choices: &mut Choices) -> Option<Vec<Outcome>> {
        for participant in &mut self.participants {
            participant.go_on();
        }
        // Who was last, and with which request.
        let mut last: Option<(usize, Vec<String>)> = None;
        while self.participants.iter().any(|one| one.outcome.is_none()) {
            let could_be_earlier = |number: usize| {
                last.as_ref().is_some_and(|(last, sent)| {
                    number < *last && !depend(sent, &self.participants[number].turns.waiting())
                })
            };
            let waiting: Vec<usize> = (0..self.participants.len())
                .filter(|number| self.participants[*number].outcome.is_none())
                .filter(|number| !could_be_earlier(*number))
                .collect();
            if waiting.is_empty() {
                return None;
            }
            let number = waiting[choices.choose(waiting.len())];
            let chosen = &mut self.participants[number];
            last = Some((number, chosen.turns.waiting()));
            chosen.turns.allow();
            chosen.go_on();
        }
        let ended = self.participants.drain(..);
        ended.map(|participant| participant.outcome).collect()
    }
}

/// Whether it matters which of these requests is sent first.
fn depend(one: &[String], other: &[String]) -> bool {
    let pairs = one
        .iter()
        .flat_map(|one| other.iter().map(move |other| (one, other)));
    pairs.into_iter().any(|(one, other)| {
        let (kind, path) = one.split_once(' ').unwrap_or((one, ""));
        let (other_kind, other_path) = other.split_once(' ').unwrap_or((other, ""));
        let reads = |kind: &str| matches!(kind, "GET" | "LIST");
        // A listing is about all that is below it, and a removal of many about everything.
        let related = path.starts_with(other_path) || other_path.starts_with(path);
        related && !(reads(kind) && reads(other_kind))
    })
}

/// Sets a scene, runs it and checks what came out, for every order.
async fn in_every_order(
    set: impl AsyncFn(&mut Scene),
    mut check: impl AsyncFnMut(&Arc<InMemory>, &[Outcome]),
) {
    let mut choices = Choices::default();
    loop {
        let mut scene = Scene::new().await;
        set(&mut scene).await;
        if let Some(outcomes) = scene.run(&mut choices) {
            check(&scene.store, &outcomes).await;
        }
        if !choices.advance() {
            return;
        }
    }
}

/// The epoch that all is about.
fn epoch() -> Epoch {
    e(2)
}

async fn seals(backend: ObjectStoreBackend) -> Outcome {
    Ok(Said::Complete(backend.epoch_complete(epoch(), &vnodes()).await?))
}

async fn writes_and_seals(backend: ObjectStoreBackend, version: AssignmentVersion) -> Outcome {
    let written = partials(backend.instance().as_str());
    backend.write_partials(epoch(), version, written).await?;
    seals(backend).await
}

async fn fences(backend: ObjectStoreBackend, version: AssignmentVersion) -> Outcome {
    backend.fence(version).await?;
    Ok(Said::Fenced)
}

async fn takes_over(backend: ObjectStoreBackend, version: AssignmentVersion) -> Outcome {
    backend.fence(version).await?;
    writes_and_seals(backend, version).await
}

async fn prunes(backend: ObjectStoreBackend) -> Outcome {
    backend.prune_before(e(3)).await?;
    Ok(Said::Pruned)
}

async fn reads(backend: ObjectStoreBackend) -> Outcome {
    let mut read = Vec::new();
    for vnode in vnodes() {
        let bytes = backend.read_partial(vnode, epoch()).await?;
        read.push(bytes.map(|bytes| String::from_utf8(bytes.into()).unwrap()));
    }
    Ok(Said::Reads(read))
}

/// What somebody reads of partials of this owner.
fn all_of(owner: &str) -> Said {
    let read = partials(owner).into_iter();
    Said::Reads(
        read.map(|(_, bytes)| String::from_utf8(bytes.into()).ok())
            .collect(),
    )
}

fn has_sealed(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(Said::Complete(true)))
}

fn is_stale(outcome: &Outcome) -> bool {
    matches!(outcome, Err(BackendError::StaleVersion { .. }))
}

/// Who has sealed the epoch, for a handle that is opened now.
async fn sealed_by(store: &Arc<InMemory>) -> Option<String> {
    let fresh = open(store, "fresh").await;
    let latest = fresh.latest_complete().await.unwrap();
    let owner = owner(&fresh, epoch()).await;
    latest.map(|found| {
        assert_eq!(found, epoch());
        owner.expect("what is complete has partials")
    })
}

#[tokio::test]
async fn a_zombie_and_its_successor() {
    let mut sealed = [0, 0];
    in_every_order(
        async |scene| {
            scene
                .add("zombie", |backend| writes_and_seals(backend, v(1)))
                .await;
            scene.add("heir", |backend| takes_over(backend, v(2))).await;
        },
        async |store, outcomes| {
            let [zombie, heir] = outcomes else { unreachable!() };
            let owner = sealed_by(store).await;
            let zombies = owner.as_deref() == Some("zombie");
            sealed[usize::from(zombies)] += 1;
            if zombies {
                // Told or not: its seal may have come in time, and the answer not.
                assert!(has_sealed(zombie) || is_stale(zombie), "{outcomes:?}");
                assert!(
                    matches!(
                        heir,
                        Err(BackendError::SplitBrainCommit { .. } | BackendError::Sealed { .. })
                    ),
                    "{outcomes:?}"
                );
            } else {
                assert_eq!(owner.as_deref(), Some("heir"));
                assert!(has_sealed(heir), "{outcomes:?}");
                assert!(
                    is_stale(zombie) || matches!(zombie, Err(BackendError::SplitBrainCommit { .. })),
                    "{outcomes:?}"
                );
            }
        },
    )
    .await;
    assert!(sealed.iter().all(|count| *count > 0), "both happen: {sealed:?}");
}

#[tokio::test]
async fn a_zombie_that_seals_while_two_raise_the_fence() {
    let mut sealed = [0, 0];
    in_every_order(
        async |scene| {
            scene.add_writer("zombie", seals).await;
            scene.add("second", |backend| fences(backend, v(2))).await;
            scene.add("third", |backend| fences(backend, v(3))).await;
        },
        async |store, outcomes| {
            let [zombie, second, third] = outcomes else {
                unreachable!()
            };
            sealed[usize::from(has_sealed(zombie))] += 1;
            let owner = sealed_by(store).await;
            if has_sealed(zombie) {
                assert_eq!(owner.as_deref(), Some("zombie"));
            } else {
                assert!(is_stale(zombie), "{outcomes:?}");
                assert_eq!(owner, None);
                let fresh = open(store, "fresh").await;
                assert_eq!(super::owner(&fresh, epoch()).await, None);
            }
            assert!(second.is_ok() || is_stale(second), "{outcomes:?}");
            assert!(third.is_ok(), "{outcomes:?}");
            let fence = open(store, "fresh").await.authoritative_version();
            assert_eq!(fence, v(3));
        },
    )
    .await;
    assert!(sealed.iter().all(|count| *count > 0), "both happen: {sealed:?}");
}

#[tokio::test]
async fn a_reader_while_a_zombie_seals_and_the_fence_is_raised() {
    let mut read = [0, 0];
    in_every_order(
        async |scene| {
            scene.add_writer("zombie", seals).await;
            scene.add("second", |backend| fences(backend, v(2))).await;
            scene.add("reader", reads).await;
        },
        async |store, outcomes| {
            let [zombie, _, reader] = outcomes else {
                unreachable!()
            };
            let sealed = sealed_by(store).await.is_some();
            assert_eq!(sealed, has_sealed(zombie), "{outcomes:?}");
            read[usize::from(reader.as_ref().unwrap() == &all_of("zombie"))] += 1;
            if sealed {
                // It counted before the seal, and it counts after it.
                assert_eq!(reader.as_ref().unwrap(), &all_of("zombie"), "{outcomes:?}");
            }
        },
    )
    .await;
    assert!(read.iter().all(|count| *count > 0), "both happen: {read:?}");
}

#[tokio::test]
async fn who_asks_what_is_complete_while_a_zombie_seals_and_the_fence_is_raised() {
    let mut complete = [0, 0];
    in_every_order(
        async |scene| {
            scene.add_writer("zombie", seals).await;
            scene.add("second", |backend| fences(backend, v(2))).await;
            scene
                .add("reader", |backend| async move {
                    Ok(Said::Latest(backend.latest_complete().await?))
                })
                .await;
        },
        async |store, outcomes| {
            let told = matches!(outcomes[2], Ok(Said::Latest(Some(_))));
            complete[usize::from(told)] += 1;
            if told {
                assert!(
                    sealed_by(store).await.is_some(),
                    "what was complete stays so: {outcomes:?}"
                );
            }
        },
    )
    .await;
    assert!(
        complete.iter().all(|count| *count > 0),
        "both happen: {complete:?}"
    );
}

#[tokio::test]
async fn two_who_seal_the_same_epoch() {
    let mut winners = [0, 0];
    in_every_order(
        async |scene| {
            let writer = open(&scene.store, "writer").await;
            writer
                .write_partials(epoch(), v(0), partials("writer"))
                .await
                .unwrap();
            scene.add("a", seals).await;
            scene.add("b", seals).await;
        },
        async |_, outcomes| {
            let winner = outcomes.iter().position(has_sealed).expect("one seals");
            winners[winner] += 1;
            let names = ["a", "b"];
            assert!(
                matches!(
                    &outcomes[1 - winner],
                    Err(BackendError::SplitBrainCommit { committer, self_id, .. })
                        if committer.as_str() == names[winner] && self_id.as_str() == names[1 - winner]
                ),
                "{outcomes:?}"
            );
        },
    )
    .await;
    assert!(winners.iter().all(|count| *count > 0), "both happen: {winners:?}");
}

#[tokio::test]
async fn a_sealer_and_who_prunes_its_epoch() {
    let mut sealed = [0, 0];
    in_every_order(
        async |scene| {
            scene
                .add("sealer", |backend| writes_and_seals(backend, v(0)))
                .await;
            scene.add("pruner", prunes).await;
        },
        async |store, outcomes| {
            let [seals, prunes] = outcomes else { unreachable!() };
            assert!(prunes.is_ok(), "{outcomes:?}");
            assert!(
                has_sealed(seals) || matches!(seals, Err(BackendError::Pruned { .. })),
                "{outcomes:?}"
            );
            sealed[usize::from(has_sealed(seals))] += 1;
            assert_eq!(sealed_by(store).await, None);
            assert_eq!(owner(&open(store, "fresh").await, epoch()).await, None);
        },
    )
    .await;
    assert!(sealed.iter().all(|count| *count > 0), "both happen: {sealed:?}");
}

#[tokio::test]
async fn a_reader_of_a_sealed_epoch_and_who_prunes_it() {
    let mut read = [0, 0];
    in_every_order(
        async |scene| {
            let writer = open(&scene.store, "writer").await;
            writes_and_seals(writer, v(0)).await.unwrap();
            scene.add("pruner", prunes).await;
            scene.add("reader", reads).await;
        },
        async |_, outcomes| {
            assert!(outcomes[0].is_ok(), "{outcomes:?}");
            let Ok(Said::Reads(found)) = &outcomes[1] else {
                panic!("{outcomes:?}")
            };
            // Never an error, and nothing again once there was nothing.
            assert!(
                found.is_sorted_by_key(Option::is_none),
                "what is pruned stays pruned: {outcomes:?}"
            );
            read[usize::from(found[0].is_some())] += 1;
        },
    )
    .await;
    assert!(read.iter().all(|count| *count > 0), "both happen: {read:?}");
}
