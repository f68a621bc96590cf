//! Each answer, and the cost of many exports.

use super::*;
use crate::artifact::{Draft, PackId, SegmentInfo, SegmentRef};
use crate::{Digest, LogIdentity};

fn cursor(created: i64, sequence: u64) -> Cursor {
    let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(created));
    let sequence = Sequence::new(sequence);
    Cursor::start_of(log).at(
        sequence,
        Timestamp::from_nanos(1_000 + sequence.get().cast_signed()),
    )
}

/// The next artifact after `newest`, as `plan` says, of so many bytes.
fn next(newest: Option<&ArtifactManifest>, plan: &ExportPlan, at: &Cursor, bytes: u64) -> ArtifactManifest {
    let (runs, after, level) = match plan {
        ExportPlan::Base(_) => (Vec::new(), Sequence::ZERO, 0),
        ExportPlan::Delta { keep, after, level } => (newest.unwrap().runs[..*keep].to_vec(), *after, *level),
        other => panic!("{other:?} exports nothing"),
    };
    let draft = Draft {
        table: "routes".to_owned(),
        cursor: at.clone(),
        scope: Scope::all(),
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        runs,
        after,
        level,
        parent: None,
        created_ms: 0,
        exporter: "node-1".to_owned(),
    };
    let segment = SegmentRef {
        offset: 512,
        info: SegmentInfo {
            sha256: Digest::from_bytes([0; 32]),
            length: bytes,
            rows: 1,
            deletes: 0,
            first_key: "a".into(),
            last_key: "a".into(),
            first_sequence: at.sequence,
            last_sequence: at.sequence,
        },
    };
    draft
        .complete(Some(PackId::new(0, [0; 10])), vec![segment])
        .unwrap()
}

fn base(at: &Cursor, bytes: u64) -> ArtifactManifest {
    next(None, &ExportPlan::Base(BaseReason::First), at, bytes)
}

fn plan_with(
    newest: Option<&ArtifactManifest>,
    at: &Cursor,
    floor: Option<u64>,
    at_newest: Option<i64>,
) -> ExportPlan {
    plan_export(&ExportInput {
        newest,
        cursor: at,
        scope: &Scope::all(),
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        floor: floor.map(Sequence::new),
        at_newest: at_newest.map(Timestamp::from_nanos),
        policy: ExportPolicy::default(),
    })
}

#[test]
fn each_case_has_its_answer() {
    let newest = base(&cursor(1, 100), 1_000);
    let plan = |at: Cursor, floor, at_newest| plan_with(Some(&newest), &at, floor, at_newest);
    let delta = ExportPlan::Delta {
        keep: 1,
        after: Sequence::new(100),
        level: 0,
    };
    assert_eq!(plan(cursor(1, 120), Some(100), None), delta);
    assert_eq!(plan(cursor(1, 120), Some(50), Some(1_100)), delta);
    assert_eq!(
        plan(cursor(1, 120), Some(50), Some(1_101)),
        ExportPlan::Base(BaseReason::HistoryChanged)
    );
    assert_eq!(
        plan(cursor(1, 120), Some(101), None),
        ExportPlan::Base(BaseReason::Trimmed)
    );
    assert_eq!(
        plan(cursor(1, 120), None, None),
        ExportPlan::Base(BaseReason::NotTracked)
    );
    assert_eq!(plan(cursor(1, 100), Some(0), None), ExportPlan::Unchanged);
    assert_eq!(plan(cursor(1, 99), Some(0), None), ExportPlan::Superseded);
    assert_eq!(plan(cursor(0, 200), Some(0), None), ExportPlan::Superseded);
    assert_eq!(
        plan(cursor(2, 5), Some(0), None),
        ExportPlan::Base(BaseReason::LogReplaced)
    );
    let mut other = cursor(1, 100);
    other.timestamp = Timestamp::from_nanos(7);
    assert_eq!(
        plan(other.clone(), Some(0), None),
        ExportPlan::Base(BaseReason::HistoryChanged)
    );
    other.log.name = "KV_flags".to_owned();
    assert!(matches!(
        plan(other, Some(0), None),
        ExportPlan::Refuse(Unfit::OtherLog { .. })
    ));
    assert_eq!(
        plan_with(None, &cursor(1, 100), Some(0), None),
        ExportPlan::Base(BaseReason::First)
    );
    let empty = base(&cursor(1, 1), 1_000);
    let narrow = Scope::of(["a.>"]).unwrap();
    let input = ExportInput {
        newest: Some(&empty),
        cursor: &cursor(1, 9),
        scope: &narrow,
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        floor: None,
        at_newest: None,
        policy: ExportPolicy::default(),
    };
    assert!(matches!(
        plan_export(&input),
        ExportPlan::Refuse(Unfit::Scope { .. })
    ));
    let input = ExportInput {
        scope: &Scope::all(),
        mode: Mode::Archive,
        ..input
    };
    assert!(matches!(
        plan_export(&input),
        ExportPlan::Refuse(Unfit::Mode { .. })
    ));
}

