//! `rm` and `prune`: what goes, and what is refused.

use std::fs;

use serde_json::json;

use crate::common::one_line;
use crate::shelf::{Shelf, printed};

#[test]
fn what_is_needed_is_not_removed_and_it_is_said_by_what() {
    let (shelf, [base, first, second, full]) = Shelf::filled();
    let before = shelf.objects();
    for (id, by) in [
        (base, format!("checkpoint {first}")),
        (first, format!("checkpoint {second}")),
        (full, "_latest".to_owned()),
    ] {
        let error = one_line(&shelf.run("rm", &[&id.to_string()]), 1);
        assert!(
            error.contains(&format!("checkpoint {id} is needed by {by}")),
            "{error}"
        );
    }
    let newer = shelf.take(5, None);
    let error = one_line(&shelf.run("rm", &[&newer.to_string()]), 1);
    assert!(error.contains("it is newer than _latest"), "{error}");
    assert!(shelf.objects().is_superset(&before));
}

#[test]
fn a_whole_chain_goes_whatever_the_order_it_is_named_in() {
    let (shelf, [base, first, second, full]) = Shelf::filled();
    let nowhere = "018bcfe5-6800-7707-8707-070707070707";
    let before = shelf.objects();
    let error = one_line(&shelf.run("rm", &[&second.to_string(), nowhere]), 1);
    assert!(
        error.contains(&format!("there is no checkpoint {nowhere}")),
        "{error}"
    );
    assert_eq!(shelf.objects(), before, "all of it is looked at first");

    let chain = [base, second, first, second].map(|id| id.to_string());
    let text = printed(&shelf.run("rm", &chain.each_ref().map(String::as_str)), 0);
    assert_eq!(
        text,
        format!("removed {second}\nremoved {first}\nremoved {base}\n")
    );
    let id = full.to_string();
    for object in shelf.objects() {
        assert!(
            object.starts_with(&id) || object.ends_with("_latest"),
            "{}",
            object.display()
        );
    }
}

#[test]
fn a_dry_run_tells_what_the_prune_then_does() {
    let (shelf, [base, first, second, full]) = Shelf::filled();
    let half = shelf.begin();
    let before = shelf.objects();
    // Within the grace period everything stays.
    let lines = shelf.json("prune", &["--keep", "1"], 0);
    assert_eq!(lines[0]["objects"], 0);
    assert_eq!(shelf.objects(), before);

    let now = ["--keep", "1", "--grace", "0s"];
    let bytes: u64 = before
        .iter()
        .filter(|path| !path.starts_with(full.to_string()) && !path.ends_with("_latest"))
        .map(|path| fs::metadata(shelf.path(&path.to_string_lossy())).unwrap().len())
        .sum();
    let expected = |dry_run: bool| {
        json!({
            "dry_run": dry_run, "checkpoints": [base, first, second], "abandoned": [half],
            "objects": 13, "bytes": bytes,
        })
    };
    let dry = [&now[..], &["--dry-run"]].concat();
    assert_eq!(shelf.json("prune", &dry, 0), [expected(true)]);
    let text = printed(&shelf.run("prune", &dry), 0);
    assert!(
        text.starts_with(&format!("would remove {base}\nwould remove {first}\n")),
        "{text}"
    );
    assert!(
        text.contains(&format!("would remove {half}, which was never completed\n")),
        "{text}"
    );
    assert!(
        text.contains("would remove 3 checkpoints and 1 never completed: 13 objects, "),
        "{text}"
    );
    assert_eq!(shelf.objects(), before);

    assert_eq!(shelf.json("prune", &now, 0), [expected(false)]);
    let id = full.to_string();
    let left = shelf.objects();
    let others = left.iter().filter(|object| !object.starts_with(&id));
    // The pointer, and the mark that tells the writer.
    assert_eq!(others.count(), 2, "{left:?}");
    assert!(shelf.run("verify", &["--all"]).status.success());
}

#[test]
fn what_a_kept_checkpoint_builds_on_is_kept() {
    let shelf = Shelf::empty();
    let old = shelf.take(1, None);
    let base = shelf.take(2, None);
    let delta = shelf.take(3, Some(base));
    shelf.announce(delta);
    let lines = shelf.json("prune", &["--keep", "1", "--grace", "0s"], 0);
    assert_eq!(lines[0]["checkpoints"], json!([old]));
    assert!(shelf.run("verify", &[]).status.success());
}
