//! `alluvium verify`: a state against the live bucket.

use alluvium::{Change, DeleteReason, Sequence, Timestamp};
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::open_table;
use serde_json::{Value, json};

use crate::desk::{Desk, error};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_names_what_the_bucket_has_had_since() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for key in ["same", "changed", "deleted"] {
        bucket.put(key, "1").await;
    }
    let desk = Desk::new();
    let url = server.url();
    desk.replicate(&url, "b", &[]).await;
    bucket.put("changed", "2").await;
    bucket.put("added", "1").await;
    bucket.delete("deleted").await;
    let output = desk.run(&["verify", "--bucket", "b", "-s", &url]).await;
    let said = error(&output);
    assert!(
        said.contains("1 missing, 1 extra, 1 different of 3 keys"),
        "{said}"
    );
    assert!(
        said.contains("moved on by 3 messages since, which 3 of these"),
        "{said}"
    );
    let listed = String::from_utf8(output.stdout).unwrap();
    for line in [
        "different changed (table at 2, bucket at 4)",
        "missing   added (bucket at 5)",
        "extra     deleted (table at 3, bucket at 6)",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
    let output = desk
        .run(&["verify", "--bucket", "b", "-s", &url, "--json", "--examples", "1"])
        .await;
    assert_eq!(output.status.code(), Some(1));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "equal": false, "bucket": "b", "cursor": 3, "log_last": 6, "behind": 3, "same_log": true,
        "bucket_keys": 3, "table_keys": 3, "missing": 1, "extra": 1, "different": 1, "newer_than_cursor": 3,
        "examples": [
            { "key": "changed", "difference": "different", "table_sequence": 2, "bucket_sequence": 4 },
        ],
    });
    assert_eq!(verdict, expected);
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["kind"], "differs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_a_table_that_is_wrong_at_its_own_position() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    for key in ["same", "lost", "bent"] {
        bucket.put(key, "1").await;
    }
    let desk = Desk::new();
    let url = server.url();
    desk.replicate(&url, "b", &[]).await;
    {
        let (_state, table) = open_table(&desk.state(), EngineKind::Fjall).await;
        let cursor = table.cursor().unwrap();
        let at = |sequence| (Sequence::new(sequence), Timestamp::from_nanos(1));
        let bend = |key: &'static str, sequence| {
            let (sequence, timestamp) = at(sequence);
            Change::put(key, "2", sequence, timestamp)
        };
        let (sequence, timestamp) = at(2);
        let lose = Change::delete("lost", DeleteReason::Deleted, sequence, timestamp);
        table
            .amend(&[lose, bend("bent", 3), bend("invented", 3)])
            .unwrap();
        table.apply(&[], &cursor).unwrap();
    }
    let output = desk.run(&["verify", "--bucket", "b", "-s", &url]).await;
    let said = error(&output);
    assert!(
        said.contains("1 missing, 1 extra, 1 different of 3 keys"),
        "{said}"
    );
    assert!(said.contains("both are at the same position"), "{said}");
    let listed = String::from_utf8(output.stdout).unwrap();
    for line in [
        "missing   lost (bucket at 2)",
        "different bent (table at 3, bucket at 3)",
        "extra     invented (table at 3)",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
}
