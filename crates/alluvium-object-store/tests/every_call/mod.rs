//! What the tests share in which every request of a run goes wrong in turn.

/// Does runs with a fault at the first call, at the second, and so on, until one ends without having come to it. Each gives
/// whether it has.
pub(crate) async fn at_every_call(at_least: u64, run: impl AsyncFn(u64) -> bool) {
    let mut call = 1;
    while run(call).await {
        call += 1;
    }
    assert!(call > at_least, "a run has made {call} calls");
}

/// A test for each way in which a call can go wrong, from an `async fn(Fault, u64) -> bool` that does a run with this fault at
/// this call, and gives whether it has come. A run makes so many calls at least.
macro_rules! faults {
    ($run:ident, at_least: $calls:literal) => {
        $crate::every_call::faults! { $run, $calls:
            a_call_that_fails Fail
            a_call_that_is_never_answered TimeOut
            a_call_that_is_done_and_the_answer_lost LoseTheAnswer
            a_crash_before_a_call CrashBefore
            a_crash_after_a_call CrashAfter
        }
    };
    ($run:ident, $calls:literal: $($name:ident $fault:ident)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let fault = ::alluvium_conformance::Fault::$fault;
            $crate::every_call::at_every_call($calls, async |call| $run(fault, call).await).await;
        }
    )*};
}
pub(crate) use faults;
