//! A test that is written and not listed in its suite would never run.

use std::fs;
use std::path::Path;

fn tests_in(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut names = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
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
    let (engine, rest) = include_str!("../src/suites.rs")
        .split_once("macro_rules! table_suite")
        .unwrap();
    let (table, rest) = rest.split_once("macro_rules! backend_suite").unwrap();
    let (backend, rest) = rest.split_once("macro_rules! checkpointer_suite").unwrap();
    let (checkpointer, rest) = rest.split_once("macro_rules! lease_suite").unwrap();
    let (lease, rest) = rest.split_once("macro_rules! transport_suite").unwrap();
    let (transport, cursor_store) = rest.split_once("macro_rules! cursor_store_suite").unwrap();
    let log = include_str!("../src/suites/log.rs");
    for (folder, listing, least) in [
        ("engine", engine, 50),
        ("table", table, 40),
        ("backend", backend, 50),
        ("checkpointer", checkpointer, 50),
        ("lease", lease, 18),
        ("transport", transport, 40),
        ("cursor_store", cursor_store, 20),
        ("log", log, 50),
    ] {
        let names = tests_in(folder);
        assert!(names.len() >= least, "only {} tests in {folder}", names.len());
        for name in names {
            let cites = name.starts_with("m_")
                || name
                    .strip_prefix('o')
                    .is_some_and(|o| o.starts_with(|c: char| c.is_ascii_digit()));
            assert!(cites, "{name} says nothing of what it is about");
            let listed = listing.lines().filter(|line| line.trim() == name).count();
            assert_eq!(listed, 1, "{name} of the {folder} suite");
        }
    }
}
