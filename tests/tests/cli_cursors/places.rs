//! Places for cursors that go wrong while a tail runs.

use std::fs;
use std::path::Path;

use alluvium::{CursorStore as _, FileCursorStore};
use alluvium_e2e::SmallDisk;

use crate::desk::{Desk, PATIENCE, said};

async fn wait_for_cursor(state: &Path, sequence: u64) {
    let store = FileCursorStore::open(state).unwrap();
    let arrives = async {
        while store
            .load("mailer")
            .await
            .unwrap()
            .is_none_or(|record| record.cursor.sequence.get() != sequence)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, arrives)
        .await
        .expect("the cursor moves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_vanishes_ends_it() {
    let desk = Desk::new().await;
    desk.stream("VANISH", 2).await;
    let state = desk.state();
    let mut tail = desk.tail(&["VANISH", "--cursor", "mailer", "--state", &state]);
    tail.sequences(2).await;
    wait_for_cursor(&desk.path("state"), 2).await;
    fs::remove_dir_all(desk.path("state")).unwrap();
    desk.publish("VANISH", 1).await;
    let (output, _) = tail.ended().await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("cannot save its cursor") && told.contains("mailer.lock"),
        "{told}"
    );
    assert!(told.contains("stopped at 2"), "{told}");
    assert!(
        !desk.path("state").exists(),
        "nothing is made anew behind somebody's back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_turns_read_only_ends_it() {
    let desk = Desk::new().await;
    desk.stream("READONLY", 2).await;
    let place = SmallDisk::of("4m");
    let state = place.path().display().to_string();
    let arguments = ["READONLY", "--cursor", "mailer", "--state", &state];
    let mut tail = desk.tail(&arguments);
    tail.sequences(2).await;
    wait_for_cursor(place.path(), 2).await;
    place.read_only();
    desk.publish("READONLY", 1).await;
    let (output, _) = tail.ended().await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("Read-only file system"), "{told}");
    // What was committed last stands, and can still be read.
    wait_for_cursor(place.path(), 2).await;
    let told = desk.fails(&[&["tail"], &arguments[..]].concat(), 1).await;
    assert!(told.contains("Read-only file system"), "{told}");
    let rm = ["cursors", "rm", "--state", &state, "mailer"];
    assert!(desk.fails(&rm, 1).await.contains("Read-only file system"));
    assert_eq!(
        desk.json(&["cursors", "ls", "--state", &state], 0).await[0]["sequence"],
        2
    );
}

/// Names lead nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_stay_in_their_place() {
    let desk = Desk::new().await;
    desk.stream("NAMES", 1).await;
    let state = desk.state();
    let names = [
        "a/b",
        "../../outside",
        "..",
        ".",
        "a\\b",
        "%2F",
        "A",
        "a",
        "*",
        ">",
        "-- x",
    ];
    let bucket = desk.cursors_in("names").await;
    for name in names {
        for place in [["--state", &state], ["--kv", "names"]] {
            let option = format!("--cursor={name}");
            let mut tail = desk.tail(&[&["NAMES", &option], &place[..]].concat());
            tail.line().await;
            tail.finish().await;
        }
    }
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    assert_eq!(desk.files().list().await.unwrap(), sorted);
    assert_eq!(bucket.list().await.unwrap(), sorted);
    let outside: Vec<_> = fs::read_dir(desk.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(outside, ["state"]);

    let (long, longer) = ("x".repeat(300), "/".repeat(100));
    for name in ["", "a\nb", "\u{1b}[2J", &long, &longer] {
        let option = format!("--cursor={name}");
        desk.fails(&["tail", "NAMES", &option, "--state", &state], 2)
            .await;
        if !name.is_empty() {
            desk.fails(&["cursors", "show", "--state", &state, "--", name], 2)
                .await;
        }
    }
    // The operating system itself lets no NUL be typed.
    let error = desk
        .command(&["tail", "NAMES", "--cursor", "a\0b"])
        .spawn()
        .expect_err("it cannot be run");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(desk.files().list().await.unwrap(), sorted);
}
