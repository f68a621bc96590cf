//! A test that is written and not listed in its suite would never run.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn tests_in(suite: &str) -> Vec<String> {
    let mut names = Vec::new();
    for file in fs::read_dir(sources().join(suite)).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("pub fn ") {
                names.push(rest.split('(').next().unwrap().to_owned());
            }
        }
    }
    names
}

#[test]
fn every_test_is_listed_in_its_suite_once() {
    for (suite, least) in [
        ("engine", 50),
        ("table", 40),
        ("backend", 50),
        ("checkpointer", 50),
        ("lease", 18),
        ("transport", 40),
        ("cursor_store", 20),
        ("log", 50),
    ] {
        let listing = sources().join(format!("suites/{suite}.rs"));
        let listing = fs::read_to_string(listing).unwrap();
        let names = tests_in(suite);
        assert!(names.len() >= least, "only {} tests in {suite}", names.len());
        for name in names {
            let cites = name.starts_with("m_")
                || name
                    .strip_prefix('o')
                    .is_some_and(|o| o.starts_with(|c: char| c.is_ascii_digit()));
            assert!(cites, "{name} says nothing of what it is about");
            let listed = listing.lines().filter(|line| line.trim() == name).count();
            assert_eq!(listed, 1, "{name} of the {suite} suite");
        }
    }
}
