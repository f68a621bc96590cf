//! `ls`: every checkpoint, and what `_latest` says.

use std::fs;

use serde_json::{Value, json};

use crate::shelf::{Shelf, flip, printed, said};

#[test]
fn checkpoints_are_listed_oldest_first_with_their_chains() {
    let (shelf, [base, first, second, full]) = Shelf::filled();
    let lines = shelf.json("ls", &[], 0);
    let fields = |name: &str| -> Vec<Value> { lines.iter().map(|line| line[name].clone()).collect() };
    assert_eq!(fields("id"), [base, first, second, full].map(|id| json!(id)));
    assert_eq!(fields("epoch"), [1, 2, 3, 4].map(|epoch| json!(epoch)));
    assert_eq!(fields("full"), [true, false, false, true].map(|full| json!(full)));
    assert_eq!(
        fields("latest"),
        [false, false, false, true].map(|latest| json!(latest))
    );
    assert_eq!(fields("bytes"), [3_000, 30, 30, 3_000].map(|bytes| json!(bytes)));
    assert_eq!(lines[2]["chain"], json!([second, first, base]));
    assert_eq!(lines[2]["chain_base_bytes"], 3_000);
    assert_eq!(lines[2]["chain_delta_bytes"], 60);
    assert_eq!(lines[2]["parent"], json!(first));
    for line in &lines {
        assert_eq!(line["damage"], Value::Null);
        assert_eq!((&line["operators"], &line["partitions"]), (&json!(2), &json!(3)));
        assert_eq!(line["timestamp"], "2023-11-14T22:13:20.000000000Z");
        assert!(line["age_seconds"].as_u64().unwrap() > 0, "{line}");
    }

    let output = shelf.run("ls", &[]);
    let text = printed(&output, 0);
    assert!(output.stderr.is_empty(), "{output:?}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ID "), "{text}");
    for (line, end) in lines[1..].iter().zip([
        "2.9 KiB          2           3  full".to_owned(),
        format!("30 B          2           3  delta on {base}, chain of 2: 30 B of deltas on 2.9 KiB"),
        format!("30 B          2           3  delta on {first}, chain of 3: 60 B of deltas on 2.9 KiB"),
        "2.9 KiB          2           3  full, _latest".to_owned(),
    ]) {
        assert!(line.ends_with(&end), "{text}\n{end}");
    }
    assert_eq!(lines.len(), 5, "{text}");
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason_and_the_rest_is_listed() {
    let (shelf, [base, first, second, full]) = Shelf::filled();
    flip(&shelf.manifest(first));
    let lines = shelf.json("ls", &[], 1);
    let damaged: Vec<bool> = lines.iter().map(|line| !line["damage"].is_null()).collect();
    assert_eq!(damaged, [false, true, true, false]);
    for line in &lines[1..3] {
        let why = line["damage"].as_str().unwrap();
        assert!(
            why.contains(&format!("{first}/manifest.json is damaged")),
            "{why}"
        );
    }
    // As far as it can be followed.
    assert_eq!(lines[2]["chain"], json!([second]));

    let output = shelf.run("ls", &[]);
    let text = printed(&output, 1);
    for id in [base, first, second, full] {
        assert!(text.contains(&id.to_string()), "{text}");
    }
    assert!(text.contains("damaged: "), "{text}");
    let error = said(&output);
    assert!(error.contains("2 of 4 checkpoints cannot be restored"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");

    fs::remove_dir_all(shelf.path(&base.to_string())).unwrap();
    let lines = shelf.json("ls", &[], 1);
    assert_eq!(lines.len(), 3);

    // Of a newer version: not damaged, and not to be read by this one.
    fs::write(shelf.manifest(first), r#"{"version":99}"#).unwrap();
    let lines = shelf.json("ls", &[], 1);
    let why = lines[0]["damage"].as_str().unwrap();
    assert!(why.contains("version 99"), "{why}");
}

#[test]
fn a_chain_whose_base_is_gone_is_damaged() {
    let (shelf, [base, ..]) = Shelf::filled();
    fs::remove_dir_all(shelf.path(&base.to_string())).unwrap();
    let lines = shelf.json("ls", &[], 1);
    let damaged: Vec<bool> = lines.iter().map(|line| !line["damage"].is_null()).collect();
    assert_eq!(damaged, [true, true, false]);
    let why = lines[0]["damage"].as_str().unwrap();
    assert!(
        why.contains(&format!("checkpoint {base}, which it builds on, is not there")),
        "{why}"
    );
}

#[test]
fn what_latest_says_is_told() {
    let shelf = Shelf::empty();
    let output = shelf.run("ls", &[]);
    assert_eq!(printed(&output, 0), "");
    assert_eq!(said(&output), format!("no checkpoints in {}\n", shelf.url()));
    assert!(shelf.json("ls", &[], 0).is_empty());

    // Killed before it was announced.
    let first = shelf.take(1, None);
    let output = shelf.run("ls", &[]);
    assert_eq!(printed(&output, 0).lines().count(), 2);
    let begins = format!("a recovery begins with the newest checkpoint there is, {first}");
    assert_eq!(said(&output), format!("there is no _latest; {begins}\n"));

    let second = shelf.take(2, None);
    shelf.announce(second);
    fs::remove_dir_all(shelf.path(&second.to_string())).unwrap();
    let output = shelf.run("ls", &[]);
    assert_eq!(printed(&output, 1).lines().count(), 2);
    let error = said(&output);
    let names = format!("_latest names checkpoint {second}, and there is none; {begins}");
    assert!(error.contains(&names), "{error}");

    fs::write(shelf.path("_latest"), "garbage").unwrap();
    let error = said(&shelf.run("ls", &[]));
    assert!(
        error.contains("_latest in ") && error.contains(" is damaged: ") && error.contains(&begins),
        "{error}"
    );
    let error: Value = serde_json::from_str(&said(&shelf.run("ls", &["--json"]))).unwrap();
    assert_eq!(error["kind"], "corrupt");

    fs::remove_dir_all(shelf.path(&first.to_string())).unwrap();
    let error = said(&shelf.run("ls", &[]));
    assert!(error.contains("refuses to begin from nothing"), "{error}");
}
