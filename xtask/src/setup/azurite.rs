//! Azurite, the server of Azure Blob Storage that tests run against: a package of npm.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::node::Node;
use super::program::{Staging, Version, on_path, version_text};

/// The environment variable that names it, and overrules everything else.
pub(super) const VARIABLE: &str = "ALLUVIUM_AZURITE";
const NAME: &str = "azurite-blob";
const AT_LEAST: Version = Version(3, 35);
const PACKAGE: &str = "azurite";
const VERSION: &str = "3.35.0";
/// The program within the package.
const SCRIPT: &str = "node_modules/azurite/dist/src/blob/main.js";

/// Finds azurite-blob or brings it: the absolute path of the program.
pub(super) fn bring(directory: &Path) -> Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE) {
        let path = path::absolute(&path).with_context(|| format!("{VARIABLE} holds no path"))?;
        check(&path).with_context(|| {
            format!(
                "{VARIABLE} names {}: point it to an {NAME} that works, or unset it",
                path.display()
            )
        })?;
        eprintln!("setup: {NAME}: {} (from {VARIABLE})", path.display());
        return Ok(path);
    }
    for path in on_path(NAME) {
        match check(&path) {
            Ok(version) => {
                eprintln!("setup: {NAME}: {} (from PATH, version {version})", path.display());
                return Ok(path);
            }
            Err(error) => eprintln!("setup: {NAME}: not the one on PATH: {error:#}"),
        }
    }
    let target = directory.join("azurite");
    let program = target.join(NAME);
    if pinned(&program) {
        eprintln!(
            "setup: {NAME}: {} (version {VERSION}, already there)",
            program.display()
        );
        return Ok(program);
    }
    install(directory, &target).map_err(|error| {
        anyhow!(
            "cannot bring {NAME}, which the tests of Azure Blob Storage run against: {error:#}. Give npm access to its \
             registry and python3 access to PyPI (or put node 18 or newer with npm on PATH), or install \
             {PACKAGE}@{VERSION} yourself and put {NAME} on PATH or set {VARIABLE} to it"
        )
    })?;
    Ok(program)
}

fn install(directory: &Path, target: &Path) -> Result<()> {
    let node = Node::bring(directory)?;
    eprintln!("setup: {NAME}: installing {PACKAGE}@{VERSION} from npm");
    let staging = Staging::new(directory, "azurite")?;
    let package = staging.path().join("package");
    fs::create_dir(&package)?;
    node.install(&format!("{PACKAGE}@{VERSION}"), &package)?;
    // What npm makes runs whatever node is on PATH, and there may be none.
    let program = package.join(NAME);
    let node = node.program.to_str().context("the path of node is not UTF-8")?;
    let launcher = format!("#!/bin/sh\nexec '{node}' \"$(dirname \"$0\")/{SCRIPT}\" \"$@\"\n");
    fs::write(&program, launcher)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    if !pinned(&program) {
        bail!("npm installed {PACKAGE}@{VERSION}, but it does not run");
    }
    staging.replace(&package, target)?;
    eprintln!(
        "setup: {NAME}: {} (version {VERSION})",
        target.join(NAME).display()
    );
    Ok(())
}

/// Whether the program at `path` runs and is new enough. It prints its version and no more.
fn check(path: &Path) -> Result<Version> {
    let text = version_text(path)?;
    let version = Version::find(&text).with_context(|| format!("{:?} is no version", text.trim()))?;
    if version < AT_LEAST {
        bail!("it is version {version}, and {AT_LEAST} or newer is needed");
    }
    Ok(version)
}

fn pinned(program: &Path) -> bool {
    program.is_file() && version_text(program).is_ok_and(|text| text.trim() == VERSION)
}
