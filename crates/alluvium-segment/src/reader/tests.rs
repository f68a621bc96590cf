//! What was written comes back, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::{SegmentWriter, encode};

fn row(key: impl Into<Bytes>, sequence: u64, value: Option<Bytes>) -> SegmentRow {
    SegmentRow {
        key: key.into(),
        sequence: Sequence::new(sequence),
        timestamp: Timestamp::from_nanos(sequence.cast_signed() ^ 0x5555),
        value,
    }
}

fn many(count: u32) -> Vec<SegmentRow> {
    let row = |number: u32| {
        let value =
            (number % 5 != 3).then(|| Bytes::from(vec![number.to_le_bytes()[0]; number as usize % 300]));
        row(format!("key.{number:08}"), u64::from(number) ^ 0x155, value)
    };
    (0..count).map(row).collect()
}

fn read_all(bytes: Bytes, range: &KeyRange) -> Result<Vec<SegmentRow>, SegmentError> {
    SegmentReader::open(bytes)?.rows(range).collect()
}

prop_compose! {
    fn rows()(rows in prop::collection::btree_map(
        prop::collection::vec(any::<u8>(), 0..80),
        (0..=i64::MAX.cast_unsigned(), any::<i64>(), prop::option::of(prop::collection::vec(any::<u8>(), 0..300))),
        1..60,
    )) -> Vec<SegmentRow> {
        let rows = rows.into_iter().map(|(key, (sequence, timestamp, value))| SegmentRow {
            key: key.into(),
            sequence: Sequence::new(sequence),
            timestamp: Timestamp::from_nanos(timestamp),
            value: value.map(Bytes::from),
        });
        rows.collect()
    }
}

proptest! {
    #[test]
    fn what_was_written_comes_back(rows in rows(), start in prop::collection::vec(any::<u8>(), 0..3)) {
        let (info, bytes) = encode(&rows).unwrap();
        prop_assert_eq!(info.rows, rows.len() as u64);
        prop_assert_eq!(info.deletes, rows.iter().filter(|row| row.value.is_none()).count() as u64);
        prop_assert_eq!(&info.last_key, &rows.last().unwrap().key);
        prop_assert_eq!(read_all(bytes.clone(), &KeyRange::all()).unwrap(), rows.clone());
        let range = KeyRange::of(start.clone()..);
        let expected: Vec<_> = rows.into_iter().filter(|row| row.key[..] >= start[..]).collect();
        prop_assert_eq!(read_all(bytes, &range).unwrap(), expected);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_rows_but_never_a_panic(
        place in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<prop::sample::Index>(),
    ) {
        let (_, bytes) = encode(&many(300)).unwrap();
        let mut damaged = bytes.to_vec();
        *place.get_mut(&mut damaged) ^= flip;
        if let Ok(rows) = read_all(damaged.into(), &KeyRange::all()) {
            prop_assert!(rows.is_sorted_by(|a, b| a.key < b.key));
        }
        prop_assert!(read_all(bytes.slice(..cut.index(bytes.len())), &KeyRange::all()).is_err());
    }
}

#[test]
fn rows_out_of_order_and_no_rows_make_no_segment() {
    let twice = [row("a", 1, None), row("a", 2, None)];
    for rows in [&[][..], &twice, &[row("b", 1, None), row("a", 2, None)]] {
        assert!(matches!(encode(rows), Err(SegmentError::Invalid(_))));
    }
    let beyond = [row("a", 1 << 63, None)];
    assert!(matches!(encode(&beyond), Err(SegmentError::Invalid(_))));
}

#[test]
fn row_groups_depend_on_the_rows_only_and_a_range_reads_those_that_it_needs() {
    let rows = many(150_000);
    let mut whole = SegmentWriter::new(Vec::new()).unwrap();
    whole.write(&rows).unwrap();
    let (info, bytes) = whole.finish().unwrap();
    let mut pieces = SegmentWriter::new(Vec::new()).unwrap();
    for piece in rows.chunks(777) {
        pieces.write(piece).unwrap();
    }
    assert_eq!(pieces.finish().unwrap().0, info);

    let reader = SegmentReader::open(Bytes::from(bytes)).unwrap();
    let groups = reader.file.metadata().row_groups();
    assert_eq!(groups.len(), 3);
    assert_eq!(reader.len(), 150_000);
    let range = KeyRange::of("key.00070000".."key.00070010");
    assert_eq!(groups.iter().filter(|group| may_have(group, &range)).count(), 1);
    let found: Result<Vec<_>, _> = reader.rows(&range).collect();
    assert_eq!(found.unwrap(), rows[70_000..70_010]);
}

/// The same rows give the same bytes, in every build of this version: so this changes with the version of the format only.
#[test]
fn the_same_rows_give_the_same_bytes() {
    let (one, _) = encode(&many(2_000)).unwrap();
    let (other, _) = encode(&many(2_000)).unwrap();
    assert_eq!(one, other);
}

#[test]
fn what_is_parquet_and_no_segment_is_refused() {
    for bytes in [
        &b""[..],
        b"PAR1",
        b"PAR1PAR1",
        &[0; 100],
        b"PAR1\xff\xff\xff\x7fPAR1",
    ] {
        let error = SegmentReader::open(Bytes::copy_from_slice(bytes)).unwrap_err();
        assert!(matches!(error, SegmentError::Corrupt(_)), "{error:?}");
    }
}
