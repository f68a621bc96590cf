//! `cargo xtask test`: every test of the workspace.
//!
//! Unit, doc, conformance and command tests first, then the end-to-end tests in their short form. A failure in the
//! one does not keep the other from running. How the tests find what they need is a contract with them:
//!
//! | variable | is |
//! |---|---|
//! | `ALLUVIUM_NATS_SERVER` | the nats-server to start |
//! | `ALLUVIUM_PYTHONPATH` | the directory that holds nats-py and DuckDB |
//! | `ALLUVIUM_AZURITE` | the azurite-blob to start |
//! | `ALLUVIUM_CEPH` | the directory whose `usr` holds Ceph; at full length only |
//! | `ALLUVIUM_BIN` | the built `alluvium` command |
//! | `ALLUVIUM_E2E` | `full` for the lengths that the issues name, else unset |

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cargo::{self, Engines, Profile};
use crate::setup::{self, Purpose, Tools};
use crate::{e2e, tally};

/// What a user's shell may hold for the `nats` and `alluvium` commands. A test decides itself where it connects.
const CONNECTION_VARIABLES: &[&str] = &[
    "NATS_URL",
    "NATS_CREDS",
    "NATS_USER",
    "NATS_PASSWORD",
    "NATS_NKEY",
    "NATS_CA",
    "NATS_CERT",
    "NATS_KEY",
    "NATS_CONTEXT",
];

/// What tests, benchmarks and the demo find in their environment.
pub(crate) struct Environment {
    tools: Tools,
    alluvium: PathBuf,
}

impl Environment {
    /// Sets up the tools and builds the command.
    pub(crate) fn prepare(root: &Path, purpose: Purpose, profile: Profile, engines: Engines) -> Result<Self> {
        let tools = setup::run(root, purpose)?;
        if engines == Engines::All {
            setup::rocksdb(root)?;
        }
        let alluvium = cargo::build_alluvium(root, profile, engines)?;
        Ok(Self { tools, alluvium })
    }

    /// Gives a child what it needs to find the tools and the command, and takes away what could lead it astray.
    pub(crate) fn apply(&self, command: &mut Command) {
        for variable in CONNECTION_VARIABLES {
            command.env_remove(variable);
        }
        command
            .env_remove("ALLUVIUM_E2E")
            .envs(self.tools.variables())
            .env("ALLUVIUM_BIN", &self.alluvium);
    }
}

/// Runs everything and prints the closing summary. True if nothing failed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let environment = Environment::prepare(root, Purpose::Tests, Profile::Dev, Engines::All)?;
    eprintln!("xtask: unit, doc, conformance and command tests");
    let mut command = cargo::command(root);
    command
        .args(["test", "--workspace", "--exclude", e2e::PACKAGE, "--no-fail-fast"])
        .args(Engines::All.args(&[cargo::COMMAND]));
    environment.apply(&mut command);
    let mut verdict = tally::run("workspace tests", &mut command)?;
    verdict.add(e2e::execute(root, &environment, &e2e::Args::short())?);
    Ok(verdict.conclude())
}
