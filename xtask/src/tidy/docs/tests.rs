//! The rules about documents, on small ones.

use super::*;

fn links(text: &str) -> Vec<usize> {
    let tree = Tree::of(&[
        ("README.md", text),
        (
            "docs/ARCHITECTURE.md",
            "# The map\n\n## What holds, always\n\n## Twice\n\n## Twice\n",
        ),
        ("crates/a/src/lib.rs", ""),
    ]);
    check_links(&tree).iter().map(|finding| finding.line).collect()
}

#[test]
fn links_that_lead_somewhere_are_fine() {
    assert!(
        links("[map](docs/ARCHITECTURE.md), [crates](crates/a/), [web](https://example.com/no)").is_empty()
    );
    assert!(
        links("[a](docs/ARCHITECTURE.md#what-holds-always) [b](./docs/../docs/ARCHITECTURE.md#twice-1)")
            .is_empty()
    );
    assert!(links("[a]: docs/ARCHITECTURE.md \"The map\"\n\n# Here\n\n[here](#here)").is_empty());
}

#[test]
fn links_that_lead_nowhere_are_found() {
    assert_eq!(links("fine\n[map](docs/MAP.md)"), [2]);
    assert_eq!(links("[a](docs/ARCHITECTURE.md#no-such)\n[b](#nor-this)"), [1, 2]);
    assert_eq!(
        links("[up](../README.md)\n[root](/docs)\n[c]: docs/no.md"),
        [1, 2, 3]
    );
}

#[test]
fn what_stands_in_code_is_no_link() {
    assert!(links("`a[0](no.md)`\n```text\n[x](no.md)\n```\n").is_empty());
    assert_eq!(links("```text\n```\n`a` [x](no.md)"), [3]);
}

#[test]
fn links_are_relative_to_their_file() {
    let tree = Tree::of(&[
        ("docs/a.md", "[b](b.md) [r](../README.md)"),
        ("docs/b.md", ""),
        ("README.md", ""),
    ]);
    assert!(check_links(&tree).is_empty());
    let tree = Tree::of(&[("docs/a.md", "[b](docs/b.md)"), ("docs/b.md", "")]);
    assert_eq!(check_links(&tree).len(), 1);
}

#[test]
fn skipped_code_blocks_are_found() {
    let fences = |text: &str| skipped_fences("a.md", text.lines()).len();
    assert_eq!(fences("```rust\nf();\n```\n```sh\nignore\n```"), 0);
    assert_eq!(
        fences("```rust,ignore\n```\n> ```no_run\n> ```\n```ignore-wasm32\n```"),
        3
    );
}

fn known() -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([
        ("demo".to_owned(), vec!["repo".to_owned()]),
        ("test".to_owned(), vec![]),
    ])
}

#[test]
fn commands_that_exist_are_fine() {
    for line in [
        "run `cargo xtask test`, then `cargo xtask demo --repo ../x`.",
        "cargo xtask demo [--repo PATH] # what it does --really",
        "cargo xtask demo -- --commits 10",
        "`cargo xtask <command>` or `cargo xtask --help`",
        "    exec cargo xtask test",
    ] {
        assert_eq!(wrong_commands(line, &known()), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn commands_that_do_not_exist_are_found() {
    assert_eq!(wrong_commands("`cargo xtask bench`", &known()).len(), 1);
    assert_eq!(
        wrong_commands("cargo xtask demo --fast --repo=x && cargo xtask tests", &known()).len(),
        2
    );
    let tree = Tree::of(&[
        ("README.md", "cargo xtask lint\n"),
        ("CHANGELOG.md", "cargo xtask lint\n"),
        (
            "a.rs",
            "//! See `cargo xtask lint`.\nlet a = \"cargo xtask lint\";\n",
        ),
        (".ci/run", "#!/bin/bash\ncargo xtask lint\n"),
    ]);
    let places: Vec<_> = check_commands(&tree, &known())
        .iter()
        .map(|f| (f.file.clone(), f.line))
        .collect();
    assert_eq!(
        places,
        [
            ("README.md".to_owned(), 1),
            (".ci/run".to_owned(), 2),
            ("a.rs".to_owned(), 1)
        ]
    );
}
