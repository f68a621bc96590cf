//! Many sealers of one epoch, in several processes, all at once.

use std::collections::BTreeSet;

use alluvium::{Epoch, InstanceId, Vnode};
use futures_util::future::join_all;

use crate::StoreServer;
use crate::participant::{Answer, Part, Participant, Place, Refusal, Told, partial};

const PROCESSES: usize = 4;
const HANDLES: usize = 8;

/// The name of a handle.
fn name(process: usize, handle: usize) -> InstanceId {
    InstanceId::new(&format!("process-{process}.handle-{handle}")).unwrap()
}

/// Exactly one of all handles seals each epoch, all others are told which, and what was sealed is whole.
///
/// # Panics
///
/// If it is not so.
pub async fn of_32_racing_sealers_one_wins(server: &dyn StoreServer, program: &'static str) {
    let rounds = if crate::full() { 200 } else { 20 };
    let place = Place::new(server, program);
    let vnodes = place.vnodes();
    let shares: Vec<&[Vnode]> = vnodes.chunks(vnodes.len().div_ceil(PROCESSES)).collect();
    assert_eq!(shares.len(), PROCESSES, "every process has vnodes to write");
    let mut processes = Vec::new();
    for (process, share) in shares.iter().enumerate() {
        let part = Part::Race {
            instances: (0..HANDLES).map(|handle| name(process, handle)).collect(),
            vnodes: share.to_vec(),
        };
        processes.push(place.participant(part).await);
    }
    all_tell(&mut processes, &Told::Opened).await;
    let reader = place.open("reader").await;
    for number in 1..=rounds {
        let epoch = Epoch::new(number).unwrap();
        say_to_all(&mut processes, &number.to_string()).await;
        all_tell(&mut processes, &Told::Wrote(epoch)).await;
        say_to_all(&mut processes, "go").await;
        let answers = join_all(processes.iter_mut().map(Participant::told)).await;
        check_one_winner(epoch, answers);
        assert_eq!(reader.latest_complete().await.unwrap(), Some(epoch));
        for (process, share) in shares.iter().enumerate() {
            for vnode in *share {
                let found = reader.read_partial(*vnode, epoch).await.unwrap();
                let wanted = partial(&name(process, 0), epoch, *vnode);
                assert_eq!(found, Some(wanted), "vnode {vnode} of epoch {epoch}");
            }
        }
    }
    say_to_all(&mut processes, "enough").await;
    all_tell(&mut processes, &Told::Done).await;
    for process in processes {
        process.ended().await;
    }
}

fn check_one_winner(epoch: Epoch, told: Vec<Told>) {
    let answers: Vec<Answer> = told
        .into_iter()
        .flat_map(|told| match told {
            Told::Raced(answers) => answers,
            told => panic!("epoch {epoch}: a process says {told:?} instead of how the race went"),
        })
        .collect();
    let (mut winners, mut losers, mut committers) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for answer in answers {
        match answer {
            Answer::Sealed(instance) => winners.push(instance),
            Answer::Refused(instance, Refusal::SplitBrainCommit { committer }) => {
                losers.insert(instance);
                committers.insert(committer);
            }
            answer @ Answer::Refused(..) => panic!("epoch {epoch}: {answer:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "epoch {epoch} was sealed by {winners:?}");
    assert_eq!(
        losers.len(),
        PROCESSES * HANDLES - 1,
        "epoch {epoch}: every loser is told"
    );
    assert!(
        committers.iter().eq(&winners),
        "epoch {epoch} was sealed by {winners:?}, and the losers were told {committers:?}"
    );
}

async fn say_to_all(processes: &mut [Participant], line: &str) {
    for process in processes {
        process.say(line).await;
    }
}

async fn all_tell(processes: &mut [Participant], wanted: &Told) {
    for process in processes {
        assert_eq!(process.told().await, *wanted);
    }
}
