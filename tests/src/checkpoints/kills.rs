//! A participant that is killed again and again while it takes checkpoints and prunes.

use super::witness::Witness;
use crate::StoreServer;
use crate::feed::Random;
use crate::participant::state::ROUND;
use crate::participant::{Part, Participant, Place, Step, Told};

/// Turns of a loop, within which the kill comes after a report: about as long as a checkpoint takes.
const PAUSE: u64 = 3_000_000;

/// Killed before and after each request in turn: first of a prune, then of a round of checkpoints and the prune after
/// them. The short form leaves out most of them.
///
/// # Panics
///
/// If a kill leaves anything else than whole checkpoints and bounded garbage.
pub async fn a_kill_at_any_request_leaves_whole_checkpoints(server: &dyn StoreServer, program: &'static str) {
    let stride = if crate::full() { 1 } else { 9 };
    let place = Place::new(server, program);
    let mut witness = Witness::open(&place);
    let mut steps = Vec::new();
    for prunes in 0..=1 {
        let mut number = 0;
        while let Some(step) = killed_at(&place, &mut witness, prunes, number).await {
            steps.push(step);
            number += stride;
        }
    }
    // A file is put, a part is sent, and the manifest and the pointer are put under a condition.
    let writes = steps.iter().filter(|step| step.request.writes()).count();
    assert!(
        writes * stride >= 8 * ROUND && steps.len() * stride >= 50,
        "killed at {steps:#?} only"
    );
    eprintln!("{} kills", steps.len());
    witness.after_all().await;
}

/// Killed at random instants.
///
/// # Panics
///
/// If a kill leaves anything else than whole checkpoints and bounded garbage.
pub async fn a_kill_at_any_instant_leaves_whole_checkpoints(server: &dyn StoreServer, program: &'static str) {
    let kills = if crate::full() { 100 } else { 8 };
    let place = Place::new(server, program);
    let mut witness = Witness::open(&place);
    let mut random = Random(23);
    for kill in 0..kills {
        let mut participant = place.participant(part(false)).await;
        for _ in 0..=random.below(8) {
            let told = participant.told().await;
            hear(&mut witness, &mut participant, &told).await;
        }
        for _ in 0..random.below(PAUSE) {
            std::hint::spin_loop();
        }
        let told = participant.kill().await;
        witness.after_kill(&told, &format!("after kill {kill}")).await;
    }
    witness.after_all().await;
}

/// Kills a new participant at the step of this number, counted from 0 after so many prunes: the more was left of others, the
/// more steps the first one has. None if it has pruned once more in fewer steps: then there is no step left.
async fn killed_at(place: &Place, witness: &mut Witness, prunes: usize, number: usize) -> Option<Step> {
    let mut participant = place.participant(part(true)).await;
    let (mut steps, mut times) = (0, 0);
    loop {
        match participant.told().await {
            Told::Step(step) if times == prunes && steps == number => {
                let told = participant.kill().await;
                let when = format!("killed at step {number} after {prunes} prunes, {step}");
                witness.after_kill(&told, &when).await;
                return Some(step);
            }
            Told::Step(_) => {
                steps += usize::from(times == prunes);
                participant.say("").await;
            }
            told => {
                times += usize::from(matches!(told, Told::Pruned(_)));
                if times > prunes {
                    let told = participant.kill().await;
                    witness.after_kill(&told, "at the end").await;
                    return None;
                }
                hear(witness, &mut participant, &told).await;
            }
        }
    }
}

/// Has the witness hear what a living participant tells, and look at what it waits for.
async fn hear(witness: &mut Witness, participant: &mut Participant, told: &Told) {
    witness.hear(told);
    if let Told::Pruned(abandoned) = told {
        witness.after_prune(abandoned).await;
        participant.say("").await;
    }
}

fn part(asks: bool) -> Part {
    Part::Checkpoints { prunes: true, asks }
}
