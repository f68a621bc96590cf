//! Puts the state together from what is on disk.
//!
//! First everything is read and checked; damage ends it with nothing changed. Only then is cleared away what a kill
//! can have left: the cut-off end of the newest journal, files that nothing names any more, files that are not whole.

use std::mem;
use std::path::PathBuf;

use alluvium_core::Durability;
use alluvium_engine::EngineError;

use super::files::{Files, Listing, temporary};
use super::format::{FILE_HEADER, FileKind, Malformed, Record, StoredWrite};
use super::reader::{FileReader, Next};
use super::writer::{FileWriter, Journal};
use crate::error::{corrupt, io_error};
use crate::state::{SpaceState, State};

const FOLLOWS: Malformed = "a record follows the last one";

/// The first journal and snapshot.
const FIRST: u64 = 1;

/// What was found, and where to go on.
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    /// Bytes of all files but the newest journal.
    pub(crate) older_bytes: u64,
    /// The ingested files that journals name.
    pub(crate) ingests: Vec<u64>,
    /// A number that no ingested file has.
    pub(crate) next_ingest: u64,
}

/// Opens what is there, or begins anew where there is nothing.
pub(crate) fn recover(files: &Files, durability: Durability) -> Result<Recovered, EngineError> {
    let listing = files.list()?;
    let Some(base) = base(files, &listing)? else {
        return create(files, &listing, durability);
    };
    let mut replay = Replay::new(files);
    let mut older_bytes = replay.snapshot(base)?;
    let mut newest = newest_journal(files, &listing, base)?;
    for number in base..newest {
        older_bytes += replay.ended_journal(number)?;
    }
    let mut end = replay.newest_journal(newest)?;
    if end.ended {
        // It ended, and a kill came before the next one got its name.
        prepared_journal(files, newest + 1, end.sound)?;
    }

    // From here on everything is known to be sound.
    if end.ended {
        older_bytes += end.sound;
        newest += 1;
        let path = files.path(FileKind::Journal, newest);
        files
            .put_journal_in_place(newest)
            .map_err(io_error("create", &path))?;
        end = JournalEnd {
            sound: FILE_HEADER as u64,
            cut: false,
            ended: false,
        };
    }
    clear_away(files, &listing, base, &replay.ingests)?;
    let file = files.open_journal(newest)?;
    if end.cut {
        let path = files.path(FileKind::Journal, newest);
        tracing::warn!(journal = %path.display(), length = end.sound, "cutting off a commit that never returned");
        let cut = file.cut(end.sound).and_then(|()| file.sync());
        cut.map_err(io_error("cut the end off", &path))?;
    }
    Ok(Recovered {
        state: replay.state,
        journal: Journal::new(files.clone(), newest, file, end.sound, durability),
        older_bytes: older_bytes + replay.ingest_bytes,
        ingests: replay.ingests,
        next_ingest: listing
            .ingests
            .last()
            .map_or(FIRST, |last| last.saturating_add(1)),
    })
}

/// The number to begin at: that of the newest snapshot. `None` where nothing was ever committed.
fn base(files: &Files, listing: &Listing) -> Result<Option<u64>, EngineError> {
    if let Some(newest) = listing.snapshots.last() {
        return Ok(Some(*newest));
    }
    let missing = |number| Err(corrupt(&files.path(FileKind::Snapshot, number), "it is missing"));
    match listing.journals[..] {
        [] => Ok(None),
        // A creation that was cut short has a journal and no snapshot yet.
        [FIRST] => {
            let journal = FileReader::open(files, FileKind::Journal, FIRST)?;
            if journal.length() == FILE_HEADER as u64 {
                Ok(None)
            } else {
                missing(FIRST)
            }
        }
        [first, ..] => missing(first),
    }
}

/// The newest journal, after a look that none is missing between the snapshot and it.
fn newest_journal(files: &Files, listing: &Listing, base: u64) -> Result<u64, EngineError> {
    let mut expected = base;
    for number in listing.journals.iter().filter(|number| **number >= base) {
        if *number != expected {
            break;
        }
        expected += 1;
    }
    let newest = listing.journals.last().copied().unwrap_or(0).max(base);
    if expected <= newest {
        return Err(corrupt(&files.path(FileKind::Journal, expected), "it is missing"));
    }
    Ok(newest)
}

/// Checks the journal that was made ready to follow one of this length.
fn prepared_journal(files: &Files, number: u64, previous: u64) -> Result<(), EngineError> {
    let path = files.path(FileKind::Journal, number);
    let ready = temporary(&path);
    if !ready.exists() {
        return Err(corrupt(&path, "it is missing"));
    }
    let reader = FileReader::open_at(ready, FileKind::Journal, number)?;
    if reader.header().previous != previous || reader.length() != FILE_HEADER as u64 {
        return Err(corrupt(
            reader.path(),
            "it does not begin where the journal before ends",
        ));
    }
    Ok(())
}

