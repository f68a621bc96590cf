//! `alluvium cursors ls`, `show`, `reset` and `rm`, in a directory and in a bucket.

use std::fs;
use std::sync::Arc;

use alluvium::{CursorStore, CursorStoreError, LogCursor, Scope, StreamLog};
use serde_json::{Value, json};

use crate::desk::Desk;

/// Cursors of a stream, each as far as this.
async fn keep(desk: &Desk, store: &Arc<dyn CursorStore>, stream: &str, cursors: &[(&str, u64)]) {
    let log = Arc::new(StreamLog::open(desk.client.clone(), stream).await.unwrap());
    for (name, at) in cursors {
        let cursor = LogCursor::builder(log.clone(), Scope::all()).held_in(store.clone(), *name);
        let mut cursor = cursor.open().await.unwrap();
        while cursor.position().sequence.get() < *at {
            cursor.poll().await.unwrap();
        }
        cursor.commit().await.unwrap();
    }
}

/// The places that cursors are in, with the options that name them.
async fn places(desk: &Desk, bucket: &str) -> Vec<(Arc<dyn CursorStore>, [String; 2])> {
    let files: Arc<dyn CursorStore> = Arc::new(desk.files());
    vec![
        (files, ["--state".to_owned(), desk.state()]),
        (
            desk.cursors_in(bucket).await,
            ["--kv".to_owned(), bucket.to_owned()],
        ),
    ]
}

