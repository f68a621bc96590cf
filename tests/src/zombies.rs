//! Two processes that share only a store. One is the zombie: it was stopped, and goes on as if nothing had happened
//! after the other has taken its place. The fifth obligation of a `StateBackend`, and the third and fourth with it.
//!
//! Every takeover is tried at every step of the zombie's open, write and seal in turn: right before each request that
//! it sends to the store, and right after each was answered, it is stopped with SIGSTOP. After the takeover it is
//! continued with SIGCONT, and nothing that it writes from then on may ever be read.

mod half_raised;
mod race;
mod second;
mod takeover;

use self::takeover::{Takeover, at_every_step};
use crate::StoreServer;

pub use self::half_raised::what_a_sealer_was_told_holds_wherever_a_fence_was_half_raised;
pub use self::race::of_32_racing_sealers_one_wins;

/// Every proof, a named test each: on the server that the expression gives.
#[macro_export]
macro_rules! zombie_suite {
    ($server:expr) => {
        $crate::zombie_suite! { @tests $server,
            a_zombie_whose_place_was_taken_is_refused
            a_zombie_whose_epochs_were_pruned_is_refused
            a_zombie_writes_in_vain_between_the_fence_and_its_successor
            a_zombie_that_writes_last_is_not_sealed
            a_zombie_fenced_before_its_first_write_is_refused
            a_zombie_that_nobody_fenced_does_not_seal_again
            what_a_sealer_was_told_holds_wherever_a_fence_was_half_raised
            of_32_racing_sealers_one_wins
        }
    };
    (@tests $server:expr, $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::zombies::$name($server, env!("CARGO_BIN_EXE_participant")).await;
        }
    )*};
}

/// The other raises the fence, writes and seals the zombie's epoch and later ones.
///
/// # Panics
///
/// If something of the zombie is read, or the zombie is not refused.
pub async fn a_zombie_whose_place_was_taken_is_refused(server: &dyn StoreServer, program: &'static str) {
    at_every_step(server, program, Takeover::Seals).await;
}

/// The other does the same, and prunes all but the last of its epochs: what the zombie writes to those before is no
/// epoch come back.
///
/// # Panics
///
/// If something of the zombie is read, or the zombie is not refused.
pub async fn a_zombie_whose_epochs_were_pruned_is_refused(server: &dyn StoreServer, program: &'static str) {
    at_every_step(server, program, Takeover::SealsAndPrunes).await;
}

/// The other raises the fence and does no more until the zombie has ended: the fence alone refuses it.
///
/// # Panics
///
/// If something of the zombie is read, or the zombie is not refused.
pub async fn a_zombie_writes_in_vain_between_the_fence_and_its_successor(
    server: &dyn StoreServer,
    program: &'static str,
) {
    at_every_step(server, program, Takeover::Fences).await;
}

/// The other raises the fence and writes, and seals only when the zombie has written too: the last write counts, and
/// the zombie's does not.
///
/// # Panics
///
/// If something of the zombie is read, or the zombie is not refused.
pub async fn a_zombie_that_writes_last_is_not_sealed(server: &dyn StoreServer, program: &'static str) {
    at_every_step(server, program, Takeover::WritesBeforeTheZombie).await;
}

/// The fence was raised when the zombie had opened its backend and written nothing; the other writes and seals later.
///
/// # Panics
///
/// If something of the zombie is read, or the zombie is not refused.
pub async fn a_zombie_fenced_before_its_first_write_is_refused(
    server: &dyn StoreServer,
    program: &'static str,
) {
    at_every_step(server, program, Takeover::FencesBeforeTheZombieWrites).await;
}

/// The other seals first, and nobody raises a fence: the seal alone refuses the zombie.
///
/// # Panics
///
/// If something of the zombie is read, or the zombie is not refused.
pub async fn a_zombie_that_nobody_fenced_does_not_seal_again(
    server: &dyn StoreServer,
    program: &'static str,
) {
    at_every_step(server, program, Takeover::SealsWithoutAFence).await;
}
