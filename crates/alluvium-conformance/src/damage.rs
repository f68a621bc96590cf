//! Damaged files: a closed directory is copied, one file of the copy is damaged, and what is then found in it judged.

use std::any::Any;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use alluvium_core::ErrorKind;

use crate::Random;
use crate::process::no_process_starts;
use crate::support::{Directory, length};

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bits of one byte are turned over.
    Flipped,
    /// The end is missing.
    CutOff,
    /// The file is missing.
    Missing,
}

/// What became of opening and reading everything.
pub(crate) enum Outcome {
    /// An error.
    Refused {
        kind: ErrorKind,
        /// The file or directory it names.
        path: Option<PathBuf>,
        /// The directory as a whole was refused, for what it says it is.
        whole: bool,
        /// By opening it, so that nothing can have been changed.
        at_open: bool,
        text: String,
    },
    /// Exactly what the commits up to this one, from 1, left behind.
    Holds(u64),
    /// Something that no prefix of the commits left behind.
    Wrong(String),
}

/// A file, as the parts of it that are not zeros: journals are often allocated long before they are written.
struct Stored {
    path: PathBuf,
    length: u64,
    parts: Vec<(u64, Vec<u8>)>,
}

/// The files of a closed directory.
pub(crate) struct Stock {
    directories: Vec<PathBuf>,
    files: Vec<Stored>,
}

const PART: usize = 4096;

impl Stock {
    /// Takes stock of a directory.
    pub(crate) fn of(dir: &Path) -> Self {
        let mut stock = Self {
            directories: Vec::new(),
            files: Vec::new(),
        };
        stock.add(dir, Path::new(""));
        stock.files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(!stock.files.is_empty(), "no file in {}", dir.display());
        stock
    }

