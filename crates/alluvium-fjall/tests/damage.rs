//! Obligation 8 of [`alluvium_engine::Engine`]: damage is named. Every file of a database is damaged in turn, in
//! several ways, and what is opened then is either refused with a path or holds everything that was durable.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, EngineError, Space, WriteBatch};
use alluvium_fjall::{FjallEngine, FjallOptions};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The state after each commit can be told from what it holds: commit n writes n to a key of its own in both spaces
/// and to one that all commits write.
fn commit(engine: &FjallEngine, spaces: &[Space], n: u32, ballast: usize) -> Result {
    let mut batch = WriteBatch::default();
    for space in spaces {
        batch.put(*space, format!("{n:08}"), vec![filler(n); ballast]);
        batch.put(*space, "last", n.to_be_bytes().to_vec());
    }
    engine.commit(batch)?;
    Ok(())
}

/// Not zero, which is what the end of a journal is.
fn filler(n: u32) -> u8 {
    n.to_le_bytes()[0] | 1
}

/// The last commit, if what is there is what a run of commits from the first one leaves.
fn last_commit(engine: &FjallEngine, names: &[&str]) -> std::result::Result<Option<u32>, EngineError> {
    let mut found = Vec::new();
    for name in names {
        if !engine.spaces()?.contains(&(*name).to_string()) {
            return Ok(None);
        }
        let space = engine.space(name)?;
        let pairs = engine.snapshot()?.scan(space, &KeyRange::all())?;
        let mut pairs = pairs.collect::<std::result::Result<BTreeMap<_, _>, _>>()?;
        let last = pairs
            .remove(&b"last"[..])
            .map(|value| value[..].try_into().map(u32::from_be_bytes));
        let Some(Ok(last)) = last else { return Ok(None) };
        let whole = pairs.len() == last as usize
            && (1_u32..)
                .zip(&pairs)
                .all(|(n, (key, value))| *key == format!("{n:08}").as_bytes() && value[0] == filler(n));
        if !whole {
            return Ok(None);
        }
        found.push(last);
    }
    Ok(found.iter().all(|last| *last == found[0]).then_some(found[0]))
}

/// A copy of a database. What is never written to again is shared with the original.
fn copy(from: &Path, to: &Path, shared: &dyn Fn(&Path) -> bool) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &target, shared)?;
        } else if shared(&path) {
            fs::hard_link(path, target)?;
        } else {
            // Most of a journal may be a hole.
            let written = written(&path)?;
            fs::write(&target, &written)?;
            OpenOptions::new()
                .write(true)
                .open(target)?
                .set_len(path.metadata()?.len())?;
        }
    }
    Ok(())
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> Result {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(())
}

/// The bytes of a file that were written, and not only allocated.
fn written(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    let len = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if path.extension().is_some_and(|extension| extension == "jnl") {
        bytes.truncate(len);
    }
    Ok(bytes)
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(u64),
    Blank(u64),
    Cut(u64),
    Delete,
}

impl Damage {
    fn inflict(self, path: &Path) -> Result {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        match self {
            Self::Flip(at) => {
                let mut byte = [0];
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut byte)?;
                file.seek(SeekFrom::Start(at))?;
                file.write_all(&[byte[0] ^ (1 << (at % 8))])?;
            }
            Self::Blank(at) => {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(&[0; 3])?;
            }
            Self::Cut(at) => file.set_len(at)?,
            Self::Delete => fs::remove_file(path)?,
        }
        Ok(())
    }
}

struct Study {
    dir: tempfile::TempDir,
    newest: String,
    commits: u32,
    refused: u32,
    named: u32,
    cut: u32,
    harmless: u32,
}

