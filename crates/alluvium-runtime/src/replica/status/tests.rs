//! Which state it is, since when, and what reason is given for it.

use alluvium_core::{Hindrance, LogError, LogIdentity, Timestamp};

use super::*;

fn lost() -> ReplicaError {
    let source = "connection refused".into();
    LogError::Unavailable {
        log: "KV_b".to_owned(),
        doing: "reading",
        source,
    }
    .into()
}

fn refusal() -> RefuseReason {
    RefuseReason::Archive {
        log: "KV_b".to_owned(),
        cause: ReconcileReason::Overrun,
        artifact: Hindrance::None,
    }
}

fn restore(reason: RestoreReason) -> Plan {
    let artifact = Cursor::start_of(LogIdentity::new("KV_b", Timestamp::from_nanos(1)));
    Plan::Restore { reason, artifact }
}

fn with(plan: Plan) -> Status {
    let mut status = Status::starting(None);
    status.bootstrap = Some(BootstrapStatus::default());
    status.decided(plan, 7);
    status
}

#[test]
fn every_state_that_needs_one_has_a_reason() {
    let mut status = with(Plan::Resume {
        from: Sequence::FIRST,
    });
    assert_eq!((status.state, status.why()), (State::Filling, None));
    status.enter(State::Live);
    assert_eq!(status.why(), None);

    status.not_heard_since(Instant::now(), lost());
    assert!(
        status
            .why()
            .is_some_and(|why| why.ends_with("connection refused"))
    );

    let plan = Plan::Reconcile(ReconcileReason::TailLost);
    let mut status = with(plan.clone());
    status.takes(&plan);
    assert_eq!(status.why(), Some(ReconcileReason::TailLost.to_string()));
    let progress = status.reconcile.unwrap();
    assert_eq!((progress.listed, progress.of), (0, 7));

    let mut status = with(restore(RestoreReason::Overrun));
    status.fills_from_an_artifact();
    assert_eq!(status.state, State::Restoring);
    assert_eq!(status.why(), Some(RestoreReason::Overrun.to_string()));
    let error = Arc::new(BootstrapError::Stopped);
    status.bootstrap.get_or_insert_default().error = Some(error);
    let expected = format!("{}; the bootstrap was stopped", RestoreReason::Overrun);
    assert_eq!(status.why(), Some(expected));

    let mut status = with(Plan::Refuse(refusal()));
    status.enter(State::Refused);
    assert_eq!(status.why(), Some(refusal().to_string()));

    status.error = Some(lost());
    status.enter(State::Failed);
    assert!(
        status
            .why()
            .is_some_and(|why| why.ends_with("connection refused"))
    );
}

#[test]
fn an_empty_table_and_one_far_behind_are_bootstrapped_and_others_restored() {
    for reason in [
        RestoreReason::Interrupted,
        RestoreReason::LogReplaced,
        RestoreReason::TailLost,
        RestoreReason::HistoryChanged,
        RestoreReason::Overrun,
    ] {
        let mut status = with(restore(reason));
        status.fills_from_an_artifact();
        assert_eq!(status.state, State::Restoring, "{reason:?}");
    }
    let far_behind = Plan::Resume {
        from: Sequence::new(5),
    };
    for plan in [restore(RestoreReason::Empty), far_behind] {
        let mut status = with(plan);
        status.fills_from_an_artifact();
        assert_eq!(status.state, State::Bootstrapping);
        assert!(status.why().is_some());
    }
}

#[test]
fn who_waits_for_a_store_tells_what_it_is_asked_for() {
    let mut status = Status::starting(None);
    status.asks_a_store(&Plan::Refuse(refusal()));
    status.fills_from_an_artifact();
    assert_eq!(status.state, State::Restoring);
    assert_eq!(status.why(), Some(ReconcileReason::Overrun.to_string()));
    // Answered.
    status.decided(restore(RestoreReason::Overrun), 7);
    assert_eq!(status.why(), Some(RestoreReason::Overrun.to_string()));

    let mut status = Status::starting(None);
    status.asks_a_store(&Plan::Resume {
        from: Sequence::FIRST,
    });
    status.fills_from_an_artifact();
    assert_eq!(status.state, State::Bootstrapping);
    assert_eq!(status.why(), Some("the table is empty".to_owned()));
}

#[test]
fn what_is_heard_again_goes_on_with_what_it_was_at() {
    let reconcile = Plan::Reconcile(ReconcileReason::LogReplaced);
    let resume = Plan::Resume {
        from: Sequence::FIRST,
    };
    let at = |plan: &Plan, begin: &dyn Fn(&mut Status)| {
        let mut status = with(plan.clone());
        begin(&mut status);
        let before = (status.state, status.reconcile);
        status.not_heard_since(Instant::now(), lost());
        assert_eq!(status.state, State::Stalled);
        assert!(status.error.is_some());
        status.heard(State::Filling);
        assert_eq!((status.state, status.reconcile), before);
        assert!(status.error.is_none());
    };
    at(&resume, &|status| status.takes(&resume));
    at(&reconcile, &|status| status.takes(&reconcile));
    at(&Plan::Refuse(refusal()), &|status| status.enter(State::Refused));
    at(&restore(RestoreReason::Overrun), &|status| {
        status.bootstrap.get_or_insert_default().progress = Some(BootstrapProgress::default());
        status.fills_from_an_artifact();
    });
    // A reconcile that is over is not gone on with.
    let mut status = with(reconcile.clone());
    status.takes(&reconcile);
    status.enter(State::Filling);
    status.not_heard_since(Instant::now(), lost());
    status.heard(State::Live);
    assert_eq!((status.state, status.reconcile), (State::Live, None));
}

#[test]
fn it_is_stalled_since_the_log_was_heard_last() {
    let mut status = Status::starting(None);
    let begun = status.since;
    let heard = Instant::now();
    status.not_heard_since(heard, lost());
    assert_eq!(status.since, heard);
    // It stays so.
    status.not_heard_since(Instant::now(), lost());
    assert_eq!(status.since, heard);

    // Not before it was in the state before that.
    let mut status = Status::starting(None);
    status.not_heard_since(begun, lost());
    assert!(status.since >= begun);
    let since = status.since;
    status.heard(State::Live);
    assert!(status.since >= since);
}

#[test]
fn a_reconcile_that_begins_again_has_gone_on_all_the_time() {
    let plan = Plan::Reconcile(ReconcileReason::LogReplaced);
    let mut status = with(plan.clone());
    status.takes(&plan);
    let since = status.since;
    status.reconcile.get_or_insert_default().listed = 5;
    let again = Plan::Reconcile(ReconcileReason::Interrupted);
    status.decided(again.clone(), 9);
    status.takes(&again);
    assert_eq!(status.since, since);
    assert_eq!(status.reconcile, Some(ReconcileProgress { listed: 0, of: 9 }));
}
