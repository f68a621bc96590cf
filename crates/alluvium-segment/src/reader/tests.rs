//! What was written comes back, and nothing else does.

use std::sync::LazyLock;

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
        row(format!("key.{number:08}"), 1 + (u64::from(number) ^ 0x155), value)
    };
    (0..count).map(row).collect()
}

fn read_all(bytes: Bytes, range: &KeyRange) -> Result<Vec<SegmentRow>, SegmentError> {
    SegmentReader::open(bytes)?.rows(range).collect()
}

prop_compose! {
    fn rows()(rows in prop::collection::btree_map(
        prop::collection::vec(any::<u8>(), 0..80),
        (1..=i64::MAX.cast_unsigned(), any::<i64>(), prop::option::of(prop::collection::vec(any::<u8>(), 0..300))),
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
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    /// Bytes of the footer and of the headers of pages are hit as often as all others together.
    #[test]
    fn damaged_bytes_are_an_error_or_rows_but_never_a_panic(
        flips in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), 1_u8..), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        static SEGMENT: LazyLock<(Bytes, Vec<usize>)> = LazyLock::new(|| {
            let (_, bytes) = encode(&many(300)).unwrap();
            let reader = SegmentReader::open(bytes.clone()).unwrap();
            let starts = reader.groups[0].columns.map(|column| usize::try_from(column.start).unwrap());
            (bytes, starts.to_vec())
        });
        let (bytes, starts) = &*SEGMENT;
        let footer = usize::try_from(u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap())).unwrap() + 8;
        let mut damaged = bytes.to_vec();
        for (part, place, flip) in flips {
            let place = match part {
                0 => bytes.len() - 1 - place.index(footer),
                1 => starts[place.index(starts.len())] + place.index(20),
                _ => place.index(bytes.len()),
            };
            damaged[place] ^= flip;
        }
        if let Ok(rows) = read_all(damaged.into(), &KeyRange::all()) {
            prop_assert!(rows.is_sorted_by(|a, b| a.key < b.key));
            prop_assert!(rows.iter().all(|row| row.sequence.get() > 0));
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
    for sequence in [0, 1 << 63, u64::MAX] {
        let none = encode(&[row("a", sequence, None)]);
        assert!(matches!(none, Err(SegmentError::Invalid(_))), "{sequence}");
    }
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
    let groups = &reader.groups;
    assert_eq!(groups.len(), 3);
    assert_eq!(reader.len(), 150_000);
    let range = KeyRange::of("key.00070000".."key.00070010");
    assert_eq!(groups.iter().filter(|group| group.may_have(&range)).count(), 1);
    let found: Result<Vec<_>, _> = reader.rows(&range).collect();
    assert_eq!(found.unwrap(), rows[70_000..70_010]);
}

/// What this version writes is what it always wrote: a change of these bytes is a new version of the format, or tables at the same
/// cursor have other digests.
#[test]
fn the_same_rows_give_the_same_bytes() {
    let fixture = include_bytes!("../../tests/fixture/segment-v1.parquet");
    let rows = many(100);
    let (info, bytes) = encode(&rows).unwrap();
    assert_eq!(
        read_all(Bytes::from_static(fixture), &KeyRange::all()).unwrap(),
        rows
    );
    assert_eq!(bytes, fixture[..]);
    assert_eq!(
        info.sha256.to_string(),
        "e99262f7655f571a41ab36c261a6cdac3327c17bffc259d3087f7f67d5aeccd7"
    );
}

/// A segment of one row, where a piece of it is another of the same length.
fn replaced(from: &[u8], to: &[u8]) -> SegmentError {
    let (_, bytes) = encode(&[row("a", 1, Some("up".into()))]).unwrap();
    let places = bytes.windows(from.len()).filter(|window| *window == from).count();
    assert_eq!(places, 1, "not one place: {from:?}");
    let place = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    let mut damaged = bytes.to_vec();
    damaged[place..][..to.len()].copy_from_slice(to);
    read_all(damaged.into(), &KeyRange::all()).unwrap_err()
}

#[test]
fn a_segment_of_a_newer_alluvium_is_told_apart_from_damage() {
    let told = |version: &[u8]| [&b"alluvium.segment\x18\x01"[..], version].concat();
    let error = replaced(&told(b"1"), &told(b"2"));
    assert!(
        matches!(
            error,
            SegmentError::Newer {
                found: 2,
                supported: 1
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind(), alluvium_core::ErrorKind::Invalid);
    for other in [&b"0"[..], b"x", b"-"] {
        let error = replaced(&told(b"1"), &told(other));
        assert!(matches!(error, SegmentError::Corrupt(_)), "{error}");
    }
    let error = replaced(b"alluvium.segment\x18\x01", b"alluvium.segmenu\x18\x01");
    assert!(matches!(error, SegmentError::Corrupt(_)), "{error}");
}

/// A page of rows with this header, as the numbers that are in it.
fn page(numbers: [u32; 3], content: &[u8]) -> Bytes {
    let mut page = vec![0x15, 0];
    let mut number = |begin: &[u8], number: u32| {
        page.extend_from_slice(begin);
        let mut zigzag = u64::from(number) << 1;
        while zigzag >= 0x80 {
            page.push(zigzag.to_le_bytes()[0] | 0x80);
            zigzag >>= 7;
        }
        page.push(zigzag.to_le_bytes()[0]);
    };
    let [uncompressed, compressed, rows] = numbers;
    number(&[0x15], uncompressed);
    number(&[0x15], compressed);
    number(&[0x2c, 0x15], rows);
    page.extend([0x15, 0, 0x15, 6, 0x15, 6, 0, 0]);
    page.extend_from_slice(content);
    page.into()
}

fn read_page(file: Bytes, most: u64, rows: usize) -> Result<usize, String> {
    let length = file.len() as u64;
    let column = Column {
        start: 0,
        length,
        most,
        rows,
    };
    let mut pages = Pages::new(Arc::new(file), column, Encoding::PLAIN).unwrap();
    let read = pages.next().map(|page| page.map(|page| page.buffer().len()));
    read.transpose()
        .map(Option::unwrap_or_default)
        .map_err(|error| error.to_string())
}

/// What a page tells is looked at before any room is made, and what it makes is no more than it told.
#[test]
fn a_page_is_no_longer_than_its_column_may_be() {
    let content = zstd::bulk::compress(&[7; 10_000], 1).unwrap();
    let length = u32::try_from(content.len()).unwrap();
    let good = page([10_000, length, 5], &content);
    assert_eq!(read_page(good.clone(), 20_000, 5), Ok(10_000));
    assert!(
        read_page(good.clone(), 10_000, 5).is_err(),
        "its header counts too"
    );
    assert!(
        read_page(good.clone(), 20_000, 4).is_err(),
        "more rows than its column has"
    );
    assert!(
        read_page(good.slice(..good.len() - 1), 20_000, 5).is_err(),
        "it is cut off"
    );
    for lie in [0, 9_999, 10_001, 5 << 20, i32::MAX.cast_unsigned()] {
        assert!(
            read_page(page([lie, length, 5], &content), 20_000, 5).is_err(),
            "{lie}"
        );
        assert!(
            read_page(page([lie, length, 5], &content), u64::MAX, 5).is_err(),
            "{lie}"
        );
    }
    assert!(read_page(page([10_000, length + 1, 5], &content), 20_000, 5).is_err());
    assert!(read_page(page([10_000, length, 0], &content), 20_000, 5).is_err());
    assert!(
        read_page(Bytes::new(), 20_000, 5).is_err(),
        "there are rows to come"
    );
    // One that is more than room is made for before.
    let large = zstd::bulk::compress(&vec![7; 6 << 20], 1).unwrap();
    let length = u32::try_from(large.len()).unwrap();
    assert_eq!(
        read_page(page([6 << 20, length, 5], &large), 7 << 20, 5),
        Ok(6 << 20)
    );
    assert!(read_page(page([(6 << 20) - 1, length, 5], &large), 7 << 20, 5).is_err());
}

#[test]
fn a_file_that_is_longer_than_a_segment_is_refused_unread() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(alluvium_core::artifact::MAX_SEGMENT_BYTES + 1)
        .unwrap();
    let error = SegmentReader::open(file).unwrap_err();
    assert!(
        matches!(&error, SegmentError::Corrupt(source) if source.to_string().contains("134217729")),
        "{error:?}"
    );
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

/// Found by fuzzing: a footer of a few bytes that takes the `parquet` crate seconds to pass over.
#[test]
fn a_footer_that_tells_of_more_than_it_holds_is_refused_before_it_is_decoded() {
    let slow = include_bytes!("../../../../fuzz/seeds/segment/slow_footer");
    let error = SegmentReader::open(Bytes::from_static(slow)).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "a footer that no segment has");
}