impl Study {
    /// Damages a copy and opens it. What is allowed is asserted here.
    fn try_on(&mut self, file: &Path, damage: Damage) -> Result {
        let whole = self.dir.path().join("whole");
        let copied = self.dir.path().join("copy");
        let _ = fs::remove_dir_all(&copied);
        let newest = whole.join("data").join(&self.newest);
        let is_journal = |path: &Path| path.extension().is_some_and(|extension| extension == "jnl");
        let is_table = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("tables"));
        let target = whole.join(file);
        copy(&whole, &copied, &|path| {
            path != target && path != newest && (is_journal(path) || is_table(path))
        })?;
        let target = copied.join(file);
        damage.inflict(&target)?;
        let what = format!("{} {damage:?}", file.display());
        let opened = FjallEngine::open_existing(&copied, FjallOptions::default());
        let outcome = opened.and_then(|engine| last_commit(&engine, &["a", "b"]));
        match outcome {
            Err(EngineError::Corrupt { path, .. }) => {
                assert!(path.starts_with(&copied), "{what}: {}", path.display());
                self.refused += 1;
                // `current` and the manifest it names: which of the two is damaged cannot be told.
                let named = target.starts_with(&path) && path != copied.join("data");
                self.named += u32::from(named);
                if !named {
                    println!("{what} is blamed on {}", path.strip_prefix(&copied)?.display());
                }
            }
            Err(error) if file.parent() == Some(Path::new("")) => {
                assert!(matches!(error, EngineError::StateDir(_)), "{what}: {error:?}");
            }
            Err(error) => panic!("{what}: {error:?}"),
            Ok(None) => panic!("{what}: silently lost or torn"),
            Ok(Some(last)) if last == self.commits => self.harmless += 1,
            Ok(Some(last)) => {
                let cuts_the_tail = matches!(damage, Damage::Cut(_)) && file.ends_with(&self.newest);
                assert!(cuts_the_tail, "{what}: silently lost {}", self.commits - last);
                self.cut += 1;
            }
        }
        Ok(())
    }

    fn try_all(&mut self, density: u64, which: impl Fn(&Path) -> bool) -> Result {
        let whole = self.dir.path().join("whole");
        let mut all = Vec::new();
        files(&whole, &mut all)?;
        for path in all.into_iter().filter(|path| which(path)) {
            let file = path.strip_prefix(&whole)?.to_path_buf();
            let len = written(&path)?.len() as u64;
            self.try_on(&file, Damage::Delete)?;
            self.try_on(&file, Damage::Cut(0))?;
            let samples = if len < 4096 { density * 2 / 3 } else { density };
            for sample in 0..samples.min(len) {
                let at = len * sample / samples.min(len);
                self.try_on(&file, Damage::Flip(at))?;
                if sample % 4 == 0 {
                    self.try_on(&file, Damage::Blank(at))?;
                    self.try_on(&file, Damage::Cut(at))?;
                }
            }
            if len > 0 {
                for back in 1..len.min(density) {
                    self.try_on(&file, Damage::Flip(len - back))?;
                }
                self.try_on(&file, Damage::Cut(len - 1))?;
            }
        }
        Ok(())
    }
}

fn study(build: impl FnOnce(&Path) -> Result<u32>) -> Result<Study> {
    let dir = tempfile::tempdir()?;
    let whole = dir.path().join("whole");
    let commits = build(&whole)?;
    let newest = format!("{}.jnl", journals(&whole)?.last().ok_or("no journal")?);
    Ok(Study {
        dir,
        newest,
        commits,
        refused: 0,
        named: 0,
        cut: 0,
        harmless: 0,
    })
}

fn journals(dir: &Path) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    files(&dir.join("data"), &mut all)?;
    let journals = all
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    let mut numbers: Vec<u32> = journals
        .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

impl Drop for Study {
    fn drop(&mut self) {
        println!(
            "refused {} (naming the file or its keyspace {}), tails cut {}, harmless {}",
            self.refused, self.named, self.cut, self.harmless
        );
    }
}

#[test]
fn no_damage_to_a_small_database_loses_commits_silently_8() -> Result {
    let mut study = study(|dir| {
        // Commits in tables that were written out on the way, and in a journal that was reopened once.
        for (from, to) in [(1, 400), (401, 440)] {
            let engine = FjallEngine::open(dir, FjallOptions::default().memtable_bytes(1 << 20))?;
            let spaces = [engine.space("a")?, engine.space("b")?];
            for n in from..=to {
                commit(&engine, &spaces, n, 8 << 10)?;
            }
            engine.close()?;
        }
        Ok(440)
    })?;
    study.try_all(24, |_| true)?;
    assert!(study.refused > 100 && study.named > study.refused / 10 * 9);
    Ok(())
}

