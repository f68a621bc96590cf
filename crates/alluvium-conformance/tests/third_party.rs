//! The kit in a stranger's hands: a crate that is no part of this workspace proves an engine and a backend of its own.
//!
//! Its sources are in `third-party/`. What makes them a crate is written here, under the target directory: a manifest
//! that names the crates a stranger would name, and a copy of the workspace's lock, so that they are the versions of
//! today and none has to be fetched. Built a second time with one mistake in the engine and one in the backend, it has
//! to fail, and exactly where the mistakes are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The stranger's crate.
struct ThirdParty {
    root: PathBuf,
}

impl ThirdParty {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("third-party");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("Cargo.toml"), manifest()).unwrap();
        fs::copy(here().join("../../Cargo.lock"), root.join("Cargo.lock")).unwrap();
        let this = Self { root };
        // Puts the crate itself into the lock, leaves out what it does not need, and every version as it is.
        let output = this.cargo(&["update", "--workspace", "--offline"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        this
    }

    fn cargo(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .env("CARGO_TERM_COLOR", "never")
            // The long run is for the backends of this workspace.
            .env_remove("ALLUVIUM_E2E")
            .output()
            .unwrap()
    }

    /// Runs all of its tests, or some.
    fn test(&self, features: &str, only: &[&str]) -> Run {
        let mut arguments = vec![
            "test",
            "--offline",
            "--locked",
            "--test=conformance",
            "--features",
            features,
        ];
        arguments.extend(["--", "--exact"]);
        arguments.extend(only);
        let output = self.cargo(&arguments);
        let log = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        let verdicts: BTreeMap<_, _> = log.lines().filter_map(verdict).collect();
        let passed = !verdicts.is_empty() && verdicts.values().all(|passed| *passed);
        assert_eq!(output.status.success(), passed, "{}\n{log}", output.status);
        Run { verdicts, log }
    }
}

/// One run of its tests.
struct Run {
    /// By name: true for those that passed.
    verdicts: BTreeMap<String, bool>,
    log: String,
}

/// It is written anew every time, for the target directory may have been another checkout's.
fn manifest() -> String {
    let sources = here().join("tests/third-party");
    let crates = here().parent().unwrap();
    format!(
        r#"[package]
name = "third-party"
edition = "2024"

[workspace]

[features]
broken = []

[lib]
path = '{lib}'

[[test]]
name = "conformance"
path = '{conformance}'

[dependencies]
alluvium-core = {{ path = '{core}' }}
alluvium-engine = {{ path = '{engine}' }}
async-trait = "0.1"
bytes = "1"

[dev-dependencies]
alluvium-conformance = {{ path = '{kit}' }}
"#,
        lib = sources.join("lib.rs").display(),
        conformance = sources.join("conformance.rs").display(),
        core = crates.join("alluvium-core").display(),
        engine = crates.join("alluvium-engine").display(),
        kit = here().display(),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Name and outcome of a test, from its line in the runner's report.
fn verdict(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.to_owned(), outcome == "ok"))
}

#[test]
fn a_stranger_proves_an_engine_and_a_backend() {
    let third_party = ThirdParty::new();
    let sound = third_party.test("", &[]);
    assert!(
        sound.verdicts.values().all(|passed| *passed),
        "of what is sound:\n{}",
        sound.log
    );
    for (suite, least) in [
        ("engines::engine::", 30),
        ("engines::table::", 30),
        ("engines::backend::", 30),
        ("backends::backend::", 45),
    ] {
        let ran = sound
            .verdicts
            .keys()
            .filter(|name| name.starts_with(suite))
            .count();
        assert!(ran >= least, "only {ran} tests of {suite}:\n{}", sound.log);
    }

    let expected = [
        (
            "backends::backend::o1_a_partial_is_readable_when_the_write_returns",
            true,
        ),
        ("backends::backend::o2_the_last_write_wins", false),
        ("engines::engine::o4_a_removed_key_is_gone", false),
        ("engines::engine::o4_an_empty_value_is_there", true),
    ];
    let broken = third_party.test("broken", &expected.map(|(name, _)| name));
    let expected = expected.map(|(name, passed)| (name.to_owned(), passed));
    assert_eq!(broken.verdicts, BTreeMap::from(expected), "{}", broken.log);
}
