//! How xtask calls cargo, and what it asks of it: the workspace's root, its metadata, the path of a built binary.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::setup;

/// The package of the `alluvium` command.
pub(crate) const COMMAND: &str = "alluvium-cli";

/// Which profile to build with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// The arguments that select it.
    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }
}

/// What is built beside the default features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engines {
    /// Those of the default features: no C++ compiler is needed.
    Default,
    /// RocksDB too.
    All,
}

impl Engines {
    /// The arguments that select them for `packages`, which have to be among those that cargo is told to build.
    pub(crate) fn args(self, packages: &[&str]) -> Vec<String> {
        match self {
            Self::Default => Vec::new(),
            Self::All => packages
                .iter()
                .map(|package| format!("--features={package}/rocksdb"))
                .collect(),
        }
    }
}

/// The root of the workspace that this xtask was started for.
///
/// Asked at run time: clones may share a target directory, and a path baked in by `env!` could be another clone's.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    if let Some(manifest_dir) = env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&manifest_dir).parent()
    {
        return Ok(root.to_path_buf());
    }
    let output = Command::new("cargo")
        .args(["locate-project", "--workspace", "--message-format", "plain"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo: install Rust with rustup")?;
    let manifest = String::from_utf8(output.stdout).context("cargo locate-project did not print a path")?;
    match Path::new(manifest.trim()).parent() {
        Some(root) if output.status.success() => Ok(root.to_path_buf()),
        _ => bail!("this is not a checkout of the project: run `cargo xtask` inside one"),
    }
}

/// A cargo command that behaves as if the user had typed it at the workspace's root.
pub(crate) fn command(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // `cargo run` sets variables that describe xtask itself. Some build scripts (ring's) watch them: handed on, they
    // would cost a rebuild at every change between `cargo xtask test` and a plain `cargo test`.
    for (name, _) in env::vars_os() {
        if describes_a_package(&name) {
            command.env_remove(name);
        }
    }
    command.envs(setup::rocksdb_environment(root));
    command
}

fn describes_a_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME"
}

/// What `cargo metadata` says about the workspace's own crates.
pub(crate) fn metadata(root: &Path) -> Result<Value> {
    let output = command(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: mend the manifest that it names above");
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// The names and versions of what `package` is built from: the crates of its normal and build dependencies, on every
/// platform, with its default features.
pub(crate) fn dependency_tree(root: &Path, package: &str) -> Result<String> {
    let output = command(root)
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal,build",
            "--target",
            "all",
        ])
        .args(["--prefix", "none", "--color", "never"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed for {package}");
    }
    String::from_utf8(output.stdout).context("cargo tree printed no UTF-8")
}

/// Builds the `alluvium` binary and says where cargo has put it.
pub(crate) fn build_alluvium(root: &Path, profile: Profile, engines: Engines) -> Result<PathBuf> {
    eprintln!("xtask: building the alluvium command");
    let output = command(root)
        .args(["build", "--package", COMMAND, "--bin", "alluvium"])
        .args(engines.args(&[COMMAND]))
        .args(profile.args())
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("the alluvium command does not build: mend what cargo reports above");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages, "alluvium").context("cargo built the alluvium command, but did not say where it is")
}

/// The executable of the binary target `name`, from cargo's JSON messages, one a line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_of_the_named_target() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"alluvium"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"t/other"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"alluvium"},"executable":"t/alluvium"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            executable(messages, "alluvium"),
            Some(PathBuf::from("t/alluvium"))
        );
        assert_eq!(executable(messages, "bench"), None);
    }

    #[test]
    fn only_what_describes_a_package_is_kept_from_cargo() {
        assert!(describes_a_package(OsStr::new("CARGO_PKG_NAME")));
        assert!(describes_a_package(OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(!describes_a_package(OsStr::new("CARGO_TARGET_DIR")));
        assert!(!describes_a_package(OsStr::new("CARGO_HOME")));
    }
}
