//! `alluvium tail` to standard output.

use alluvium_e2e::nats_server::signal;
use serde_json::json;

use crate::desk::{Desk, PATIENCE, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_is_a_line_of_json() {
    let desk = Desk::new().await;
    desk.stream("FORMS", 0).await;
    let mut headers = async_nats::HeaderMap::new();
    headers.append("Via", "x");
    headers.append("Via", "y");
    let publish = desk
        .context
        .publish_with_headers("forms.a", headers, "2 \"lemons\"\n".into());
    publish.await.unwrap().await.unwrap();
    desk.context
        .publish("forms.b", vec![0, 159, 255].into())
        .await
        .unwrap()
        .await
        .unwrap();

    let mut tail = desk.tail(&["FORMS"]);
    let first = tail.line().await;
    assert_eq!(first["sequence"], 1);
    assert_eq!(first["subject"], "forms.a");
    assert_eq!(first["headers"], json!({ "Via": ["x", "y"] }));
    assert_eq!(first["value"], "2 \"lemons\"\n");
    let timestamp = first["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 30 && timestamp.ends_with('Z'), "{timestamp}");
    let second = tail.line().await;
    assert_eq!(
        (&second["value_base64"], second.get("value")),
        (&json!("AJ//"), None)
    );
    let told = tail.finish().await;
    assert!(told.contains("stopped at 2: 2 messages in"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_tells_what_became_of_its_keys() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("forms").await;
    bucket.put("a", "1".into()).await.unwrap();
    bucket.put("b.c", "2".into()).await.unwrap();
    bucket.delete("a").await.unwrap();
    let mut tail = desk.tail(&["KV:forms"]);
    let put = tail.line().await;
    assert_eq!(
        (&put["key"], &put["operation"], &put["value"]),
        (&json!("a"), &json!("put"), &json!("1"))
    );
    assert_eq!(tail.line().await["key"], "b.c");
    let delete = tail.line().await;
    assert_eq!(
        (&delete["operation"], &delete["reason"]),
        (&json!("delete"), &json!("deleted"))
    );
    assert_eq!(delete.get("value"), None);
    tail.finish().await;

    let mut tail = desk.tail(&["KV:forms", "--filter", "b.>"]);
    assert_eq!(tail.line().await["sequence"], 2);
    tail.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_where_it_is_told_and_leaves_out_what_is_not_meant() {
    let desk = Desk::new().await;
    desk.stream("BEGIN", 10).await;
    for (arguments, expected) in [
        (&["--from", "8"][..], vec![8, 9, 10]),
        (
            &["--filter", "begin.eu", "--filter", "begin.none"],
            vec![1, 3, 5, 7, 9],
        ),
        (&["--filter", "begin.us", "--from", "7"], vec![8, 10]),
    ] {
        let mut tail = desk.tail(&[&["BEGIN"], arguments].concat());
        assert_eq!(tail.sequences(*expected.last().unwrap()).await, expected);
        tail.finish().await;
    }
    // Whatever is printed first was stored after it had begun.
    let state = desk.state();
    let next = ["BEGIN", "--from", "next", "--cursor", "next", "--state", &state];
    let mut tail = desk.tail(&next);
    desk.wait_for_cursor("next", 10).await;
    desk.publish("BEGIN", 1).await;
    assert_eq!(tail.line().await["sequence"], 11);
    tail.finish().await;
    // And where there is a cursor it goes on.
    desk.publish("BEGIN", 1).await;
    let mut tail = desk.tail(&next);
    assert_eq!(tail.line().await["sequence"], 12);
    tail.finish().await;
}

/// Killed at any moment, it goes on with what was not committed: everything is printed, in order, and twice is at most what
/// had been printed since the last commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_sigkill_it_goes_on() {
    const MESSAGES: u64 = 8_000;
    const BATCH: u64 = 16;
    let desk = Desk::new().await;
    desk.stream("KILLED", MESSAGES).await;
    let state = desk.state();
    let arguments = ["KILLED", "--cursor", "mailer", "--state", &state, "--batch", "16"];
    let mut printed = 0;
    for round in 1..=5 {
        let begins = desk.stored("mailer").await + 1;
        assert!(begins <= printed + 1, "{begins} was never printed");
        assert!(
            printed + 1 - begins <= BATCH,
            "{begins} comes again after {printed}"
        );
        let mut tail = desk.tail(&arguments);
        let mut lines = tail.sequences(printed.max(begins) + round * 20).await;
        tail.signal("KILL");
        let (_, rest) = tail.ended().await;
        lines.extend(rest);
        printed = *lines.last().unwrap();
        assert_eq!(lines, (begins..=printed).collect::<Vec<_>>());
    }
    let mut tail = desk.tail(&arguments);
    assert_eq!(tail.sequences(MESSAGES).await.last(), Some(&MESSAGES));
    tail.finish().await;
    assert_eq!(desk.stored("mailer").await, MESSAGES);
}

/// What nobody could read is not done, and nobody is to blame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pipe_ends_it_well_and_commits_nothing_more() {
    let desk = Desk::new().await;
    desk.stream("PIPE", 1).await;
    let mut tail = desk.tail(&["PIPE", "--cursor", "reader", "--state", &desk.state()]);
    tail.line().await;
    desk.wait_for_cursor("reader", 1).await;
    // Stopped, it finds out only when there is something to print.
    tail.signal("STOP");
    let pid = tail.pid();
    let process = tail.stop_reading();
    desk.publish("PIPE", 3).await;
    signal(pid, "CONT");
    let output = tokio::time::timeout(PATIENCE, process.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!said(&output).contains("error"), "{output:?}");
    assert_eq!(desk.stored("reader").await, 1);
    // Whoever comes next is given it.
    let mut tail = desk.tail(&["PIPE", "--cursor", "reader", "--state", &desk.state()]);
    assert_eq!(tail.sequences(4).await, [2, 3, 4]);
    tail.finish().await;
}

/// Also if there is nothing to print for a long time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_when_its_reader_goes_away() {
    let desk = Desk::new().await;
    desk.stream("LEFT", 1).await;
    let mut tail = desk.tail(&["LEFT"]);
    tail.line().await;
    let process = tail.stop_reading();
    let output = tokio::time::timeout(PATIENCE, process.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    assert!(output.status.success(), "{output:?}");
    // A file has no reader, and everything is written to it.
    let file = std::fs::File::create(desk.path("lines")).unwrap();
    let arguments = ["tail", "LEFT", "--cursor", "file", "--state", &desk.state()];
    let mut process = desk.command(&arguments).stdout(file).spawn().unwrap();
    desk.wait_for_cursor("file", 1).await;
    desk.publish("LEFT", 2).await;
    desk.wait_for_cursor("file", 3).await;
    assert_eq!(process.try_wait().unwrap(), None);
    let lines = std::fs::read_to_string(desk.path("lines")).unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_cursor_taken_away_ends_and_says_so() {
    let desk = Desk::new().await;
    desk.stream("FENCED", 3).await;
    let cursors = desk.cursors_in("fenced").await;
    let arguments = ["FENCED", "--cursor", "mailer", "--kv", "fenced"];
    let mut first = desk.tail(&arguments);
    first.sequences(3).await;
    let is_at = async |sequence: u64| {
        let arrives = async {
            loop {
                let record = cursors.load("mailer").await.unwrap();
                if record.is_some_and(|record| record.cursor.sequence.get() == sequence) {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, arrives)
            .await
            .expect("the cursor moves");
    };
    is_at(3).await;
    // From when it has begun, the second holds the name.
    desk.publish("FENCED", 1).await;
    first.sequences(4).await;
    is_at(4).await;
    let mut second = desk.tail(&["FENCED", "--cursor", "mailer", "--kv", "fenced", "--json"]);
    second.says("\"event\":\"start\"").await;
    desk.publish("FENCED", 1).await;
    assert_eq!(second.sequences(5).await, [5]);
    let (output, _) = first.ended().await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = said(&output);
    assert!(told.contains("\"mailer\" was taken over or removed"), "{told}");
    is_at(5).await;
    second.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_are_told() {
    let desk = Desk::new().await;
    let stream = desk.stream("HOLES", 9).await;
    stream.delete_message(3).await.unwrap();
    let mut tail = desk.tail(&["HOLES", "--cursor", "reader", "--state", &desk.state()]);
    tail.sequences(9).await;
    desk.wait_for_cursor("reader", 9).await;
    let told = tail.finish().await;
    assert!(
        told.contains("gap: expected 3, got 4: 3 to 3 (removed)"),
        "{told}"
    );

    desk.publish("HOLES", 6).await;
    stream.purge().sequence(13).await.unwrap();
    let mut tail = desk.tail(&["HOLES", "--cursor", "reader", "--state", &desk.state(), "--json"]);
    assert_eq!(tail.sequences(15).await, [13, 14, 15]);
    let told = tail.finish().await;
    let gap = told
        .lines()
        .find(|line| line.contains("\"event\":\"gap\""))
        .expect("it is told");
    let gap: serde_json::Value = serde_json::from_str(gap).unwrap();
    let missing = json!([{ "first": 10, "last": 12, "reason": "evicted", "certain": true }]);
    assert_eq!(
        (&gap["expected"], &gap["missing"]),
        (&json!(10), &missing),
        "{gap}"
    );
}
