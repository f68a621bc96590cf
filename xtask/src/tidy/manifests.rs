//! Rule: what is the same for all crates is said once, in the workspace's manifest.
//!
//! Every crate takes its edition, versions and lints from the workspace and describes itself. The manifests are read line
//! by line, in the one style that they are written in; what this does not understand it reports.

use super::Finding;
use super::tree::Tree;

const INHERITED: &[&str] = &["version", "edition", "rust-version", "license"];

/// Checks every crate's manifest; the workspace's own is the one that sets the values.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.texts("Cargo.toml")
        .filter(|(path, text)| path.ends_with("/Cargo.toml") && text.contains("[package]"))
        // A workspace of its own (the fuzz targets) has nothing to take from this one.
        .filter(|(_, text)| !text.lines().any(|line| line.trim() == "[workspace]"))
        .flat_map(|(path, text)| check_one(path, text))
        .collect()
}

fn check_one(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    let mut inherited: Vec<&str> = Vec::new();
    let (mut described, mut lints) = (false, false);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if let Some((_, name)) = dependency_table(section) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("{name} has a table of its own: write it on one line with `workspace = true`"),
                ));
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let takes_the_workspaces = line.contains("workspace = true");
        match section {
            "package" => {
                described |= line
                    .strip_prefix("description")
                    .is_some_and(|rest| rest.contains('"') && !rest.contains("\"\""));
                inherited.extend(
                    INHERITED.iter().filter(|key| {
                        takes_the_workspaces && line.split(['.', ' ', '=']).next() == Some(**key)
                    }),
                );
            }
            "lints" => lints |= takes_the_workspaces,
            section if is_dependencies(section) && is_entry(line) && !takes_the_workspaces => {
                let name = line.split(['.', ' ', '=']).next().unwrap_or(line);
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("{name} has a version of its own: put it into [workspace.dependencies] and use `workspace = true`"),
                ));
            }
            _ => {}
        }
    }
    for key in INHERITED.iter().filter(|key| !inherited.contains(key)) {
        findings.push(Finding::new(
            path,
            1,
            format!("[package] lacks `{key}.workspace = true`: add it"),
        ));
    }
    if !lints {
        findings.push(Finding::new(
            path,
            1,
            "the workspace's lints are not used: add `[lints]` with `workspace = true`",
        ));
    }
    if !described {
        findings.push(Finding::new(
            path,
            1,
            "[package] has no description: say in a few words what the crate is",
        ));
    }
    findings
}

fn is_dependencies(section: &str) -> bool {
    section.ends_with("dependencies")
}

/// Kind and name, for a header such as `dependencies.tokio`.
fn dependency_table(section: &str) -> Option<(&str, &str)> {
    section
        .rsplit_once("dependencies.")
        .filter(|(_, name)| !name.contains("dependencies"))
}

/// Whether the line begins an entry, rather than continuing a list of features.
fn is_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic()) && line.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"[package]
name = "a"
description = "What it is"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true

[lints]
workspace = true

[dependencies]
bytes.workspace = true
tokio = { workspace = true, features = ["fs"] }

[target.'cfg(unix)'.dependencies]
# why
rustix.workspace = true
"#;

    fn findings(text: &str) -> Vec<usize> {
        check(&Tree::of(&[("crates/a/Cargo.toml", text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_manifest_in_the_house_style_is_fine() {
        assert_eq!(findings(GOOD), Vec::<usize>::new());
    }

    #[test]
    fn versions_of_its_own_are_found() {
        assert_eq!(
            findings(&GOOD.replace("bytes.workspace = true", "bytes = \"1\"")),
            [13]
        );
        assert_eq!(
            findings(&GOOD.replace("rustix.workspace = true", "rustix = { version = \"1\" }")),
            [18]
        );
        assert_eq!(
            findings(&format!("{GOOD}\n[dev-dependencies.proptest]\nversion = \"1\"\n")),
            [20]
        );
    }

    #[test]
    fn what_the_workspace_says_is_not_said_again() {
        assert_eq!(
            findings(&GOOD.replace("edition.workspace = true", "edition = \"2024\"")),
            [1]
        );
        assert_eq!(findings(&GOOD.replace("[lints]\nworkspace = true\n", "")), [1]);
    }

    #[test]
    fn a_crate_describes_itself() {
        assert_eq!(findings(&GOOD.replace("description = \"What it is\"\n", "")), [1]);
        assert_eq!(findings(&GOOD.replace("\"What it is\"", "\"\"")), [1]);
    }

    #[test]
    fn the_workspaces_own_manifest_is_left_alone() {
        assert!(
            check(&Tree::of(&[(
                "Cargo.toml",
                "[workspace]\n[workspace.dependencies]\nbytes = \"1\"\n"
            )]))
            .is_empty()
        );
    }
}