fn create(files: &Files, listing: &Listing, durability: Durability) -> Result<Recovered, EngineError> {
    clear_away(files, listing, FIRST, &[])?;
    // The journal first: a snapshot without its journal would be damage.
    let file = if listing.journals.is_empty() {
        let file = files.prepare_journal(FIRST, 0)?;
        let path = files.path(FileKind::Journal, FIRST);
        files
            .put_journal_in_place(FIRST)
            .map_err(io_error("create", &path))?;
        file
    } else {
        files.open_journal(FIRST)?
    };
    let older_bytes = FileWriter::begin(files, FileKind::Snapshot, FIRST)?.finish()?;
    Ok(Recovered {
        state: State::default(),
        journal: Journal::new(files.clone(), FIRST, file, FILE_HEADER as u64, durability),
        older_bytes,
        ingests: Vec::new(),
        next_ingest: FIRST,
    })
}

/// Deletes what nothing needs.
fn clear_away(files: &Files, listing: &Listing, base: u64, ingests: &[u64]) -> Result<(), EngineError> {
    let older = |kind, numbers: &[u64]| -> Vec<PathBuf> {
        let older = numbers.iter().filter(|number| **number < base);
        older.map(|number| files.path(kind, *number)).collect()
    };
    let mut leftovers = older(FileKind::Snapshot, &listing.snapshots);
    leftovers.extend(older(FileKind::Journal, &listing.journals));
    let unnamed = listing.ingests.iter().filter(|number| !ingests.contains(number));
    leftovers.extend(unnamed.map(|number| files.path(FileKind::Ingest, *number)));
    for path in leftovers.iter().chain(&listing.unfinished) {
        tracing::debug!(file = %path.display(), "deleting what a kill has left");
        files.delete_path(path).map_err(io_error("delete", path))?;
    }
    Ok(())
}

/// A state that grows record by record.
struct Replay<'a> {
    files: &'a Files,
    state: State,
    ingests: Vec<u64>,
    ingest_bytes: u64,
    /// Whether the last record said that its journal ends there.
    ended: bool,
}

/// Where the newest journal ends.
struct JournalEnd {
    /// The length up to which it is sound.
    sound: u64,
    /// Whether something follows that is to be cut off.
    cut: bool,
    /// Whether it says that another one follows.
    ended: bool,
}

impl<'a> Replay<'a> {
    fn new(files: &'a Files) -> Self {
        Self {
            files,
            state: State::default(),
            ingests: Vec::new(),
            ingest_bytes: 0,
            ended: false,
        }
    }

    /// Takes over a snapshot. Gives its length.
    fn snapshot(&mut self, number: u64) -> Result<u64, EngineError> {
        let mut reader = FileReader::open(self.files, FileKind::Snapshot, number)?;
        let mut space: Option<(u32, SpaceState)> = None;
        let state = &mut self.state;
        read_whole(&mut reader, |record| match record {
            Record::Space { space: next, name } => {
                if let Some((number, done)) = space.replace((next, SpaceState::new(name))) {
                    state.insert(number, done);
                }
                Ok(0)
            }
            Record::Pairs(mut fields) => {
                let (_, rows) = space.as_mut().ok_or("pairs come before their space")?;
                let mut pairs = 0;
                while !fields.is_empty() {
                    let (key, value) = fields.pair()?;
                    rows.put(key, value);
                    pairs += 1;
                }
                Ok(pairs)
            }
            _ => Err("a record of this kind has no place here"),
        })?;
        if let Some((number, done)) = space {
            self.state.insert(number, done);
        }
        Ok(reader.length())
    }

    /// Takes over a journal that another one follows. Gives its length.
    fn ended_journal(&mut self, number: u64) -> Result<u64, EngineError> {
        let mut reader = FileReader::open(self.files, FileKind::Journal, number)?;
        if !self.records(&mut reader)? {
            return Err(corrupt(reader.path(), damage_at(reader.offset())));
        }
        // Cut off between two records, it would look sound.
        let next = FileReader::open(self.files, FileKind::Journal, number + 1)?;
        if !mem::take(&mut self.ended) || next.header().previous != reader.length() {
            return Err(corrupt(
                reader.path(),
                "it does not end where the next journal begins",
            ));
        }
        Ok(reader.length())
    }

    /// Takes over the newest journal.
    fn newest_journal(&mut self, number: u64) -> Result<JournalEnd, EngineError> {
        let mut reader = FileReader::open(self.files, FileKind::Journal, number)?;
        let whole = self.records(&mut reader)?;
        if !whole && reader.sound_record_follows()? {
            return Err(corrupt(reader.path(), damage_at(reader.offset())));
        }
        Ok(JournalEnd {
            sound: reader.offset(),
            cut: !whole,
            ended: self.ended,
        })
    }

