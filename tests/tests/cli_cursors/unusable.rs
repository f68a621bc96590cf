//! What is wrong from the beginning is one line, and makes nothing.

use crate::desk::Desk;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_is_told_before_anything_is_done() {
    let desk = Desk::new().await;
    desk.stream("USAGE", 1).await;
    for arguments in [
        &["--filter", "a..b"][..],
        &["--filter", "a b"],
        &["--filter", ">.a"],
        &["--from", "yesterday"],
        &["--from", "-1"],
        &["--batch", "0"],
        &["--cursor", "a"],
        &["--state", "state"],
        &["--kv", "cursors"],
        &["--cursor", "a", "--state", "state", "--kv", "cursors"],
        &["--exec-timeout", "5s"],
        &["--deadline", "soon"],
        &["--max-restarts", "-1"],
    ] {
        desk.fails(&[&["tail", "USAGE"], arguments].concat(), 2).await;
    }
    for arguments in [&["tail"][..], &["tail", ""], &["tail", "KV:"], &["cursors"]] {
        desk.fails(arguments, 2).await;
    }
    for arguments in [
        &["ls"][..],
        &["ls", "--state", "state", "--kv", "cursors"],
        &["show", "--state", "state"],
        &["rm", "--state", "state"],
        &["reset", "--state", "state", "a", "--yes"],
        &["reset", "--state", "state", "a", "--to-end", "--to-oldest"],
    ] {
        desk.fails(&[&["cursors"], arguments].concat(), 2).await;
    }
    assert!(!desk.path("state").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_told() {
    let desk = Desk::new().await;
    desk.stream("THERE", 1).await;
    let state = desk.state();
    for (arguments, words) in [
        (&["tail", "NOWHERE"][..], "NOWHERE does not exist"),
        (&["tail", "a.b"], "does not exist"),
        (&["tail", "a/b"], "does not exist"),
        (&["tail", "KV:nowhere"], "the bucket nowhere does not exist"),
        (&["tail", "KV:a.b"], "a.b"),
        (
            &["tail", "THERE", "--cursor", "a", "--kv", "nowhere"],
            "mend --kv, or create it",
        ),
        (
            &["tail", "THERE", "--cursor", "a", "--kv", "a b"],
            "cannot name a bucket",
        ),
        (&["cursors", "ls", "--kv", "nowhere"], "mend --kv, or create it"),
        (&["cursors", "ls", "--state", &state], "there are no cursors in"),
        (
            &["cursors", "rm", "--state", &state, "a"],
            "there are no cursors in",
        ),
    ] {
        let told = desk.fails(arguments, 1).await;
        let error = told.lines().last().expect("a line");
        assert!(
            error.starts_with("error: ") && error.contains(words),
            "{arguments:?}: {told}"
        );
    }
    assert!(!desk.path("state").exists());
    // A file where a directory is to be.
    std::fs::write(desk.path("file"), "").unwrap();
    let file = desk.path("file").display().to_string();
    let told = desk
        .fails(&["tail", "THERE", "--cursor", "a", "--state", &file], 1)
        .await;
    assert!(told.contains("cannot create"), "{told}");
}

/// A name belongs to one stream and one set of filters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_something_else_is_refused() {
    let desk = Desk::new().await;
    desk.stream("ONE", 3).await;
    desk.stream("TWO", 3).await;
    let state = desk.state();
    let place = ["--cursor", "mailer", "--state", &state];
    let mut tail = desk.tail(&[&["ONE"], &place[..]].concat());
    tail.sequences(3).await;
    desk.wait_for_cursor("mailer", 3).await;
    tail.finish().await;
    for arguments in [&["TWO"][..], &["ONE", "--filter", "one.eu"]] {
        let told = desk.fails(&[&["tail"], arguments, &place[..]].concat(), 1).await;
        assert!(told.contains("the cursor is of ONE (scope >), not of"), "{told}");
    }
    assert_eq!(desk.stored("mailer").await, 3);
}