    fn add(&mut self, root: &Path, within: &Path) {
        for entry in fs::read_dir(root.join(within)).unwrap() {
            let entry = entry.unwrap();
            let path = within.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.directories.push(path.clone());
                self.add(root, &path);
            } else {
                self.files.push(Stored::read(root, path));
            }
        }
    }

    /// Lays the files down in an empty directory.
    fn lay_down(&self, dir: &Path) {
        for directory in &self.directories {
            fs::create_dir_all(dir.join(directory)).unwrap();
        }
        for file in &self.files {
            file.write(dir);
        }
    }

    /// Damages every file in turn, at some places, has the directory opened, and fails with all that is not as
    /// obligation 8 of an engine, or 6 of a table, asks.
    ///
    /// `last` is the last commit, all were durable before the damage; `is_journal` says of which file a lost tail may
    /// go unnoticed.
    pub(crate) fn damage_each(
        &self,
        damage: Kind,
        last: u64,
        is_journal: &dyn Fn(&Path) -> bool,
        open: &dyn Fn(&Path) -> Outcome,
    ) {
        let mut random = Random::new(8);
        let mut wrong = Vec::new();
        let mut noticed = 0;
        for file in &self.files {
            // Whether a refusal leaves things as they were is looked at once a file.
            let mut put_right = true;
            for place in file.places(damage, &mut random) {
                let directory = Directory::new();
                let dir = directory.path();
                self.lay_down(&dir);
                let path = dir.join(&file.path);
                let journal = is_journal(&path);
                file.damage(&dir, damage, place, &mut random);
                let no_process_starts = no_process_starts();
                let outcome = attempt(open, &dir);
                noticed += u64::from(matches!(outcome, Outcome::Refused { .. }));
                let mut fault = judge(&outcome, damage, last, journal, &path);
                let refused = matches!(outcome, Outcome::Refused { at_open: true, .. });
                if fault.is_none() && refused && std::mem::take(&mut put_right) {
                    file.write(&dir);
                    fault = match attempt(open, &dir) {
                        Outcome::Holds(found) if found == last => None,
                        Outcome::Holds(found) => {
                            Some(format!("refusing it lost what came after commit {found}"))
                        }
                        Outcome::Refused { text, .. } | Outcome::Wrong(text) => {
                            Some(format!("refusing it did harm: put right again, it gives {text}"))
                        }
                    };
                }
                drop(no_process_starts);
                if let Some(fault) = fault {
                    let (path, length) = (file.path.display(), file.length);
                    wrong.push(format!("{path} ({length} bytes) {damage:?} at {place}: {fault}"));
                }
            }
        }
        assert!(noticed > 0, "no damage to any file was ever noticed");
        assert!(
            wrong.is_empty(),
            "{} damages are not named:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

impl Stored {
    fn read(root: &Path, path: PathBuf) -> Self {
        let file = File::open(root.join(&path)).unwrap();
        let (mut parts, mut length) = (Vec::new(), 0);
        loop {
            let mut part = Vec::with_capacity(PART);
            let read = (&file).take(PART as u64).read_to_end(&mut part).unwrap();
            if read == 0 {
                break;
            }
            if part.iter().any(|byte| *byte != 0) {
                parts.push((length, part));
            }
            length += read as u64;
        }
        Self { path, length, parts }
    }

    fn write(&self, root: &Path) {
        let mut file = File::create(root.join(&self.path)).unwrap();
        file.set_len(self.length).unwrap();
        for (at, part) in &self.parts {
            file.seek(SeekFrom::Start(*at)).unwrap();
            file.write_all(part).unwrap();
        }
    }

    /// One past the last byte that is not zero.
    fn written(&self) -> u64 {
        self.parts.last().map_or(0, |(at, part)| {
            let end = part
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            at + end as u64
        })
    }

    /// Where to damage it: at both ends, and at random in between.
    fn places(&self, damage: Kind, random: &mut Random) -> Vec<u64> {
        let written = self.written();
        let mut places = match damage {
            Kind::Missing => return vec![0],
            Kind::Flipped | Kind::CutOff if self.length == 0 => return Vec::new(),
            Kind::Flipped => vec![0, written / 2, written.saturating_sub(1), self.length - 1],
            Kind::CutOff => vec![0, 1, written / 2, written.saturating_sub(1)],
        };
        places.extend((0..length(1, 60)).map(|_| random.below(written.max(1))));
        places.retain(|place| *place < self.length);
        places.sort_unstable();
        places.dedup();
        places
    }

    fn damage(&self, root: &Path, damage: Kind, place: u64, random: &mut Random) {
        let path = root.join(&self.path);
        if damage == Kind::Missing {
            fs::remove_file(path).unwrap();
            return;
        }
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        if damage == Kind::CutOff {
            file.set_len(place).unwrap();
            return;
        }
        let mut byte = [0];
        file.seek(SeekFrom::Start(place)).unwrap();
        file.read_exact(&mut byte).unwrap();
        byte[0] ^= [0x01, 0x80, 0x10, 0xff][random.index(4)];
        file.seek(SeekFrom::Start(place)).unwrap();
        file.write_all(&byte).unwrap();
    }
}

fn attempt(open: &dyn Fn(&Path) -> Outcome, dir: &Path) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| open(dir)))
        .unwrap_or_else(|panic| Outcome::Wrong(message(panic.as_ref())))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a panic: {}", text.unwrap_or("of unknown reason"))
}

/// What is wrong with an outcome, if anything is.
fn judge(outcome: &Outcome, damage: Kind, last: u64, journal: bool, file: &Path) -> Option<String> {
    match outcome {
        Outcome::Wrong(text) => Some(text.clone()),
        Outcome::Holds(0) => Some("it is silently empty".into()),
        Outcome::Holds(found) => {
            // The damage may have met nothing that counts. Of a journal a commit that was never whole may be cut off,
            // and a flipped byte can make the newest one look like that.
            let cut_off = journal && (damage != Kind::Flipped || *found == last - 1);
            (*found != last && !cut_off)
                .then(|| format!("of {last} commits only the first {found} are there, silently"))
        }
        Outcome::Refused { whole: true, .. } => None,
        Outcome::Refused { kind, path, text, .. } => {
            if *kind != ErrorKind::Corrupt {
                Some(format!("an error of the kind {kind:?}: {text}"))
            } else if path.as_ref().is_none_or(|path| !file.starts_with(path)) {
                Some(format!("it is not what is named: {text}"))
            } else {
                None
            }
        }
    }
}

/// An error and all its sources.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
