//! A bucket written by nats-py, a client that nobody here wrote, while a replica follows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::{Bucket, Rows};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::StateHome;
use async_nats::jetstream::kv;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nats_py_writes_is_what_the_replica_holds() {
    let messages = if alluvium_e2e::full() { 20_000 } else { 2_000 };
    let server = NatsServer::start().await;
    for (history, engine) in [(1, EngineKind::Fjall), (5, EngineKind::Memory)] {
        let name = format!("py{history}");
        let config = kv::Config {
            bucket: name.clone(),
            history,
            ..kv::Config::default()
        };
        let bucket = Bucket::create_with(&server, config).await;
        let home = StateHome::new(engine);
        let (replica, _state) = home.replica(&server, &name).await;
        let written = write(&server.url(), &name, messages).await;
        replica.wait_for(bucket.last().await).await.unwrap();
        assert!(written.len() > 50, "{} keys are left", written.len());
        assert_eq!(home.rows(&replica), written, "{engine}");
        assert_eq!(written, bucket.truth().await, "the two clients disagree");
        replica.shutdown().await.unwrap();
    }
}

/// Runs the writer. Gives what it says the bucket holds.
async fn write(url: &str, bucket: &str, messages: u64) -> Rows {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = std::env::var_os("ALLUVIUM_PYTHONPATH")
        .map_or_else(|| here.join("../target/tools/python"), PathBuf::from);
    assert!(
        packages.join("nats").exists(),
        "there is no nats-py: run `cargo xtask setup` first"
    );
    let output = Command::new("python3")
        .arg(here.join("python/writer.py"))
        .args([url, bucket, &messages.to_string()])
        .env("PYTHONPATH", packages)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let left: BTreeMap<String, (String, u64)> =
        serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
    left.into_iter()
        .map(|(key, (value, revision))| (key.into_bytes(), (value.into_bytes(), revision)))
        .collect()
}
