//! Rule: no file names a place that exists on one machine only.

use super::Finding;
use super::tree::Tree;

/// Written in two halves, so that this file passes its own rule.
const PLACES: &[&str] = &[
    concat!("/", "home/"),
    concat!("/", "root/"),
    concat!("/", "work/"),
    concat!("/", "Users/"),
];

/// Looks for absolute paths into somebody's directories, in every file that is text.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts("") {
        for (index, line) in text.lines().enumerate() {
            for place in PLACES.iter().filter(|place| names(line, place)) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("a path below {place} exists on one machine only: make it relative, or take it from the environment"),
                ));
            }
        }
    }
    findings
}

/// Whether the line has `place` at the beginning of a path, rather than in the middle of one.
fn names(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at].ends_with(|c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '>' | '*' | '~')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(line: &str) -> usize {
        check(&Tree::of(&[("a.txt", line)])).len()
    }

    #[test]
    fn relative_paths_and_addresses_are_fine() {
        for place in PLACES {
            assert_eq!(
                findings(&format!(
                    "see docs{place}x, https://example.com{place}x and ${{HOME}}{place}x"
                )),
                0
            );
        }
    }

    #[test]
    fn absolute_paths_are_found() {
        for place in PLACES {
            assert_eq!(findings(&format!("{place}me/alluvium")), 1);
            assert_eq!(findings(&format!("open(\"{place}x\")")), 1);
            assert_eq!(findings(&format!("file://{place}x")), 1);
        }
    }
}