#[test]
fn no_damage_to_sealed_journals_loses_commits_silently_8() -> Result {
    let mut study = study(|dir| {
        // The bound on journals is far away, so that they stay although all they hold is in tables, or is not.
        let options = FjallOptions::default()
            .memtable_bytes(24 << 20)
            .journal_bytes(1 << 40);
        let engine = FjallEngine::open(dir, options)?;
        let spaces = [engine.space("a")?, engine.space("b")?];
        let mut commits = 0;
        while journals(dir)?.len() < 3 {
            commits += 1;
            commit(&engine, &spaces, commits, 64 << 10)?;
        }
        for _ in 0..20 {
            commits += 1;
            commit(&engine, &spaces, commits, 64 << 10)?;
        }
        engine.close()?;
        assert_eq!(journals(dir)?.len(), 3);
        Ok(commits)
    })?;
    study.try_all(4, |path| {
        path.extension().is_some_and(|extension| extension == "jnl")
    })?;
    assert!(study.refused > 10 && study.named > study.refused / 10 * 9);
    Ok(())
}

/// Blanks a page in the middle of the journal, as a machine that lost power before it was written.
fn blank_a_page(dir: &Path) -> Result<PathBuf> {
    let journal = dir.join("data/0.jnl");
    let page = written(&journal)?.len() / 2 / 4096 * 4096;
    let mut file = OpenOptions::new().write(true).open(&journal)?;
    file.seek(SeekFrom::Start(page as u64))?;
    file.write_all(&[0; 4096])?;
    Ok(journal)
}

#[test]
fn a_loss_of_power_takes_the_last_commits_but_none_that_was_synced_2_8() -> Result {
    let build = |durable: Option<u32>, close: bool| -> Result<(tempfile::TempDir, PathBuf)> {
        let dir = tempfile::tempdir()?;
        let engine = FjallEngine::open(dir.path().join("live"), FjallOptions::default())?;
        let spaces = [engine.space("a")?, engine.space("b")?];
        for n in 1..=100 {
            commit(&engine, &spaces, n, 1000)?;
            if durable == Some(n) {
                engine.sync()?;
            }
        }
        if close {
            engine.close()?;
        }
        let copied = dir.path().join("copy");
        copy(&dir.path().join("live"), &copied, &|_| false)?;
        blank_a_page(&copied)?;
        Ok((dir, copied))
    };
    // Nothing was synced: what came before is whole.
    for durable in [None, Some(10)] {
        let (_dir, copied) = build(durable, false)?;
        for _ in 0..2 {
            let engine = FjallEngine::open(&copied, FjallOptions::default())?;
            let last = last_commit(&engine, &["a", "b"])?.ok_or("torn")?;
            assert!((10..60).contains(&last), "{last}");
        }
        let engine = FjallEngine::open(&copied, FjallOptions::default())?;
        let last = last_commit(&engine, &["a", "b"])?.ok_or("torn")?;
        commit(&engine, &[engine.space("a")?, engine.space("b")?], last + 1, 10)?;
        drop(engine);
        let engine = FjallEngine::open(&copied, FjallOptions::default())?;
        assert_eq!(last_commit(&engine, &["a", "b"])?, Some(last + 1));
    }
    // What was blanked had been synced, and that was known to a later commit: no loss of power does that.
    for (durable, close) in [(Some(90), false), (None, true)] {
        let (_dir, copied) = build(durable, close)?;
        let opened = FjallEngine::open(&copied, FjallOptions::default());
        let Err(EngineError::Corrupt { path, .. }) = opened else {
            panic!("opened in spite of the loss")
        };
        assert_eq!(path, copied.join("data/0.jnl"));
    }
    Ok(())
}
