//! `verify`: whatever is wrong is found, and named by its path.

use std::fs;

use alluvium::CheckpointId;
use serde_json::{Value, json};

use crate::shelf::{Shelf, flip, printed, said};

fn file(id: CheckpointId, name: &str) -> String {
    format!("{id}/operators/{name}")
}

#[test]
fn what_is_whole_is_said_to_be_with_what_was_read() {
    let (shelf, [_, _, second, _]) = Shelf::filled();
    let text = printed(&shelf.run("verify", &[]), 0);
    assert!(
        text.starts_with("whole: 1 checkpoint, 3 files, 2.9 KiB read in "),
        "{text}"
    );
    let text = printed(&shelf.run("verify", &[&second.to_string()]), 0);
    assert!(
        text.starts_with("whole: 1 checkpoint, 9 files, 3.0 KiB read in "),
        "{text}"
    );
    let text = printed(&shelf.run("verify", &["--all"]), 0);
    assert!(
        text.starts_with("whole: 4 checkpoints, 12 files, 5.9 KiB read in "),
        "{text}"
    );
    let lines = shelf.json("verify", &["latest", &second.to_string()], 0);
    let [end] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!((&end["event"], &end["whole"]), (&json!("end"), &json!(true)));
    assert_eq!((&end["files"], &end["bytes"]), (&json!(12), &json!(6_060)));
}

#[test]
fn every_object_that_is_damaged_or_removed_is_found() {
    let (shelf, ids) = Shelf::filled();
    let [base, first, second, full] = ids;
    for object in shelf.objects() {
        let path = shelf.path(&object.to_string_lossy());
        let before = fs::read(&path).unwrap();
        for remove in [false, true] {
            if remove {
                fs::remove_file(&path).unwrap();
            } else {
                flip(&path);
            }
            let what = format!("{} removed: {remove}", object.display());
            let output = shelf.run("verify", &["--all", "--json"]);
            let text = String::from_utf8(output.stdout.clone()).unwrap();
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            fs::write(&path, &before).unwrap();
            if remove && (object.ends_with("_latest") || object.ends_with(format!("{full}/manifest.json"))) {
                continue; // What each of these comes to is told in tests of its own.
            }
            if remove && object.ends_with(format!("{second}/manifest.json")) {
                // Nobody needs it: it is as if it had never been complete.
                assert!(output.status.success(), "{what}: {text}");
                continue;
            }
            assert_eq!(output.status.code(), Some(1), "{what}: {text}");
            assert_eq!(lines.len(), 2, "{what}: {text}");
            let (damage, end) = (&lines[0], &lines[1]);
            assert!(
                object.ends_with(damage["path"].as_str().unwrap()),
                "{what}: {damage}"
            );
            let removed_manifest = remove && object.ends_with("manifest.json");
            let needing: Vec<CheckpointId> = match object.iter().next().and_then(|id| id.to_str()) {
                Some(id) if id == base.to_string() => vec![base, first, second],
                Some(id) if id == first.to_string() => vec![first, second],
                Some(id) if id == second.to_string() => vec![second],
                Some(id) if id == full.to_string() => vec![full],
                _ => Vec::new(),
            };
            let needing: Vec<_> = needing
                .into_iter()
                // It is not there any more, so it is not verified.
                .skip(usize::from(removed_manifest))
                .collect();
            assert_eq!(damage["needed_by"], json!(needing), "{what}");
            assert_eq!(
                (&end["whole"], &end["damaged"]),
                (&json!(false), &json!(needing)),
                "{what}"
            );
        }
    }
    assert!(shelf.run("verify", &["--all"]).status.success());
}

#[test]
fn people_are_told_the_path_the_reason_and_what_is_lost() {
    let (shelf, [base, first, ..]) = Shelf::filled();
    let (flipped, missing) = (
        file(base, "count/partition-1.snap"),
        file(first, "%4Aoin%2Fleft/partition-0.delta"),
    );
    flip(&shelf.path(&flipped));
    fs::remove_file(shelf.path(&missing)).unwrap();
    fs::write(shelf.path(&file(base, "count/partition-0.snap")), "short").unwrap();
    let output = shelf.run("verify", &[&first.to_string()]);
    let text = printed(&output, 1);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].contains("count/partition-0.snap in ") && lines[0].contains("it has 5 bytes, and 1000 were"),
        "{text}"
    );
    assert!(
        lines[1].contains(&format!("{flipped} is not what was saved: its SHA-256 is ")),
        "{text}"
    );
    assert!(lines[2].contains(&format!("{missing} is gone")), "{text}");
    let error = said(&output);
    assert_eq!(
        error,
        format!("error: 3 objects are missing or damaged: 1 of 1 checkpoint cannot be restored: {first}\n")
    );
    // The others are not looked at unless they are asked for.
    assert!(shelf.run("verify", &[]).status.success());
    assert_eq!(shelf.run("verify", &["--all"]).status.code(), Some(1));
}

#[test]
fn a_pointer_to_nothing_is_damage() {
    let (shelf, [.., full]) = Shelf::filled();
    fs::remove_file(shelf.manifest(full)).unwrap();
    let names = format!("_latest names checkpoint {full}, and there is none");
    for arguments in [&[][..], &["--all"]] {
        let output = shelf.run("verify", arguments);
        let told = format!("{}{}", printed(&output, 1), said(&output));
        assert!(told.contains(&names), "{told}");
    }
    fs::write(shelf.path("_latest"), "garbage").unwrap();
    for arguments in [&[][..], &["--all"]] {
        let output = shelf.run("verify", arguments);
        let told = format!("{}{}", printed(&output, 1), said(&output));
        assert!(
            told.contains("_latest in ") && told.contains(" is damaged"),
            "{told}"
        );
    }
    fs::remove_file(shelf.path("_latest")).unwrap();
    let output = shelf.run("verify", &[]);
    assert!(said(&output).contains("there is no _latest"), "{output:?}");
    // Nothing was announced, and nothing is damaged.
    assert!(shelf.run("verify", &["--all"]).status.success());
}
