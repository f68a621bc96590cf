//! What a git repository's first-parent history changed, oldest commit first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// One path in one commit.
#[derive(Clone, Debug)]
pub(crate) struct FileChange {
    pub(crate) path: Vec<u8>,
    /// Mode and object id; none if the path was removed.
    pub(crate) value: Option<String>,
}

/// Every change, in order.
pub(crate) struct History {
    pub(crate) commits: usize,
    pub(crate) changes: Vec<FileChange>,
}

/// A git repository, bare or not.
pub(crate) struct Repository(PathBuf);

impl Repository {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let repository = Self(path.to_owned());
        repository
            .git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
            .with_context(|| format!("{} is not a git repository with a commit", path.display()))?;
        Ok(repository)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn history(&self) -> Result<History> {
        let mut list = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args(["rev-list", "--first-parent", "--reverse", "HEAD"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run git")?;
        let commits = list.stdout.take().context("git has no output")?;
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args([
                "diff-tree",
                "--stdin",
                "-r",
                "--root",
                "--no-renames",
                "-z",
                "--raw",
                "--diff-merges=first-parent",
            ])
            .stdin(commits)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run git")?;
        ensure!(
            list.wait()?.success() && output.status.success(),
            "git cannot list the history"
        );
        parse_history(&output.stdout)
    }

    /// `git ls-tree -r HEAD`: path to mode and object id.
    pub(crate) fn tree(&self) -> Result<BTreeMap<Vec<u8>, String>> {
        let output = self.git(&["ls-tree", "-r", "-z", "HEAD"])?;
        let mut tree = BTreeMap::new();
        for line in output.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let tab = line
                .iter()
                .position(|byte| *byte == b'\t')
                .context("git ls-tree said something else")?;
            let fields: Vec<&str> = std::str::from_utf8(&line[..tab])?.split(' ').collect();
            let [mode, _kind, object] = fields[..] else {
                bail!("git ls-tree said something else")
            };
            tree.insert(line[tab + 1..].to_vec(), format!("{mode} {object}"));
        }
        Ok(tree)
    }

    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args(arguments)
            .output()
            .context("cannot run git")?;
        ensure!(
            output.status.success(),
            "git {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(output.stdout)
    }
}

/// The raw format of `git diff-tree -z --stdin`: a commit's id, then for each of its changes
/// `:<mode> <mode> <object> <object> <status>` and the path, all ended by NUL.
fn parse_history(output: &[u8]) -> Result<History> {
    let mut history = History {
        commits: 0,
        changes: Vec::new(),
    };
    let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        let Some(change) = field.strip_prefix(b":") else {
            history.commits += 1;
            continue;
        };
        let path = fields
            .next()
            .context("git diff-tree ended in the middle of a change")?
            .to_vec();
        let change: Vec<&str> = std::str::from_utf8(change)?.split(' ').collect();
        let [_, mode, _, object, status] = change[..] else {
            bail!("git diff-tree said something else")
        };
        let value = (status != "D").then(|| format!("{mode} {object}"));
        history.changes.push(FileChange { path, value });
    }
    Ok(history)
}