    /// Takes over the sound records of a journal. Whether that was all of it.
    fn records(&mut self, reader: &mut FileReader) -> Result<bool, EngineError> {
        let path = reader.path().to_path_buf();
        loop {
            let offset = reader.offset();
            let payload = match reader.next()? {
                Next::Record(payload) => payload,
                Next::End => return Ok(true),
                Next::Bad => return Ok(false),
            };
            let record = Record::decode(payload);
            record
                .map_err(Damage::Here)
                .and_then(|record| self.apply(record))
                .map_err(|damage| match damage {
                    Damage::Here(found) => corrupt(&path, format!("{found}, at byte {offset}")),
                    Damage::Elsewhere(error) => error,
                })?;
        }
    }

    fn apply(&mut self, record: Record<'_>) -> Result<(), Damage> {
        const UNKNOWN: Malformed = "a record names a space that is not there";
        if self.ended {
            return Err(Damage::Here(FOLLOWS));
        }
        match record {
            Record::Commit(mut fields) => {
                while !fields.is_empty() {
                    let StoredWrite { space, key, value } = fields.write()?;
                    let rows = self.state.space_mut(space).ok_or(UNKNOWN)?;
                    match value {
                        Some(value) => rows.put(key, value),
                        None => rows.remove(key),
                    }
                }
            }
            Record::Space { space, name } => self.make(space, SpaceState::new(name))?,
            Record::Dropped { space } => {
                self.state.remove(space).ok_or(UNKNOWN)?;
            }
            Record::Ingested {
                space,
                file,
                pairs,
                name,
            } => {
                let rows = self.ingest(file, pairs, name).map_err(Damage::Elsewhere)?;
                self.make(space, rows)?;
            }
            Record::Ended => self.ended = true,
            Record::Pairs(_) | Record::End { .. } => {
                return Err(Damage::Here("a record of this kind has no place here"));
            }
        }
        Ok(())
    }

    fn make(&mut self, space: u32, state: SpaceState) -> Result<(), Malformed> {
        if self.state.space(space).is_some() {
            return Err("a space is made twice");
        }
        self.state.insert(space, state);
        Ok(())
    }

    fn ingest(&mut self, number: u64, expected: u64, name: &str) -> Result<SpaceState, EngineError> {
        let mut reader = FileReader::open(self.files, FileKind::Ingest, number)?;
        let mut space = SpaceState::new(name);
        let pairs = read_whole(&mut reader, |record| {
            let Record::Pairs(mut fields) = record else {
                return Err("a record of this kind has no place here");
            };
            let mut pairs = 0;
            while !fields.is_empty() {
                let (key, value) = fields.pair()?;
                space.put(key, value);
                pairs += 1;
            }
            Ok(pairs)
        })?;
        if pairs != expected {
            return Err(corrupt(
                reader.path(),
                "it does not hold the pairs that were ingested",
            ));
        }
        self.ingests.push(number);
        self.ingest_bytes += reader.length();
        Ok(space)
    }
}

/// Where a record of a journal went wrong.
enum Damage {
    /// In the record itself.
    Here(Malformed),
    /// In a file that it names.
    Elsewhere(EngineError),
}

impl From<Malformed> for Damage {
    fn from(found: Malformed) -> Self {
        Self::Here(found)
    }
}

/// Reads a file that was whole before it got its name: anything short of that is damage. `take` gives how many pairs
/// a record held; so does this for the file.
fn read_whole(
    reader: &mut FileReader,
    mut take: impl FnMut(Record<'_>) -> Result<u64, Malformed>,
) -> Result<u64, EngineError> {
    let path = reader.path().to_path_buf();
    let mut pairs = 0;
    let mut end = None;
    loop {
        let offset = reader.offset();
        let payload = match reader.next()? {
            Next::Record(payload) => payload,
            Next::End => break,
            Next::Bad => return Err(corrupt(&path, damage_at(offset))),
        };
        let taken = match Record::decode(payload) {
            Ok(_) if end.is_some() => Err(FOLLOWS),
            Ok(Record::End { pairs }) => {
                end = Some(pairs);
                Ok(0)
            }
            Ok(record) => take(record),
            Err(found) => Err(found),
        };
        pairs += taken.map_err(|found| corrupt(&path, format!("{found}, at byte {offset}")))?;
    }
    if end != Some(pairs) {
        return Err(corrupt(&path, "its end is missing"));
    }
    Ok(pairs)
}

fn damage_at(offset: u64) -> String {
    format!("the record at byte {offset} is not what was written")
}

#[cfg(test)]
mod tests;
