//! What is stored in binary comes back, and what is damaged never does.

use proptest::prelude::*;

use super::*;
use crate::backend::frame::{decode, encode};

fn name(attempt: u64, instance: &str) -> PartialsName {
    PartialsName {
        attempt,
        instance: InstanceId::new(instance).unwrap(),
        writer: Uuid::from_u128(7),
        index_bytes: 100 + u32::try_from(attempt).unwrap(),
    }
}

fn entry(vnode: u32, offset: u64) -> Entry {
    Entry {
        vnode: Vnode::new(vnode),
        version: AssignmentVersion::new(u64::MAX),
        object: 0,
        offset,
        length: 5,
        digest: crate::digest::of(&offset.to_be_bytes()),
    }
}

fn seal() -> Seal {
    let partials = [
        (name(1, "a"), entry(3, 0)),
        (name(2, "b"), entry(1, 0)),
        (name(1, "a"), entry(2, 5)),
    ];
    Seal::new(
        Epoch::LAST,
        AssignmentVersion::new(9),
        InstanceId::new("a").unwrap(),
        partials,
    )
}

#[test]
fn an_index_carries_what_was_written_before_and_still_counts() {
    let first = (name(1, "a"), Index::new(vec![entry(0, 0), entry(1, 5)], None));
    let second = (
        name(2, "a"),
        Index::new(vec![entry(2, 0)], Some((&first.0, &first.1))),
    );
    let third = (
        name(3, "a"),
        Index::new(vec![entry(1, 0)], Some((&second.0, &second.1))),
    );
    let read: Index = decode(&encode(&third.1).unwrap()).unwrap();
    let objects: Vec<_> = read
        .entries
        .iter()
        .map(|entry| (entry.vnode.get(), read.object(entry, &third.0)))
        .collect();
    assert_eq!(
        objects,
        [(0, first.0.clone()), (1, third.0.clone()), (2, second.0.clone())]
    );
    let all = vec![entry(0, 0), entry(1, 0), entry(2, 0)];
    let last = Index::new(all, Some((&third.0, &third.1)));
    assert_eq!(last.earlier, [], "what nothing is left of is not named");
    let range = read.entry(Vnode::new(0)).unwrap().range(&first.0);
    assert_eq!(range, 101..106, "behind the object's own index");
}

#[test]
fn a_seal_names_the_object_of_each_partial() {
    let seal: Seal = decode(&encode(&seal()).unwrap()).unwrap();
    for (vnode, object, offset) in [(1, name(2, "b"), 0), (2, name(1, "a"), 5), (3, name(1, "a"), 0)] {
        let (name, found) = seal.partial(Vnode::new(vnode)).unwrap();
        assert_eq!((name, found.offset), (&object, offset));
    }
    assert_eq!(seal.partial(Vnode::new(0)), None);
    assert_eq!(seal.objects.len(), 2);
}

#[test]
fn two_seals_of_the_same_are_different_objects() {
    assert_ne!(encode(&seal()).unwrap(), encode(&seal()).unwrap());
}

#[test]
fn a_frame_that_is_cut_off_anywhere_is_refused() {
    let frame = encode(&seal()).unwrap();
    for length in 0..frame.len() {
        decode::<Seal>(&frame[..length]).unwrap_err();
    }
    let longer = [&frame[..], b"x"].concat();
    decode::<Seal>(&longer).unwrap_err();
}

#[test]
fn a_frame_of_which_any_bit_is_turned_over_is_refused() {
    let frame = encode(&seal()).unwrap();
    for bit in 0..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        decode::<Seal>(&damaged).unwrap_err();
    }
}

#[test]
fn one_kind_is_not_read_as_another() {
    let frame = encode(&seal()).unwrap();
    assert!(matches!(decode::<Index>(&frame), Err(FrameError::NotOurs)));
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut frame = encode(&seal()).unwrap();
    frame[9] += 1;
    assert!(matches!(
        decode::<Seal>(&frame),
        Err(FrameError::Newer { found: 2 })
    ));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let unsorted = Index {
        earlier: Vec::new(),
        entries: vec![entry(1, 0), entry(0, 0)],
    };
    let twice = Index {
        entries: vec![entry(1, 0), entry(1, 5)],
        ..unsorted.clone()
    };
    let unknown = Index {
        entries: vec![Entry {
            object: 1,
            ..entry(0, 0)
        }],
        ..unsorted.clone()
    };
    let beyond = Index {
        entries: vec![entry(0, u64::MAX)],
        ..unsorted.clone()
    };
    for index in [unsorted, twice, unknown, beyond] {
        let error = decode::<Index>(&encode(&index).unwrap()).unwrap_err();
        assert!(matches!(error, FrameError::Senseless(_)), "{index:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode::<Index>(&bytes).is_err());
        prop_assert!(decode::<Seal>(&bytes).is_err());
    }

    /// With a checksum that is right, so that what is inside is looked at.
    #[test]
    fn no_body_makes_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for magic in [Index::MAGIC, Seal::MAGIC] {
            let length = u32::try_from(body.len()).unwrap().to_be_bytes();
            let mut frame = [&magic[..], &[0, 1], &length, &body].concat();
            let checksum = crate::digest::of(&frame);
            frame.extend_from_slice(checksum.as_bytes());
            let _ = decode::<Index>(&frame);
            let _ = decode::<Seal>(&frame);
        }
    }
}
