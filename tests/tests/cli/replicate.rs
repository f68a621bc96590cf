//! `alluvium replicate`, and what it leaves for the commands that read.

use std::time::Duration;

use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use serde_json::json;
use tokio::time::timeout;

use crate::desk::{Desk, error, json_lines, stdout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_replicated_can_be_read_and_verified() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "routes").await;
    for (key, value) in [("a", "1"), ("b.c", "two"), ("gone", "x"), ("empty", "")] {
        bucket.put(key, value).await;
    }
    bucket.delete("gone").await;
    for engine in EngineKind::ALL {
        let desk = Desk::new();
        let url = server.url();
        let done = desk
            .replicate(&url, "routes", &["--state", &engine.url(&desk.state())])
            .await;
        assert!(done.status.success(), "{engine}: {done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.starts_with("filling from 1: "), "{said}");
        // The put of `gone` went when its delete came: the bucket keeps one message of each key.
        assert!(said.contains("read 4 messages, applied 4 changes"), "{said}");

        assert_eq!(desk.run(&["get", "b.c"]).await.stdout, b"two");
        assert_eq!(stdout(&desk.run(&["scan"]).await), "a\t1\nb.c\ttwo\nempty\t\n");
        assert!(error(&desk.run(&["get", "gone"]).await).contains("no key gone"));
        let status = &json_lines(&desk.run(&["status", "--json"]).await)[0];
        assert_eq!(status["cursor"], 5, "{status}");
        assert_eq!(status["bucket"], "routes", "{status}");
        assert_eq!(status["engine"], engine.as_str(), "{status}");

        let verified = desk.run(&["verify", "--bucket", "routes", "-s", &url]).await;
        assert_eq!(stdout(&verified), "equal: 3 keys of the bucket routes, at 5\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_resumes_and_reads_only_what_is_new() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let desk = Desk::new();
    for number in 0..100 {
        bucket.put(&format!("k{number}"), "1").await;
    }
    desk.replicate(&server.url(), "b", &[]).await;
    bucket.put("k1", "2").await;
    bucket.put("k2", "2").await;
    let lines = json_lines(&desk.replicate(&server.url(), "b", &["--json"]).await);
    let [start, .., end] = &lines[..] else {
        panic!("too few lines: {lines:?}")
    };
    let expected = json!({
        "event": "start", "bucket": "b", "state_dir": desk.state_text(), "engine": "fjall", "plan": "resume",
        "from": 101, "cursor": 100, "log_last": 102,
    });
    assert_eq!(*start, expected);
    assert_eq!(end["event"], "end");
    assert_eq!(
        (&end["read"], &end["changes"], &end["cursor"], &end["lag"]),
        (&json!(2), &json!(2), &json!(102), &json!(0)),
        "{end}"
    );
    for line in &lines[1..] {
        for field in [
            "state", "cursor", "log_last", "lag", "rate", "changes", "bytes", "restarts",
        ] {
            assert!(line.get(field).is_some(), "no {field} in {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_was_made_again_is_reconciled_with() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("old", "1").await;
    let desk = Desk::new();
    let url = server.url();
    desk.replicate(&url, "b", &[]).await;
    bucket.context.delete_key_value("b").await.unwrap();
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("new", "1").await;
    let differs = error(&desk.run(&["verify", "--bucket", "b", "-s", &url]).await);
    assert!(differs.contains("deleted and created again"), "{differs}");
    let done = desk.replicate(&url, "b", &[]).await;
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        said.starts_with("reconciling: the log was deleted and created again"),
        "{said}"
    );
    assert_eq!(stdout(&desk.run(&["scan"]).await), "new\t1\n");
    assert!(
        desk.run(&["verify", "--bucket", "b", "-s", &url])
            .await
            .status
            .success()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_is_kept_and_another_one_is_refused() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for key in ["a.x", "b.x", "c.x"] {
        bucket.put(key, "1").await;
    }
    let desk = Desk::new();
    let url = server.url();
    let scope = ["--scope", "c.>", "--scope", "a.*"];
    let done = desk.replicate(&url, "b", &scope).await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(stdout(&desk.run(&["scan"]).await), "a.x\t1\nc.x\t1\n");
    let status = &json_lines(&desk.run(&["status", "--json"]).await)[0];
    assert_eq!(status["scope"], json!(["a.*", "c.>"]));
    // What is out of scope is no difference.
    let verified = desk.run(&["verify", "--bucket", "b", "-s", &url]).await;
    assert!(stdout(&verified).starts_with("equal: 2 keys"), "{verified:?}");
    for other in [&[][..], &["--scope", "a.*"]] {
        let said = error(&desk.replicate(&url, "b", other).await);
        assert!(said.contains("KV_b (scope a.*, c.>, mirror)"), "{said}");
    }
    assert!(desk.replicate(&url, "b", &scope).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_bucket_or_engine_is_refused_and_the_state_stays() {
    let server = NatsServer::start().await;
    let url = server.url();
    Bucket::create(&server, "a").await.put("k", "1").await;
    Bucket::create(&server, "b").await.put("k", "2").await;
    for (engine, other) in [
        (EngineKind::Memory, EngineKind::Fjall),
        (EngineKind::Fjall, EngineKind::RocksDb),
        (EngineKind::RocksDb, EngineKind::Memory),
    ] {
        let desk = Desk::new();
        assert!(
            desk.replicate(&url, "a", &["--state", &engine.url(&desk.state())])
                .await
                .status
                .success()
        );
        let said = error(&desk.replicate(&url, "b", &[]).await);
        assert!(
            said.contains("the state holds KV_a") && said.contains("not KV_b"),
            "{said}"
        );
        let said = error(&desk.run(&["verify", "--bucket", "b", "-s", &url]).await);
        assert!(said.contains("the state holds KV_a"), "{said}");
        let said = error(
            &desk
                .replicate(&url, "a", &["--state", &other.url(&desk.state())])
                .await,
        );
        assert!(
            said.contains(&format!("belongs to the engine {engine}")),
            "{said}"
        );
        assert_eq!(stdout(&desk.run(&["get", "k"]).await), "1");
        // Without a scheme the directory says which.
        assert!(desk.replicate(&url, "a", &[]).await.status.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_exist_leaves_nothing_behind() {
    let server = NatsServer::start().await;
    for name in ["nope", "not a bucket", "a.b", ">"] {
        let desk = Desk::new();
        let said = error(&desk.replicate(&server.url(), name, &[]).await);
        assert!(
            said.contains(&format!("the bucket {name} does not exist on {}", server.url())),
            "{said}"
        );
        assert_eq!(desk.files(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_end_it_gracefully_with_everything_applied() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for (number, name) in ["TERM", "INT"].into_iter().enumerate() {
        let desk = Desk::new();
        let mut follower = desk.follow(&server.url(), "b", &["--json"]);
        follower.prints("\"state\":\"live\"").await;
        let key = format!("k{number}");
        let last = bucket.put(&key, "1").await;
        follower.prints(&format!("\"cursor\":{last},")).await;
        follower.signal(name);
        let output = follower.ended().await;
        let end = json_lines(&output).pop().expect("a last line");
        assert_eq!(
            (&end["event"], &end["state"], &end["cursor"]),
            (&json!("end"), &json!("stopped"), &json!(last.get())),
            "{name}: {end}"
        );
        assert_eq!(desk.run(&["get", &key]).await.stdout, b"1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_while_the_server_is_away() {
    let mut server = NatsServer::start().await;
    Bucket::create(&server, "b").await.put("k", "1").await;
    let desk = Desk::new();
    let mut follower = desk.follow(&server.url(), "b", &[]);
    follower.says("live at").await;
    server.kill().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    follower.signal("TERM");
    let output = timeout(Duration::from_secs(10), follower.ended())
        .await
        .expect("it ends soon");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(desk.run(&["get", "k"]).await.stdout, b"1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_directory_is_refused_and_the_first_goes_on() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("k", "1").await;
    for engine in EngineKind::ALL {
        let desk = Desk::new();
        let mut follower = desk.follow(&server.url(), "b", &["--state", &engine.url(&desk.state())]);
        follower.says("live at").await;
        for second in [
            desk.replicate(&server.url(), "b", &[]).await,
            desk.run(&["get", "k"]).await,
            desk.run(&["status"]).await,
            desk.run(&["verify", "--bucket", "b", "-s", &server.url()]).await,
        ] {
            let said = error(&second);
            assert!(
                said.contains("is in use by another process: stop that one first"),
                "{said}"
            );
        }
        follower.signal("TERM");
        assert!(follower.ended().await.status.success());
        assert_eq!(desk.run(&["get", "k"]).await.stdout, b"1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_deleted_under_it_is_an_error() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    bucket.put("k", "1").await;
    let desk = Desk::new();
    let mut follower = desk.follow(&server.url(), "b", &[]);
    follower.says("live at").await;
    bucket.context.delete_key_value("b").await.unwrap();
    let output = follower.ended().await;
    let said = error(&output);
    assert!(said.contains("KV_b does not exist"), "{said}");
    // What it held is still there.
    assert_eq!(desk.run(&["get", "k"]).await.stdout, b"1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_come_every_second_and_nobody_reading_them_is_no_error() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let last = bucket.put("k", "1").await;
    let desk = Desk::new();
    let mut follower = desk.follow(&server.url(), "b", &["--json"]);
    for _ in 0..3 {
        follower.prints(&format!("\"log_last\":{last},\"rate\"")).await;
    }
    drop(follower.0.stdout.take());
    let output = follower.ended().await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
