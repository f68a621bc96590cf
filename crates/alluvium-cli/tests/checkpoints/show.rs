//! `show`: a manifest, for people and for programs.

use std::fs;

use serde_json::json;

use crate::common::one_line;
use crate::shelf::{Shelf, TAKEN, printed, said};

#[test]
fn a_checkpoint_is_shown_with_everything_in_it() {
    let (shelf, [base, first, second, full]) = Shelf::filled();
    let text = printed(&shelf.run("show", &["latest"]), 0);
    let facts = [
        format!("id        {full}, _latest"),
        "epoch     4".to_owned(),
        "taken     2023-11-14T22:13:20.000000000Z, ".to_owned(),
        "size      2.9 KiB in 3 files".to_owned(),
        "kind      full".to_owned(),
        format!("chain     {full}"),
        "watermark 2023-11-14T22:13:20.000000000Z".to_owned(),
        "operators Join/left 1 partition, 1000 B: 1 snapshot, 0 deltas".to_owned(),
        "          count 2 partitions, 2.0 KiB: 2 snapshots, 0 deltas".to_owned(),
        "sources   orders ORDERS at 42, created 2023-11-14T22:13:20.000000000Z".to_owned(),
        "          other queue: at=x y".to_owned(),
    ];
    for (line, fact) in text.lines().zip(&facts) {
        assert!(line.starts_with(fact), "{text}\n{fact}");
    }
    assert_eq!(text.lines().count(), facts.len(), "{text}");

    let text = printed(&shelf.run("show", &[&second.to_string()]), 0);
    assert!(
        text.contains(&format!("kind      delta on {first}, chain of 3")),
        "{text}"
    );
    for id in [base, first, second] {
        assert!(text.contains(&id.to_string()), "{text}");
    }
}

#[test]
fn in_json_it_is_the_manifest_as_it_is_stored() {
    let (shelf, [base, first, ..]) = Shelf::filled();
    // A field that this version does not know.
    let path = shelf.manifest(first);
    let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    stored["region"] = json!("eu");
    stored.as_object_mut().unwrap().remove("checksum");
    fs::write(&path, stored.to_string()).unwrap();
    let lines = shelf.json("show", &[&first.to_string()], 0);
    let [shown] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(shown["manifest"], stored);
    assert_eq!(shown["manifest"]["timestamp_ms"], TAKEN);
    assert_eq!(shown["chain"], json!([first, base]));
    assert_eq!(shown["latest"], false);
    assert_eq!(shown["damage"], serde_json::Value::Null);
}

#[test]
fn what_cannot_be_shown_is_told() {
    let (shelf, [base, first, ..]) = Shelf::filled();
    let nowhere = "018bcfe5-6800-7707-8707-070707070707";
    let error = one_line(&shelf.run("show", &[nowhere]), 1);
    assert!(
        error.starts_with(&format!("error: there is no checkpoint {nowhere}")),
        "{error}"
    );
    assert_eq!(shelf.run("show", &["018b"]).status.code(), Some(2));

    fs::write(shelf.manifest(base), "{").unwrap();
    let error = one_line(&shelf.run("show", &[&base.to_string()]), 1);
    assert!(
        error.contains(&format!("{base}/manifest.json is damaged")),
        "{error}"
    );
    // It can be shown, and cannot be restored.
    let output = shelf.run("show", &[&first.to_string()]);
    assert!(printed(&output, 1).contains("kind      damaged: "), "{output:?}");
    assert!(said(&output).contains("cannot be restored"), "{output:?}");

    fs::remove_file(shelf.path("_latest")).unwrap();
    let error = one_line(&shelf.run("show", &["latest"]), 1);
    assert!(error.contains("there is no _latest in file://"), "{error}");
}
