//! `cargo xtask tidy`: the house rules that a machine can check.
//!
//! Each rule is a pure function from the tree's text (or from what cargo says about it) to findings, one line each:
//! `file:line: what, and what to do`. Findings fail the run; notes (file length) are only shown.

mod absences;
mod code;
mod docs;
mod layers;
mod manifests;
mod paths;
mod source;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Result;
use clap::CommandFactory;

use crate::{Cli, cargo};
use tree::Tree;

/// One place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    text: String,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, text: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Runs every rule, also after one has found something. True if none did.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let tree = Tree::read(root)?;
    let packages = layers::packages(&cargo::metadata(root)?, root)?;

    let mut findings = Vec::new();
    findings.extend(layers::check(&packages, &tree));
    for absence in absences::PROMISED {
        if packages.iter().any(|package| package.name == absence.package) {
            findings.extend(absence.check(&cargo::dependency_tree(root, absence.package)?, &tree));
        } else {
            findings.push(absence.unkept());
        }
    }
    findings.extend(manifests::check(&tree));
    findings.extend(code::check(&tree));
    findings.extend(docs::check_links(&tree));
    findings.extend(docs::check_fences(&tree));
    findings.extend(docs::check_commands(&tree, &commands()));
    findings.extend(paths::check(&tree));
    findings.sort();
    findings.dedup();

    for note in code::lengths(&tree) {
        println!("note: {note}");
    }
    for finding in &findings {
        println!("{finding}");
    }
    eprintln!("tidy: {} files, {} finding(s)", tree.len(), findings.len());
    Ok(findings.is_empty())
}

/// The commands of xtask, each with its long options, from the parser itself.
fn commands() -> BTreeMap<String, Vec<String>> {
    let mut cli = Cli::command();
    cli.build();
    cli.get_subcommands()
        .map(|command| {
            let options = command
                .get_arguments()
                .filter_map(clap::Arg::get_long)
                .map(str::to_owned)
                .collect();
            (command.get_name().to_owned(), options)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_those_of_the_parser() {
        let commands = commands();
        for name in ["setup", "test", "e2e", "bench", "demo", "tidy", "ci"] {
            assert!(commands.contains_key(name), "{name}");
        }
        assert!(commands["e2e"].contains(&"full".to_owned()));
    }

    #[test]
    fn a_finding_is_one_line_with_its_place_first() {
        let finding = Finding::new("a/b.rs", 3, "wrong: mend it");
        assert_eq!(finding.to_string(), "a/b.rs:3: wrong: mend it");
    }
}
