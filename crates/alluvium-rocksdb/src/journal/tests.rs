//! Journals made here, whole, cut short and damaged, and what the check says of them.

use super::*;

/// A log file of records, as RocksDB would write it.
#[derive(Default)]
struct Log(Vec<u8>);

impl Log {
    fn fragment(&mut self, kind: u8, payload: &[u8]) {
        let checked = [&[kind], payload].concat();
        let masked = crc32c::crc32c(&checked).rotate_right(15).wrapping_add(MASK);
        let length = u16::try_from(payload.len()).unwrap();
        self.0.extend(masked.to_le_bytes());
        self.0.extend(length.to_le_bytes());
        self.0.extend(checked);
    }

    fn record(&mut self, mut record: &[u8]) {
        let mut first = true;
        loop {
            let left = BLOCK - self.0.len() % BLOCK;
            if left < HEADER {
                self.0.extend(vec![0; left]);
                continue;
            }
            let (head, rest) = record.split_at(record.len().min(left - HEADER));
            let kind = match (first, rest.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            self.fragment(kind, head);
            (record, first) = (rest, false);
            if record.is_empty() {
                return;
            }
        }
    }

    /// Commits of two writes each, so many bytes long. Gives where each ends.
    fn commits(from: u64, lengths: &[usize]) -> (Self, Vec<usize>) {
        let mut log = Self::default();
        let ends = lengths.iter().zip(0..).map(|(length, number)| {
            let head = [(from + 2 * number).to_le_bytes().as_slice(), &2_u32.to_le_bytes()].concat();
            log.record(&[head, vec![b'v'; *length]].concat());
            log.0.len()
        });
        let ends = ends.collect();
        (log, ends)
    }
}

/// What a check of these journals says: the numbers of those that end early, or of the damaged one.
fn check_all(journals: &[&[u8]]) -> Result<Vec<usize>, usize> {
    let dir = tempfile::tempdir().unwrap();
    for (number, bytes) in journals.iter().enumerate() {
        fs::write(dir.path().join(format!("{number:06}.log")), bytes).unwrap();
    }
    fs::write(dir.path().join("000007.sst"), "no journal").unwrap();
    let number = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let listed = list(dir.path()).unwrap();
    assert_eq!(listed.len(), journals.len());
    match check(&listed) {
        Ok(torn) => Ok(torn.iter().map(|(path, _)| number(path)).collect()),
        Err(EngineError::Corrupt { path, .. }) => Err(number(&path)),
        Err(other) => panic!("{other:?}"),
    }
}

const LENGTHS: [usize; 8] = [10, 100, 40_000, 0, 32_000, 90_000, 7, 3_000];

#[test]
fn whole_journals_are_whole() {
    let (log, _) = Log::commits(1, &LENGTHS);
    assert_eq!(check_all(&[&log.0]), Ok(vec![]));
    assert_eq!(check_all(&[]), Ok(vec![]));
    assert_eq!(check_all(&[b""]), Ok(vec![]));
    // Records whose header falls on every place at the end of a block.
    for length in BLOCK - 40..BLOCK - 10 {
        let (log, _) = Log::commits(1, &[length, 30]);
        assert_eq!(check_all(&[&log.0]), Ok(vec![]), "{length}");
    }
}

#[test]
fn an_end_that_was_cut_short_is_no_damage() {
    let (log, ends) = Log::commits(1, &LENGTHS);
    for cut in (0..log.0.len())
        .step_by(1_009)
        .chain(ends.iter().map(|end| end - 1))
    {
        let whole = cut == 0 || ends.contains(&cut);
        let expected = if whole { vec![] } else { vec![0] };
        assert_eq!(check_all(&[&log.0[..cut]]), Ok(expected), "{cut}");
        // Pages that were never written.
        let zeros = [&log.0[..cut], &[0; 5_000]].concat();
        assert_eq!(check_all(&[&zeros]), Ok(vec![0]), "{cut} and zeros");
    }
}

#[test]
fn what_is_unreadable_before_a_commit_is_damage() {
    let (log, ends) = Log::commits(1, &LENGTHS);
    let last = ends[ends.len() - 2];
    for place in (0..last).step_by(2_003).chain(0..20).chain([last - 1]) {
        for bits in [0x01, 0xff] {
            let mut bytes = log.0.clone();
            bytes[place] ^= bits;
            assert_eq!(check_all(&[&bytes]), Err(0), "{place}");
        }
    }
    for place in (last..last + 20).chain((last..log.0.len()).step_by(101)) {
        let mut bytes = log.0.clone();
        bytes[place] ^= 0x10;
        assert_eq!(check_all(&[&bytes]), Ok(vec![0]), "{place} is of the last commit");
    }
}

#[test]
fn a_block_that_is_missing_is_damage() {
    let (log, _) = Log::commits(1, &[500; 200]);
    let without = [&log.0[..BLOCK], &log.0[2 * BLOCK..]].concat();
    assert_eq!(check_all(&[&without]), Err(0));
}

#[test]
fn a_later_journal_goes_on_where_one_was_cut_short() {
    let (first, ends) = Log::commits(1, &[100, 100, 100]);
    let cut = &first.0[..ends[2] - 10];
    let (on, _) = Log::commits(5, &[100]);
    let (beyond, _) = Log::commits(7, &[100]);
    assert_eq!(check_all(&[cut, &on.0]), Ok(vec![0]));
    assert_eq!(check_all(&[cut, b"", &on.0]), Ok(vec![0]));
    assert_eq!(check_all(&[cut, b""]), Ok(vec![0]));
    assert_eq!(check_all(&[cut, &beyond.0]), Err(0));
    assert_eq!(check_all(&[&first.0, &beyond.0]), Ok(vec![]));
}