fn with<'a>(arguments: &[&'a str], place: &'a [String; 2]) -> Vec<&'a str> {
    let mut all = vec!["cursors"];
    all.extend(arguments);
    all.extend(place.iter().map(String::as_str));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_are_listed_and_shown() {
    let desk = Desk::new().await;
    desk.stream("LISTED", 10).await;
    for (store, place) in places(&desk, "listed").await {
        assert!(desk.json(&with(&["ls"], &place), 0).await.is_empty());
        let names = [("mailer", 4), ("../a b", 10), ("ä", 0)];
        keep(&desk, &store, "LISTED", &names).await;
        let lines = desk.json(&with(&["ls"], &place), 0).await;
        let told: Vec<[&Value; 5]> = lines
            .iter()
            .map(|line| ["name", "log", "sequence", "lag", "problem"].map(|field| &line[field]))
            .collect();
        let none = Value::Null;
        assert_eq!(
            told,
            [
                [&json!("../a b"), &json!("LISTED"), &json!(10), &json!(0), &none],
                [&json!("mailer"), &json!("LISTED"), &json!(4), &json!(6), &none],
                [&json!("ä"), &json!("LISTED"), &json!(0), &json!(10), &none],
            ]
        );
        let table = String::from_utf8(desk.run(&with(&["ls"], &place)).await.stdout).unwrap();
        let mailer = table
            .lines()
            .find(|line| line.starts_with("mailer"))
            .expect("it is listed");
        let words: Vec<&str> = mailer.split_whitespace().collect();
        assert_eq!(
            (words[1], words[2], words[words.len() - 2]),
            ("LISTED", "4", "6"),
            "{table}"
        );

        let shown = &desk.json(&with(&["show", "mailer"], &place), 0).await[0];
        assert_eq!(shown, lines.iter().find(|line| line["name"] == "mailer").unwrap());
        assert_eq!(shown["scope"], json!([">"]));
        let text = String::from_utf8(desk.run(&with(&["show", "mailer"], &place)).await.stdout).unwrap();
        assert!(
            text.contains("cursor   4, stored 20") && text.contains("lag      6\n"),
            "{text}"
        );
        let told = desk.fails(&with(&["show", "nobody"], &place), 1).await;
        assert!(told.contains("there is no cursor nobody in"), "{told}");
    }
}

/// Whoever holds the cursor finds out, and nothing moves without being asked twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_moved_and_its_holder_is_fenced() {
    let desk = Desk::new().await;
    let stream = desk.stream("MOVED", 10).await;
    stream.purge().sequence(3).await.unwrap();
    for (store, place) in places(&desk, "moved").await {
        keep(&desk, &store, "MOVED", &[("mailer", 6)]).await;
        let at = async || store.load("mailer").await.unwrap().unwrap().cursor.sequence.get();
        let held = store.hold("mailer").await.unwrap();
        let told = desk
            .fails(&with(&["reset", "mailer", "--to-oldest"], &place), 2)
            .await;
        assert!(
            told.contains("from 6 to 2") && told.contains("add --yes"),
            "{told}"
        );
        let record = held.load().await.unwrap().unwrap();
        held.save(&record).await.expect("it is not fenced");

        let mut was = 6;
        for (target, is) in [
            (&["--to-oldest"][..], 2),
            (&["--to-sequence", "8"], 7),
            (&["--to-sequence", "1"], 2),
            (&["--to-sequence", "11"], 10),
            (&["--to-sequence", "3"], 2),
            (&["--to-end"], 10),
        ] {
            let arguments = [&["reset", "mailer", "--yes"], target].concat();
            let told = &desk.json(&with(&arguments, &place), 0).await[0];
            assert_eq!(
                (&told["was"], &told["sequence"]),
                (&json!(was), &json!(is)),
                "{target:?}"
            );
            assert_eq!(at().await, is);
            was = is;
        }
        let fenced = held.save(&record).await;
        assert!(
            matches!(fenced, Err(CursorStoreError::Fenced { .. })),
            "{fenced:?}"
        );
        let text = desk
            .run(&with(&["reset", "mailer", "--yes", "--to-oldest"], &place))
            .await;
        let text = String::from_utf8(text.stdout).unwrap();
        assert_eq!(
            text,
            "mailer: was at 10, is at 2: 3 or what follows it comes next\n"
        );

        for wrong in [
            &["--to-sequence", "12"][..],
            &["--to-sequence", "0"],
            &["--to-sequence", "x"],
            &[],
        ] {
            let arguments = [&["reset", "mailer", "--yes"], wrong].concat();
            desk.fails(&with(&arguments, &place), 2).await;
        }
        let told = desk
            .fails(&with(&["reset", "nobody", "--yes", "--to-end"], &place), 1)
            .await;
        assert!(told.contains("there is no cursor nobody"), "{told}");
        assert_eq!(at().await, 2);
    }
    // What is moved is gone on from.
    let mut tail = desk.tail(&["MOVED", "--cursor", "mailer", "--kv", "moved"]);
    assert_eq!(tail.line().await["sequence"], 3);
    tail.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_are_removed() {
    let desk = Desk::new().await;
    desk.stream("RMOVED", 3).await;
    for (store, place) in places(&desk, "rmoved").await {
        keep(&desk, &store, "RMOVED", &[("a", 1), ("b", 2), ("c", 3)]).await;
        let held = store.hold("a").await.unwrap();
        let record = held.load().await.unwrap().unwrap();
        // All or none.
        let told = desk.fails(&with(&["rm", "a", "nobody"], &place), 1).await;
        assert!(told.contains("there is no cursor nobody"), "{told}");
        let removed = desk.json(&with(&["rm", "c", "a", "a"], &place), 0).await;
        assert_eq!(removed, [json!({ "removed": "a" }), json!({ "removed": "c" })]);
        assert_eq!(store.list().await.unwrap(), ["b"]);
        let fenced = held.save(&record).await;
        assert!(
            matches!(fenced, Err(CursorStoreError::Fenced { .. })),
            "{fenced:?}"
        );
        desk.fails(&with(&["rm", "a"], &place), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_named_and_can_be_removed() {
    let desk = Desk::new().await;
    desk.stream("DAMAGED", 3).await;
    for (store, place) in places(&desk, "damaged").await {
        keep(&desk, &store, "DAMAGED", &[("sound", 2), ("torn", 2)]).await;
        if place[0] == "--kv" {
            let bucket = desk.context.get_key_value("damaged").await.unwrap();
            bucket.put("cursor.torn", "garbage".into()).await.unwrap();
        } else {
            let file = desk.path("state/cursors/torn.ckpt");
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        }
        let lines = desk.json(&with(&["ls"], &place), 1).await;
        assert_eq!(
            (&lines[0]["name"], &lines[0]["sequence"]),
            (&json!("sound"), &json!(2))
        );
        assert_eq!(lines[1]["name"], "torn");
        assert!(
            lines[1]["damage"].as_str().unwrap().contains("is damaged"),
            "{lines:?}"
        );
        let told = desk.fails(&with(&["ls"], &place), 1).await;
        assert!(told.contains("1 of 2 cursors cannot be read"), "{told}");
        for arguments in [&["show", "torn"][..], &["reset", "torn", "--to-end", "--yes"]] {
            let told = desk.fails(&with(arguments, &place), 1).await;
            assert!(told.contains("torn") && told.contains("is damaged"), "{told}");
        }
        let tail = ["tail", "DAMAGED", "--cursor", "torn", &place[0], &place[1]];
        assert!(desk.fails(&tail, 1).await.contains("is damaged"));
        desk.json(&with(&["rm", "torn"], &place), 0).await;
        assert_eq!(desk.json(&with(&["ls"], &place), 0).await.len(), 1);
    }
}

/// What has become of its log is said of each cursor, and a server that is not there keeps nobody from reading files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_says_of_a_cursor() {
    let desk = Desk::new().await;
    let store: Arc<dyn CursorStore> = Arc::new(desk.files());
    for name in ["PURGED", "REMADE", "DELETED"] {
        desk.stream(name, 5).await;
        keep(&desk, &store, name, &[(&name.to_lowercase(), 2)]).await;
    }
    let purged = desk.context.get_stream("PURGED").await.unwrap();
    purged.purge().sequence(5).await.unwrap();
    for name in ["REMADE", "DELETED"] {
        desk.context.delete_stream(name).await.unwrap();
    }
    desk.stream("REMADE", 5).await;
    let state = desk.state();
    let ls = ["cursors", "ls", "--state", &state];
    let lines = desk.json(&ls, 0).await;
    let told: Vec<[&Value; 3]> = lines
        .iter()
        .map(|line| ["name", "lag", "problem"].map(|field| &line[field]))
        .collect();
    let none = Value::Null;
    assert_eq!(
        told,
        [
            [&json!("deleted"), &none, &json!("the log is gone")],
            [
                &json!("purged"),
                &json!(3),
                &json!("2 messages after it: gone from the log")
            ],
            [
                &json!("remade"),
                &none,
                &json!("the log was deleted and created again")
            ],
        ]
    );
    let nobody = ["--server", "nats://127.0.0.1:1"];
    let output = desk.run(&[&ls[..], &nobody].concat()).await;
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("nobody says what comes after the cursors: cannot connect"),
        "{told}"
    );
    let output = desk.run(&[&ls[..], &nobody, &["--offline"]].concat()).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let reset = [
        "cursors", "reset", "--state", &state, "purged", "--to-end", "--yes",
    ];
    assert!(
        desk.fails(&[&reset[..], &nobody].concat(), 1)
            .await
            .contains("cannot connect")
    );

    // Moved, a cursor is one of the log that is there.
    let remade = [
        "cursors",
        "reset",
        "--state",
        &state,
        "remade",
        "--to-sequence",
        "5",
        "--yes",
    ];
    let tail = ["tail", "REMADE", "--cursor", "remade", "--state", &state];
    let told = desk.fails(&tail, 1).await;
    assert!(
        told.contains("deleted and created again") && told.contains("reset the cursor"),
        "{told}"
    );
    let told = &desk.json(&remade, 0).await[0];
    assert_eq!(told["sequence"], 4);
    assert_ne!(told["log_created"], told["was_log_created"]);
    let mut tail = desk.tail(&tail[1..]);
    assert_eq!(tail.line().await["sequence"], 5);
    tail.finish().await;
}
