//! Checkpoints that a participant takes one after the other, and is killed at every step; and two that race for `_latest`.
//! The first and fifth obligation of a `Checkpointer`, and what a kill leaves is removed.

mod kills;
mod race;
mod witness;

pub use self::kills::{
    a_kill_at_any_instant_leaves_whole_checkpoints, a_kill_at_any_request_leaves_whole_checkpoints,
};
pub use self::race::latest_never_goes_back_while_two_race;

/// Every proof, a named test each: on the server that the expression gives.
#[macro_export]
macro_rules! checkpoint_suite {
    ($server:expr) => {
        $crate::checkpoint_suite! { @tests $server,
            a_kill_at_any_request_leaves_whole_checkpoints
            a_kill_at_any_instant_leaves_whole_checkpoints
            latest_never_goes_back_while_two_race
        }
    };
    (@tests $server:expr, $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::checkpoints::$name($server, env!("CARGO_BIN_EXE_participant")).await;
        }
    )*};
}
