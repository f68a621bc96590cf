//! What a running `alluvium replicate` says of itself: what it is at, since when, and why.

use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::{NatsServer, Proxy};
use async_nats::jetstream::stream;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::desk::{Desk, PATIENCE, error, json_lines, stdout};

/// Keys of a bucket that takes a while to be listed.
const MANY: u64 = 20_000;
/// Puts that are on their way at a time.
const AT_A_TIME: u64 = 500;

/// The stream behind a bucket `b`.
fn config(max_messages: i64) -> stream::Config {
    stream::Config {
        name: "KV_b".to_owned(),
        subjects: vec!["$KV.b.>".to_owned()],
        max_messages_per_subject: 1,
        max_messages,
        allow_direct: true,
        allow_rollup: true,
        ..stream::Config::default()
    }
}

/// Puts many keys.
async fn fill(bucket: &Bucket) {
    for begin in (0..MANY).step_by(AT_A_TIME.try_into().unwrap()) {
        let mut acks = Vec::new();
        for number in begin..begin + AT_A_TIME {
            let subject = format!("$KV.b.new.{number}");
            acks.push(bucket.context.publish(subject, "1".into()).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }
}

fn is_live(line: &Value) -> bool {
    line["state"] == "live" && line["reason"].is_null() && line["error"].is_null() && line["stale"] == false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_made_again_under_it_is_reconciled_with_and_it_says_why() {
    const WHY: &str = "the log was deleted and created again";
    let server = NatsServer::start().await;
    let bucket = Bucket::of_stream(&server, "b", config(-1)).await;
    bucket.put("old", "1").await;
    let (desk, other) = (Desk::new(), Desk::new());
    let proxy = Proxy::start(server.port()).await;
    let mut follower = desk.follow(&proxy.url(), "b", &["--json"]);
    let mut for_people = other.follow(&proxy.url(), "b", &[]);
    let before = follower.tells("that it is live", is_live).await;
    for_people.says("live at 1 of 1").await;
    // It is whole before they see it.
    proxy.stall(true);
    bucket.context.delete_stream("KV_b").await.unwrap();
    let bucket = Bucket::of_stream(&server, "b", config(-1)).await;
    fill(&bucket).await;
    proxy.stall(false);

    let reconciling = follower.becomes("reconciling").await;
    assert_eq!(reconciling["reason"], WHY, "{reconciling}");
    assert_eq!(reconciling["stale"], true, "{reconciling}");
    let progress = &reconciling["reconcile"];
    assert!(
        progress["listed"].as_u64() <= progress["of"].as_u64(),
        "{reconciling}"
    );
    assert!(
        before["since"].as_str() < reconciling["since"].as_str(),
        "{reconciling}"
    );
    let live = follower.tells("that it is live", is_live).await;
    assert!(live["reconcile"].is_null(), "{live}");
    let said = for_people.says("reconciling, ").await;
    assert!(
        said.contains(" listed, since 20") && said.ends_with(WHY),
        "{said}"
    );
    for_people.says(&format!("live at {MANY} of {MANY}")).await;
    for (desk, follower) in [(desk, follower), (other, for_people)] {
        follower.signal("TERM");
        assert!(follower.ended().await.status.success());
        let keys = stdout(&desk.run(&["scan"]).await);
        assert_eq!(keys.lines().count() as u64, MANY);
        assert!(!keys.contains("old"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_is_told_with_since_when_and_that_it_is_back() {
    let mut server = NatsServer::start().await;
    let bucket = Bucket::of_stream(&server, "b", config(-1)).await;
    bucket.put("before", "1").await;
    let (desk, other) = (Desk::new(), Desk::new());
    let often = ["--bounds-every", "250ms", "--timeout", "1s"];
    let mut follower = desk.follow(&server.url(), "b", &[&often[..], &["--json"]].concat());
    let mut for_people = other.follow(&server.url(), "b", &often);
    let before = follower.tells("that it is live", is_live).await;
    for_people.says("live at 1 of 1").await;
    server.kill().await;
    let stalled = follower.becomes("stalled").await;
    let why = stalled["reason"].as_str().unwrap();
    assert!(why.contains("cannot read its log"), "{stalled}");
    assert_eq!(
        (&stalled["stale"], &stalled["error"].is_string()),
        (&json!(true), &true),
        "{stalled}"
    );
    // Since the log was heard last, and not only since it is called that.
    assert!(stalled["for_seconds"].as_f64() >= Some(10.0), "{stalled}");
    assert!(before["since"].as_str() <= stalled["since"].as_str(), "{stalled}");
    let said = for_people.says("stalled at 1 of 1 since 20").await;
    assert!(
        said.starts_with("stalled ") && said.contains(": the replica cannot read its log: "),
        "{said}"
    );

    server.restart().await;
    let live = follower.tells("that it is live", is_live).await;
    assert!(stalled["since"].as_str() < live["since"].as_str(), "{live}");
    let said = for_people.says(" at 1 of 1, after ").await;
    assert!(said.ends_with("s stalled"), "{said}");
    let last = bucket.put("after", "1").await;
    follower
        .tells("what came after", |line| line["cursor"] == last.get())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_soon_it_forgets_what_the_bucket_forgets_is_an_option() {
    const HELD: i64 = 3;
    /// By the default, these would take longer than anything is waited for.
    const ROUNDS: u64 = 14;
    let server = NatsServer::start().await;
    let bucket = Bucket::of_stream(&server, "b", config(HELD)).await;
    for number in 0..HELD {
        bucket.put(&format!("k{number}"), "1").await;
    }
    let desk = Desk::new();
    let mut follower = desk.follow(&server.url(), "b", &["--json", "--bounds-every", "100ms"]);
    let begun = follower.tells("that it is live", is_live).await;
    let mut changes = begun["changes"].as_u64().unwrap();
    let rounds = async {
        for round in 0..ROUNDS {
            bucket.put(&format!("more{round}"), "1").await;
            // What is put, and what went for it.
            changes += 2;
            let what = "that a key was forgotten";
            follower.tells(what, |line| line["changes"] == changes).await;
        }
    };
    timeout(PATIENCE, rounds).await.expect("it forgets soon");
    follower.signal("TERM");
    assert!(follower.ended().await.status.success());
    let keys = stdout(&desk.run(&["scan"]).await);
    assert_eq!(keys, "more11\t1\nmore12\t1\nmore13\t1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_keeps_its_mode() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("k", "1").await;
    let url = server.url();
    for (given, mode, other) in [
        (&[][..], "a mirror", "archive"),
        (&["--mode", "mirror"], "a mirror", "archive"),
        (&["--mode", "archive"], "an archive", "mirror"),
    ] {
        let desk = Desk::new();
        assert!(desk.replicate(&url, "b", given).await.status.success());
        let status = &json_lines(&desk.run(&["status", "--json"]).await)[0];
        assert!(mode.ends_with(status["mode"].as_str().unwrap()), "{status}");
        assert_eq!(status["evicts"], false, "{status}");
        let said = error(&desk.replicate(&url, "b", &["--mode", other]).await);
        assert!(
            said.contains(&format!("holds {mode}, and a table keeps its mode")),
            "{said}"
        );
        assert!(desk.replicate(&url, "b", &[]).await.status.success());
    }
}
