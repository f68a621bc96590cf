//! The control object's content comes back, and changes as it may.

use super::*;

fn e(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

const fn v(number: u64) -> AssignmentVersion {
    AssignmentVersion::new(number)
}

/// Raised to 2 with epochs 5 and 6 sealed under 0, then to 4 with 7 sealed under 2.
fn raised_twice() -> Control {
    let raised = Control::default().with_fence(v(2)).unwrap().unwrap();
    let decided = raised.decided([(e(5), v(0)), (e(6), v(0))]);
    let raised = decided.with_fence(v(4)).unwrap().unwrap();
    raised.decided([(e(5), v(0)), (e(7), v(2)), (e(8), v(0))])
}

#[test]
fn it_comes_back_and_is_never_the_same_bytes() {
    let count = VnodeCount::new(7).unwrap();
    let control = raised_twice()
        .with_count(count)
        .unwrap()
        .with_floor(e(6))
        .unwrap();
    let stored = encode(&control).unwrap();
    assert_eq!(decode(&stored).unwrap(), control);
    assert_ne!(encode(&control).unwrap(), stored);
}

#[test]
fn any_damage_is_found() {
    let stored = encode(&raised_twice()).unwrap();
    for length in 0..stored.len() {
        decode(&stored[..length]).unwrap_err();
    }
    for bit in 0..stored.len() * 8 {
        let mut damaged = stored.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // Of a space between two words, nothing depends.
        if let Ok(control) = decode(&damaged) {
            assert_eq!(control, raised_twice());
        }
    }
    for other in ["", "{}", "[]", "null", r#"{"format":1}"#, "\u{0}"] {
        assert!(
            matches!(decode(other.as_bytes()), Err(ControlError::NotOurs(_))),
            "{other}"
        );
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let newer = r#"{"format": 2, "anything": "else"}"#;
    assert!(matches!(
        decode(newer.as_bytes()),
        Err(ControlError::Newer { found: 2 })
    ));
}

#[test]
fn a_fence_only_rises() {
    let control = raised_twice();
    assert_eq!(control.with_fence(v(4)).unwrap(), None);
    assert!(matches!(
        control.with_fence(v(3)),
        Err(BackendError::StaleVersion { authoritative, .. }) if authoritative == v(4)
    ));
    let raised = control.with_fence(v(5)).unwrap().unwrap();
    assert!(!raised.is_decided());
    assert!(raised.revision > control.revision);
}

#[test]
fn seals_that_were_in_force_when_the_fence_rose_stay_in_force_and_no_others() {
    let control = raised_twice();
    for (epoch, fence, in_force) in [
        (5, 0, true),
        (6, 0, true),
        (7, 2, true),
        // It came when the fence was 2 already.
        (8, 0, false),
        (8, 4, true),
        (8, 3, false),
        (8, 5, false),
        // Another one was adopted.
        (5, 4, false),
    ] {
        let found = control.is_in_force(e(epoch), v(fence));
        assert_eq!(found, in_force, "epoch {epoch} under {fence}");
    }
    let undecided = control.with_fence(v(5)).unwrap().unwrap();
    assert!(!undecided.is_in_force(e(5), v(0)), "nobody knows yet");
    assert_eq!(control.newest_adopted(), Some(e(7)));
}

#[test]
fn of_two_seals_of_an_epoch_the_adopted_one_counts() {
    let control = raised_twice();
    let seals = BTreeSet::from([v(0), v(4)]);
    assert_eq!(control.seal_of(e(5), &seals), Some(v(0)));
    assert_eq!(control.seal_of(e(9), &seals), Some(v(4)));
    assert_eq!(control.seal_of(e(9), &BTreeSet::from([v(0)])), None);
}

#[test]
fn pruning_forgets_seals_and_only_rises() {
    let control = raised_twice().with_floor(e(7)).unwrap();
    assert_eq!(control.floor(), Some(e(7)));
    assert!(control.has_pruned(e(6)) && !control.has_pruned(e(7)));
    assert_eq!(control.seal_of(e(6), &BTreeSet::new()), None);
    assert_eq!(control.seal_of(e(7), &BTreeSet::new()), Some(v(2)));
    assert_eq!(control.with_floor(e(7)), None);
    assert_eq!(control.with_floor(e(3)), None);
    let late = control.with_fence(v(5)).unwrap().unwrap().decided([(e(6), v(4))]);
    assert_eq!(late.seal_of(e(6), &BTreeSet::new()), None, "below the floor");
}

#[test]
fn the_number_of_vnodes_is_settled_once() {
    let (seven, eight) = (VnodeCount::new(7).unwrap(), VnodeCount::new(8).unwrap());
    let control = Control::default();
    assert!(control.check_count(eight).is_ok());
    let control = control.with_count(seven).unwrap();
    assert_eq!(control.with_count(eight), None);
    assert!(control.check_count(seven).is_ok());
    let error = control.check_count(eight).unwrap_err().to_string();
    assert!(error.contains('7') && error.contains('8'), "{error}");
}
