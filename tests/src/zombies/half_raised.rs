//! A sealer and a process that raises the fence, each stopped wherever it can be while the other goes on.
//!
//! Neither order can be called wrong: the seal may come before the fence or after it. But there is one order for all. A
//! sealer that was told that it has sealed is what everybody reads, for ever; one that was refused has sealed nothing.

use alluvium::{AssignmentVersion, Epoch, InstanceId};

use super::second::{Second, Truth, VERSION};
use crate::StoreServer;
use crate::participant::{Part, Participant, Place, Refusal, Told, When};

/// Who goes on first when both are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Sealer,
    Fencer,
}

/// Of a sealer and a process that raises the fence, each is stopped before every request in turn while the other does
/// the same; then one goes on to its end, and then the other.
///
/// # Panics
///
/// If what the sealer was told is not what everybody finds.
pub async fn what_a_sealer_was_told_holds_wherever_a_fence_was_half_raised(
    server: &dyn StoreServer,
    program: &'static str,
) {
    let (mut sealed, mut refused) = (0, 0);
    for first in [First::Sealer, First::Fencer] {
        for fencer_at in 0.. {
            let mut reached = false;
            for sealer_at in 0.. {
                let place = Place::new(server, program);
                match stopped_at(&place, first, sealer_at, fencer_at).await {
                    Some(true) => sealed += 1,
                    Some(false) => refused += 1,
                    None => break,
                }
                reached = true;
            }
            if !reached {
                break;
            }
        }
    }
    assert!(
        sealed > 0 && refused > 0,
        "of all orders, {sealed} let the sealer seal and {refused} did not"
    );
}

/// Whether the sealer has sealed, when both were stopped before these requests of theirs. None if one of them ended
/// before.
async fn stopped_at(place: &Place, first: First, sealer_at: usize, fencer_at: usize) -> Option<bool> {
    let sealer_id = InstanceId::new("sealer").expect("a plain name");
    let mut sealer = Walker::start(
        place,
        Part::Rounds {
            instance: sealer_id.clone(),
            version: AssignmentVersion::new(1),
            first: Epoch::FIRST,
            last: Epoch::FIRST,
            asks: true,
        },
    )
    .await;
    let mut fencer = Walker::start(
        place,
        Part::Fence {
            instance: InstanceId::new("fencer").expect("a plain name"),
            version: VERSION,
        },
    )
    .await;
    // Whoever goes on first was stopped first, so that it does not know what the other has done since.
    let (raised, told) = match first {
        First::Sealer => {
            sealer.walk(sealer_at).await?;
            fencer.walk(fencer_at).await?;
            let told = sealer.end().await;
            (fencer.end().await, told)
        }
        First::Fencer => {
            fencer.walk(fencer_at).await?;
            sealer.walk(sealer_at).await?;
            let raised = fencer.end().await;
            (raised, sealer.end().await)
        }
    };
    let when = format!("the sealer stopped at {sealer_at}, the fencer at {fencer_at}, {first:?} first");
    let in_force = match told[..] {
        [.., Told::Done] => true,
        [.., Told::Refused(Refusal::StaleVersion { authoritative })] if authoritative == VERSION => false,
        _ => panic!("{when}: the sealer says {told:?}"),
    };
    let latest = in_force.then_some(Epoch::FIRST);
    assert!(
        raised.ends_with(&[Told::Latest(latest), Told::Done]),
        "{when}: the sealer says {told:?}, the fencer {raised:?}"
    );

    let second = Second::open(place).await;
    let mut truth = Truth::default();
    if in_force {
        truth.set(Epoch::FIRST, &sealer_id);
    }
    truth.check(second.backend.as_ref(), Epoch::FIRST, &when).await;
    if in_force {
        second.finds_sealed(Epoch::FIRST, &sealer_id).await;
    } else {
        second.write(Epoch::FIRST).await;
        second.seal(Epoch::FIRST).await;
        truth.set(Epoch::FIRST, second.backend.instance());
    }
    let third = place.open("third").await;
    truth.check(third.as_ref(), Epoch::FIRST, &when).await;
    Some(in_force)
}

/// A participant that goes from request to request.
struct Walker {
    participant: Participant,
    /// Whether it waits for leave.
    waits: bool,
}

impl Walker {
    async fn start(place: &Place, part: Part) -> Self {
        Self {
            participant: place.participant(part).await,
            waits: false,
        }
    }

    /// Goes on until so many requests were answered and the next one would be sent. None if there is no next one.
    async fn walk(&mut self, requests: usize) -> Option<()> {
        let mut sent = 0;
        loop {
            match self.next().await {
                Told::Step(step) if step.when == When::Before => {
                    if sent == requests {
                        return Some(());
                    }
                    sent += 1;
                }
                Told::Done | Told::Refused(_) => return None,
                _ => {}
            }
        }
    }

    /// Goes on to the end, and gives what it says on the way.
    async fn end(mut self) -> Vec<Told> {
        let mut said = Vec::new();
        loop {
            let told = self.next().await;
            let ends = matches!(told, Told::Done | Told::Refused(_));
            said.push(told);
            if ends {
                self.participant.ended().await;
                return said;
            }
        }
    }

    async fn next(&mut self) -> Told {
        if self.waits {
            self.participant.say("").await;
        }
        let told = self.participant.told().await;
        self.waits = matches!(told, Told::Step(_));
        told
    }
}
