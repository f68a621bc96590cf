//! The decision over its whole input space, against worlds that are lived through.

mod grid;
mod oracle;
mod world;

use std::collections::HashMap;

use self::grid::every_input;
use self::oracle::judgements;
use super::*;
use crate::LogIdentity;

/// Every input is decided, and wherever there are worlds that look like it, the decision is right in all of them: what is
/// done leads to the truth, nothing is done that reading on would have spared, and nothing is refused that could be mended.
#[test]
fn every_input_is_decided_as_the_worlds_demand() {
    let judgements = judgements();
    let (mut inputs, mut lived, mut kinds) = (0_u32, 0_usize, HashMap::<&str, u32>::new());
    every_input(|facts| {
        inputs += 1;
        let decided = facts.plan();
        facts.check_form(&decided);
        if let Some(judgement) = judgements.get(facts) {
            lived += 1;
            judgement.check(facts, &decided);
            let kind = match decided {
                Plan::Resume { .. } => "resume",
                Plan::Reconcile(_) => "reconcile",
                Plan::Restore { .. } => "restore",
                Plan::Refuse(_) => "refuse",
            };
            *kinds.entry(kind).or_default() += 1;
        }
    });
    println!("{inputs} inputs, {lived} of them lived through: {kinds:?}");
    assert_eq!(lived, judgements.len(), "every world is among the inputs");
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

fn bounds(first: u64, last: u64) -> Bounds {
    Bounds {
        log: LogIdentity::new("KV_a", Timestamp::from_nanos(100)),
        first: Sequence::new(first),
        last: Sequence::new(last),
        messages: (last + 1).saturating_sub(first),
        bytes: 0,
        retention: Retention::default(),
    }
}

#[test]
fn a_table_of_another_log_is_refused_whatever_else() {
    let bounds = bounds(1, 0);
    let cursor = Cursor::start_of(LogIdentity::new("KV_b", bounds.log.created));
    for mode in [Mode::Mirror, Mode::Archive] {
        for (bound_to, cursor) in [(Some("KV_b"), None), (None, Some(&cursor))] {
            for has_rows in [false, true] {
                let input = PlanInput {
                    bound_to,
                    scope: &Scope::all(),
                    mode,
                    cursor,
                    has_rows,
                    has_evicted: false,
                    vanished: false,
                    bounds: &bounds,
                    at_cursor: None,
                    newest: None,
                };
                let decided = plan(&input);
                let Plan::Refuse(reason) = &decided else {
                    panic!("{input:?}: {decided:?}");
                };
                assert_eq!(
                    reason.to_string(),
                    "the state is of KV_b, not of KV_a: use another state directory"
                );
            }
        }
    }
}
