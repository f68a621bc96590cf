//! Rules about Rust files: module docs, nothing ignored, nothing left to do, and (as a note) length.

use super::source::{self, Line};
use super::tree::Tree;
use super::{Finding, docs};

/// Lines of code from which a file is asked whether it is two things.
const LONG_FILE: usize = 400;
/// Lines of tests from which they move to a file of their own.
const LONG_TESTS: usize = 150;

const FORBIDDEN_MACROS: &[(&str, &str)] = &[
    ("dbg", "remove it, or use tracing"),
    ("todo", "write what is missing, or return an error that says so"),
    (
        "unimplemented",
        "write what is missing, or return an error that says so",
    ),
];

/// Every rule about Rust files that can fail.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".rs") {
        if !text.starts_with("//!") {
            findings.push(Finding::new(
                path,
                1,
                "no module docs: begin the file with `//!` saying what it is, what it promises and what it leaves to whom",
            ));
        }
        let lines = source::lines(text);
        for (index, line) in lines.iter().enumerate() {
            for (name, advice) in FORBIDDEN_MACROS {
                if calls_macro(&line.code, name) {
                    findings.push(Finding::new(
                        path,
                        index + 1,
                        format!("`{name}!` in the code: {advice}"),
                    ));
                }
            }
            if ignores_a_test(&line.code) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    "an ignored test proves nothing: make it run in `cargo xtask test`, or remove it",
                ));
            }
        }
        findings.extend(docs::skipped_fences(
            path,
            lines.iter().map(|line| doc_text(&line.comment)),
        ));
    }
    findings
}

/// Files that have grown: shown, and no failure.
pub(super) fn lengths(tree: &Tree) -> Vec<Finding> {
    let mut notes = Vec::new();
    for (path, text) in tree.texts(".rs") {
        let lines = source::lines(text);
        let (code, tests) = lines.split_at(tests_begin(&lines));
        let (code_length, tests_length) = (length(code), length(tests));
        if code_length > LONG_FILE {
            notes.push(Finding::new(
                path,
                1,
                format!("{code_length} lines of code: is this file two things?"),
            ));
        }
        if tests_length > LONG_TESTS {
            let at = code.len() + 1;
            notes.push(Finding::new(
                path,
                at,
                format!("{tests_length} lines of tests: move them to a file tests.rs"),
            ));
        }
    }
    notes
}

/// Where the module of tests begins that the file ends with; a module in a file of its own is not in this one.
fn tests_begin(lines: &[Line]) -> usize {
    let opens_a_module = |line: &Line| line.code.starts_with("mod ") && line.code.trim_end().ends_with('{');
    (1..lines.len())
        .find(|at| lines[at - 1].code.starts_with("#[cfg(test)]") && opens_a_module(&lines[*at]))
        .map_or(lines.len(), |at| at - 1)
}

fn length(lines: &[Line]) -> usize {
    lines.iter().filter(|line| !line.code.trim().is_empty()).count()
}

fn calls_macro(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        after.starts_with('!')
            && !after.starts_with("!=")
            && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn ignores_a_test(code: &str) -> bool {
    let attribute = code.trim_start();
    attribute.contains("#[ignore")
        || (attribute.starts_with("#[cfg_attr(")
            && attribute
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "ignore"))
}

/// What a doc comment says, or nothing if it is none.
fn doc_text(comment: &str) -> &str {
    comment
        .strip_prefix("///")
        .or_else(|| comment.strip_prefix("//!"))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> Vec<usize> {
        check(&Tree::of(&[("crates/a/src/lib.rs", source)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_file_begins_with_its_docs() {
        assert!(findings("//! What it is.\n\nfn f() {}\n").is_empty());
        assert_eq!(findings("use std::fmt;\n//! Late.\n"), [1]);
        assert_eq!(findings(""), [1]);
    }

    #[test]
    fn nothing_is_left_to_do() {
        assert!(findings("//! A.\nfn f() { g(\"todo!()\") } // no todo!() here\n").is_empty());
        assert!(findings("//! A.\nfn f() -> bool { todo != 1 }\nmy_dbg!();").is_empty());
        assert_eq!(
            findings("//! A.\nfn f() { todo!() }\nfn g() { unimplemented!() }\n\nlet a = dbg!(1);"),
            [2, 3, 5]
        );
    }

    #[test]
    fn no_test_is_ignored() {
        assert!(findings("//! A.\n#[test]\nfn ignored_keys() {}\n").is_empty());
        assert_eq!(
            findings("//! A.\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n"),
            [3]
        );
        assert_eq!(findings("//! A.\n#[cfg_attr(miri, ignore)]\nfn a() {}\n"), [2]);
    }

    #[test]
    fn doc_examples_run() {
        assert!(
            findings("//! A.\n/// ```\n/// f();\n/// ```\n/// ```text\n/// ignore\n/// ```\nfn f() {}\n")
                .is_empty()
        );
        assert_eq!(
            findings("//! A.\n/// ```ignore\n/// f();\n/// ```\nfn f() {}\n"),
            [2]
        );
        assert_eq!(findings("//! ```rust,no_run\n//! f();\n//! ```\n"), [1]);
    }

    #[test]
    fn length_counts_code_and_neither_docs_nor_tests() {
        let long_docs = "/// Words.\n".repeat(500);
        let code = |lines| "const A: u8 = 0;\n".repeat(lines);
        let note = |text: &str| {
            lengths(&Tree::of(&[("a.rs", text)]))
                .into_iter()
                .map(|note| note.line)
                .collect::<Vec<_>>()
        };
        assert!(
            note(&format!(
                "{long_docs}{}#[cfg(test)]\nmod tests {{\n{}",
                code(400),
                code(100)
            ))
            .is_empty()
        );
        assert_eq!(note(&code(401)), [1]);
        assert_eq!(note(&format!("#[cfg(test)]\nmod tests;\n{}", code(399))), [1]);
        assert_eq!(
            note(&format!("{}#[cfg(test)]\nmod tests {{\n{}", code(10), code(150))),
            [11]
        );
    }
}
