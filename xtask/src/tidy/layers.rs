//! Rule: arrows between the workspace's crates point down only.
//!
//! A crate's normal and build dependencies are in strictly lower layers: never beside (so engines do not know one
//! another), never above. What stands beside the layers (the test kit, the end-to-end tests, xtask) may use any layer
//! and is used by tests only; xtask uses no crate of the workspace, so that it builds while they do not.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::tree::Tree;

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Layer(u8),
    Beside,
}

/// The table of docs/ARCHITECTURE.md.
const PLACES: &[(&str, Place)] = &[
    ("alluvium-core", Place::Layer(0)),
    ("alluvium-engine", Place::Layer(1)),
    ("alluvium-segment", Place::Layer(1)),
    ("alluvium-nats", Place::Layer(2)),
    ("alluvium-memory", Place::Layer(2)),
    ("alluvium-fjall", Place::Layer(2)),
    ("alluvium-rocksdb", Place::Layer(2)),
    ("alluvium-object-store", Place::Layer(2)),
    ("alluvium-runtime", Place::Layer(3)),
    ("alluvium", Place::Layer(4)),
    ("alluvium-cli", Place::Layer(5)),
    ("alluvium-conformance", Place::Beside),
    ("alluvium-model", Place::Beside),
    ("alluvium-e2e", Place::Beside),
    ("xtask", Place::Beside),
];

/// Builds a C++ library, and therefore only when asked for.
const NOT_BY_DEFAULT: &str = "alluvium-rocksdb";

/// A crate of the workspace, as far as the rule is concerned.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: String,
    /// Its manifest, from the root.
    manifest: String,
    /// Built by a plain `cargo build` at the root.
    by_default: bool,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug)]
struct Dependency {
    name: String,
    /// Needed by tests, benchmarks and examples only.
    dev: bool,
}

/// Reads `cargo metadata --no-deps`.
pub(super) fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let defaults = metadata["workspace_default_members"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    packages
        .iter()
        .map(|package| {
            let name = package["name"]
                .as_str()
                .context("a package without a name")?
                .to_owned();
            let manifest = Path::new(
                package["manifest_path"]
                    .as_str()
                    .context("a package without a manifest")?,
            );
            let manifest = manifest
                .strip_prefix(root)
                .unwrap_or(manifest)
                .to_string_lossy()
                .into_owned();
            let dependencies = package["dependencies"]
                .as_array()
                .context("a package without dependencies")?;
            let dependencies = dependencies
                .iter()
                .filter_map(|dependency| {
                    let dev = dependency["kind"].as_str() == Some("dev");
                    Some(Dependency {
                        name: dependency["name"].as_str()?.to_owned(),
                        dev,
                    })
                })
                .collect();
            Ok(Package {
                name,
                manifest,
                by_default: defaults.contains(&package["id"]),
                dependencies,
            })
        })
        .collect()
}

/// Checks every arrow.
pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = tree.text(&package.manifest).unwrap_or("");
        let mut find = |line: usize, text: String| findings.push(Finding::new(&package.manifest, line, text));
        let name = &package.name;
        let Some(place) = place(name) else {
            find(
                line_of(manifest, "name"),
                format!("{name} has no layer: give it one in xtask/src/tidy/layers.rs"),
            );
            continue;
        };
        if name == NOT_BY_DEFAULT && package.by_default {
            find(
                1,
                format!("{name} needs a C++ compiler: keep it out of default-members in the root Cargo.toml"),
            );
        }
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
            let Some(used) = self::place(&dependency.name) else {
                continue;
            };
            let problem = match (place, used) {
                _ if name == "xtask" => Some("xtask has to build while no crate does: do without it"),
                (Place::Layer(_), Place::Beside) => {
                    Some("what stands beside the layers is for tests: make it a dev-dependency")
                }
                (Place::Layer(upper), Place::Layer(lower)) if lower >= upper => {
                    Some("arrows point down only: move what is shared to a layer below both")
                }
                _ => None,
            };
            if let Some(problem) = problem {
                let used = &dependency.name;
                find(line_of(manifest, used), format!("{name} uses {used}, {problem}"));
            }
        }
    }
    findings
}

fn place(name: &str) -> Option<Place> {
    PLACES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, place)| *place)
}

/// The line of a manifest that sets `key`, or the first one.
fn line_of(manifest: &str, key: &str) -> usize {
    manifest
        .lines()
        .position(|line| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(['.', '=']))
        })
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependencies: &[(&str, bool)]) -> Vec<Finding> {
        let package = Package {
            name: name.to_owned(),
            manifest: "Cargo.toml".to_owned(),
            by_default: true,
            dependencies: dependencies
                .iter()
                .map(|(name, dev)| Dependency {
                    name: (*name).to_owned(),
                    dev: *dev,
                })
                .collect(),
        };
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nalluvium-fjall.workspace = true\n";
        check(&[package], &Tree::of(&[("Cargo.toml", manifest)]))
    }

    #[test]
    fn arrows_down_are_fine() {
        assert!(
            findings(
                "alluvium-memory",
                &[("alluvium-core", false), ("alluvium-engine", false)]
            )
            .is_empty()
        );
        assert!(findings("alluvium-runtime", &[("alluvium-core", false), ("tokio", false)]).is_empty());
        assert!(findings("alluvium-cli", &[("alluvium", false), ("alluvium-nats", false)]).is_empty());
    }

    #[test]
    fn arrows_up_and_sideways_are_found() {
        assert_eq!(findings("alluvium-core", &[("alluvium-engine", false)]).len(), 1);
        let sideways = findings(
            "alluvium-memory",
            &[("alluvium-core", false), ("alluvium-fjall", false)],
        );
        assert_eq!(sideways.len(), 1);
        assert_eq!(sideways[0].line, 4);
        assert_eq!(
            findings("alluvium-segment", &[("alluvium-engine", false)]).len(),
            1
        );
    }

    #[test]
    fn what_stands_beside_is_for_tests() {
        assert!(findings("alluvium-fjall", &[("alluvium-conformance", true)]).is_empty());
        assert_eq!(
            findings("alluvium-fjall", &[("alluvium-conformance", false)]).len(),
            1
        );
        assert!(findings("alluvium-conformance", &[("alluvium-engine", false)]).is_empty());
        assert!(
            findings(
                "alluvium-e2e",
                &[("alluvium-cli", false), ("alluvium-nats", false)]
            )
            .is_empty()
        );
    }

    #[test]
    fn xtask_stands_alone() {
        assert!(findings("xtask", &[("anyhow", false)]).is_empty());
        assert_eq!(findings("xtask", &[("alluvium-core", false)]).len(), 1);
    }

    #[test]
    fn every_crate_has_a_place() {
        assert_eq!(findings("alluvium-new", &[]).len(), 1);
    }

    #[test]
    fn rocksdb_is_built_only_when_asked_for() {
        assert_eq!(
            findings("alluvium-rocksdb", &[("alluvium-engine", false)]).len(),
            1
        );
    }

    #[test]
    fn packages_are_read_from_metadata() {
        let metadata = serde_json::json!({
            "workspace_default_members": ["id-a"],
            "packages": [{
                "id": "id-a", "name": "a", "manifest_path": "/clone/crates/a/Cargo.toml",
                "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}],
            }],
        });
        let packages = packages(&metadata, Path::new("/clone")).unwrap();
        assert_eq!(packages[0].manifest, "crates/a/Cargo.toml");
        assert!(packages[0].by_default);
        assert!(!packages[0].dependencies[0].dev);
        assert!(packages[0].dependencies[1].dev);
    }
}