/// Of two archives of one log, the one that has seen more is never replaced by the other.
#[test]
fn an_archive_that_has_seen_less_exports_nothing_over_one_that_has_seen_more() {
    let delta = ExportPlan::Delta {
        keep: 1,
        after: Sequence::new(100),
        level: 0,
    };
    let (early, late) = (Some(Sequence::new(10)), Some(Sequence::new(50)));
    let more = ExportPlan::Base(BaseReason::SeenMore);
    // Of the newest artifact, then of the table.
    for (newest, table, expected) in [
        ((true, None), (true, None), &delta),
        ((true, early), (true, early), &delta),
        ((false, None), (true, None), &delta),
        ((false, None), (false, None), &delta),
        ((true, early), (true, late), &ExportPlan::KeepsMore),
        ((true, None), (true, late), &ExportPlan::KeepsMore),
        ((true, None), (false, None), &ExportPlan::KeepsMore),
        ((true, late), (true, early), &more),
        ((true, late), (true, None), &more),
    ] {
        let answer = |mode| {
            let mut artifact = base(&cursor(1, 100), 1_000);
            artifact.mode = mode;
            (artifact.has_evicted, artifact.since) = newest;
            plan_export(&ExportInput {
                newest: Some(&artifact),
                cursor: &cursor(1, 120),
                scope: &Scope::all(),
                mode,
                has_evicted: table.0,
                since: table.1,
                floor: Some(Sequence::new(100)),
                at_newest: None,
                policy: ExportPolicy::default(),
            })
        };
        assert_eq!(answer(Mode::Archive), *expected, "{newest:?} {table:?}");
        // What its log forgets, a mirror should not have.
        assert_eq!(answer(Mode::Mirror), delta, "{newest:?} {table:?}");
    }
}

/// Ten thousand exports of one byte each on a base of a million: a reader merges few runs, and what was uploaded is a small
/// multiple of what changed.
#[test]
fn many_exports_make_few_runs_and_upload_each_change_a_few_times() {
    let mut newest = base(&cursor(1, 1), 1_000_000);
    let mut uploaded = 0;
    for sequence in 2..=10_001 {
        let at = cursor(1, sequence);
        let plan = plan_with(Some(&newest), &at, Some(1), None);
        let ExportPlan::Delta { after, .. } = plan else {
            panic!("{plan:?} at {sequence}")
        };
        let bytes = sequence - after.get();
        uploaded += bytes;
        newest = next(Some(&newest), &plan, &at, bytes);
        assert!(newest.runs.len() <= 1 + 7 * 5, "{} runs", newest.runs.len());
    }
    assert_eq!(
        newest.deltas().iter().map(Run::bytes).sum::<u64>(),
        10_000,
        "each change is in one run"
    );
    assert!(uploaded <= 10_000 * 6, "{uploaded} bytes for 10,000 changes");
}

#[test]
fn a_fold_reaches_no_further_back_than_the_table_knows() {
    let mut newest = base(&cursor(1, 1), 1_000_000);
    for sequence in 2..=8 {
        let at = cursor(1, sequence);
        let plan = plan_with(Some(&newest), &at, Some(1), None);
        newest = next(Some(&newest), &plan, &at, 1);
    }
    let at = cursor(1, 9);
    let fold = ExportPlan::Delta {
        keep: 1,
        after: Sequence::new(1),
        level: 1,
    };
    assert_eq!(plan_with(Some(&newest), &at, Some(1), None), fold);
    let plain = ExportPlan::Delta {
        keep: 8,
        after: Sequence::new(8),
        level: 0,
    };
    assert_eq!(plan_with(Some(&newest), &at, Some(2), None), plain);
}

#[test]
fn deltas_that_outgrow_their_share_end_in_a_new_base() {
    let first = base(&cursor(1, 1), 1_000);
    let mut newest = first;
    for (sequence, bytes) in [(2, 400), (3, 100), (4, 1)] {
        let at = cursor(1, sequence);
        let plan = plan_with(Some(&newest), &at, Some(1), None);
        assert!(matches!(plan, ExportPlan::Delta { .. }), "{plan:?}");
        newest = next(Some(&newest), &plan, &at, bytes);
    }
    assert_eq!(
        plan_with(Some(&newest), &cursor(1, 5), Some(1), None),
        ExportPlan::Base(BaseReason::Outgrown)
    );
}
