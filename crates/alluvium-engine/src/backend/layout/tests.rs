//! Keys sort as they should, and no bytes on a disk make a decoder panic.

use proptest::prelude::*;

use super::*;

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn partial(number: u8) -> Partial {
    Partial {
        version: AssignmentVersion::new(u64::from(number) << 40),
        run: epoch(u64::from(number) + 1),
        slot: Slot(number % 2),
        length: 1 << number,
        digest: Digest::from_bytes([number; 32]),
    }
}

fn seal() -> Seal {
    let instance = InstanceId::new("node-1").unwrap();
    let partials = [0, 3, 7].map(|number| (Vnode::new(number.into()), partial(number)));
    Seal::new(instance, partials.into())
}

fn head() -> Head {
    Head {
        vnodes: Some(VnodeCount::new(8).unwrap()),
        fence: AssignmentVersion::new(300),
        floor: Some(epoch(70_000)),
        ..Head::default()
    }
}

#[test]
fn records_are_read_as_they_were_written() {
    for head in [head(), Head::default()] {
        assert_eq!(decode::<Head>(&encode(&head)).unwrap(), head);
    }
    assert_eq!(decode::<Seal>(&encode(&seal())).unwrap(), seal());
    assert_eq!(Partial::decode(&partial(9).encode()).unwrap(), partial(9));
}

#[test]
fn a_seal_knows_its_partials_and_no_others() {
    let seal = seal();
    assert_eq!(seal.partial(Vnode::new(3)), Some(partial(3)));
    assert_eq!(seal.partial(Vnode::new(4)), None);
}

#[test]
fn a_record_cut_off_anywhere_is_undecodable() {
    let (head, seal, partial) = (encode(&head()), encode(&seal()), partial(5).encode());
    let undecodable = |error: Option<RecordError>| matches!(error, Some(RecordError::Undecodable(_)));
    for length in 0..head.len() {
        assert!(undecodable(decode::<Head>(&head[..length]).err()), "{length}");
    }
    for length in 0..seal.len() {
        assert!(undecodable(decode::<Seal>(&seal[..length]).err()), "{length}");
    }
    for length in 0..partial.len() {
        assert!(undecodable(Partial::decode(&partial[..length]).err()), "{length}");
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let newer = Head {
        format: 2,
        ..Head::default()
    };
    let error = decode::<Head>(&encode(&newer)).unwrap_err();
    assert!(matches!(error, RecordError::Newer { found: 2 }), "{error:?}");
}

#[test]
fn the_newest_epoch_comes_first_and_vnodes_rise() {
    let keys = [
        (u64::MAX - 1, 0),
        (256, 0),
        (256, 1),
        (256, 256),
        (255, 0),
        (1, 65_535),
    ];
    let keys = keys.map(|(number, vnode)| record_key(epoch(number), Vnode::new(vnode)));
    assert!(keys.is_sorted());
    assert!(seal_key(Epoch::FIRST) < keys[0]);
    assert!(HEAD < &seal_key(Epoch::LAST)[..]);
}

#[test]
fn names_of_runs_are_those_that_are_made() {
    assert_eq!(run_of(&run_name(epoch(12))), Some(epoch(12)));
    for other in [
        "partials",
        "partials.",
        "partials.0",
        "partials.01",
        "partials.+1",
        "table.partials.1",
    ] {
        assert_eq!(run_of(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn keys_tell_what_they_are_of(number in 1..u64::MAX, vnode in 0_u32..65_536, other in 1..u64::MAX) {
        let (at, vnode, floor) = (epoch(number), Vnode::new(vnode), epoch(other));
        let (record, seal) = (record_key(at, vnode), seal_key(at));
        prop_assert_eq!(epoch_of(&record).unwrap(), at);
        prop_assert_eq!(vnode_of(&record).unwrap(), vnode);
        prop_assert_eq!(epoch_of(&seal).unwrap(), at);
        prop_assert!(records().contains(&record) && !seals().contains(&record));
        prop_assert!(seals().contains(&seal) && !records().contains(&seal));
        prop_assert_eq!(records_below(floor).contains(&record), at < floor);
        prop_assert_eq!(seals_below(floor).contains(&seal), at < floor);
        prop_assert!(!records_below(at).contains(&record) && !seals_below(at).contains(&seal));
        prop_assert!(records_of(at).contains(&record));
        prop_assert_eq!(records_of(floor).contains(&record), at == floor);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Head>(&bytes);
        let _ = decode::<Seal>(&bytes);
        let _ = Partial::decode(&bytes);
        let _ = (epoch_of(&bytes), vnode_of(&bytes));
        let _ = run_of(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_changed_byte_makes_a_decoder_panic(place in 0_usize..400, byte: u8) {
        for record in [encode(&head()), encode(&seal()), partial(5).encode()] {
            let mut record = record;
            let length = record.len();
            record[place % length] = byte;
            let _ = decode::<Head>(&record);
            let _ = decode::<Seal>(&record);
            let _ = Partial::decode(&record);
        }
    }
}
