//! From a bucket through one engine and a store into another engine, and nothing is different in the end.

use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::command::Replicate;
use alluvium_e2e::{Files, NatsServer, S3Server, StoreServer};
use serde_json::{Value, json};

use crate::desk::{Desk, KEY, error_of, lines_of};

impl<S: StoreServer> Desk<S> {
    /// Where a state is, for `--state`.
    pub(crate) fn state(&self, engine: &str, name: &str) -> String {
        format!("{engine}:{}", self.path(name).display())
    }

    /// Compares two sides. Gives what is told, and the exit code.
    pub(crate) async fn diff(&self, a: &str, b: &str, more: &[&str]) -> (Value, Option<i32>) {
        let output = self.run(&[&["diff", a, b, "--json"], more].concat()).await;
        let line = lines_of(&output).pop().unwrap_or_else(|| error_of(&output));
        (line, output.status.code())
    }

    /// Brings a bucket into a state.
    async fn replicate(&self, server: &NatsServer, state: &str, more: &[&str]) -> Value {
        let url = server.url();
        let arguments = [
            "replicate",
            "--until-caught-up",
            "--json",
            "--server",
            &url,
            "--bucket",
            "routes",
            "--state",
            state,
        ];
        let output = self.run(&[&arguments[..], more].concat()).await;
        assert!(output.status.success(), "{output:?}");
        lines_of(&output).pop().expect("a last line")
    }
}

async fn from_a_bucket_to_another_engine<S: StoreServer>(store: S) {
    let desk = Desk::new(store).await;
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "routes").await;
    for number in 0..200 {
        bucket.put(&format!("api.{number:03}"), &"v".repeat(number)).await;
    }
    bucket.delete("api.007").await;
    let (a, b) = (desk.state("fjall", "a"), desk.state("memory", "b"));
    desk.replicate(&server, &a, &[]).await;

    let told = desk.json(&["export", "--state", &a, "--key", KEY], 0).await;
    assert_eq!(
        (&told[0]["outcome"], &told[0]["sequence"]),
        (&json!("published"), &json!(201))
    );
    assert_eq!((&told[0]["rows"], &told[0]["base"]), (&json!(199), &json!(true)));
    let again = desk.json(&["export", "--state", &a, "--key", KEY], 0).await;
    assert_eq!(again[0]["outcome"], "unchanged");

    let filled = desk.json(&["bootstrap", "--state", &b, "--key", KEY], 0).await;
    assert_eq!(
        (&filled[0]["sequence"], &filled[0]["rows"]),
        (&json!(201), &json!(199))
    );
    let artifact = format!("{}#{KEY}", desk.url());
    let live = format!("{}/routes", server.url());
    for other in [&b, &artifact, &live] {
        let (told, code) = desk.diff(&a, other, &[]).await;
        assert_eq!((code, &told["same"]), (Some(0), &json!(199)), "{other}: {told}");
        assert_eq!(
            (&told["a"]["sequence"], &told["b"]["sequence"]),
            (&json!(201), &json!(201))
        );
    }
    // Nothing is fetched into what is filled already.
    let error = desk.error(&["bootstrap", "--state", &b, "--key", KEY]).await;
    assert_eq!(error["kind"], "invalid", "{error}");
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|text| text.contains("already, at 201")),
        "{error}"
    );

    // The bucket goes on, and so does what was filled.
    bucket.put("api.003", "new").await;
    bucket.put("web.001", "new").await;
    bucket.delete("api.004").await;
    let (told, code) = desk.diff(&b, &live, &[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(
        (&told["only_a"], &told["only_b"], &told["different"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let end = desk.replicate(&server, &b, &[]).await;
    assert_eq!(end["read"], 3, "{end}");
    let (told, code) = desk.diff(&b, &live, &[]).await;
    assert_eq!(code, Some(0), "{told}");

    // A part of it, from the past.
    let past = desk.state("fjall", "past");
    let arguments = [
        "bootstrap",
        "--state",
        &past,
        "--key",
        KEY,
        "--filter",
        "api.010",
        "--at",
        "300",
    ];
    assert_eq!(desk.json(&arguments, 0).await[0]["rows"], 1);
    let (told, code) = desk.diff(&past, &artifact, &[]).await;
    assert_eq!((code, &told["same"]), (Some(0), &json!(1)), "{told}");
    let whole = desk.json(&["artifacts", "verify"], 0).await;
    assert_eq!(whole[0]["whole"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_goes_through_files() {
    from_a_bucket_to_another_engine(Files::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_goes_through_s3() {
    from_a_bucket_to_another_engine(S3Server::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_exports_on_a_schedule_and_another_begins_with_that() {
    let desk = Desk::new(Files::start()).await;
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "routes").await;
    for number in 0..50 {
        bucket.put(&format!("api.{number:03}"), "value").await;
    }
    let (url, a, store): (String, _, _) = (server.url(), desk.state("memory", "a"), desk.url());
    let shared = ["--store", &store, "--key", KEY];
    let exporting = ["--export-every", "200ms", "--holder", "node-1", "--keep", "2"];
    let running = Replicate::start(&url, "routes", &a, &[&shared[..], &exporting].concat());
    let running = running.expect("it runs");
    desk.wait_for_artifact(50).await;
    bucket.put("api.000", "new").await;
    desk.wait_for_artifact(51).await;
    running.finish().await.expect("it ends well");
    let newest = desk.json(&["artifacts", "show", "--key", KEY], 0).await;
    assert_eq!(newest[0]["manifest"]["exporter"], "node-1");

    bucket.put("api.001", "newer").await;
    let b = desk.state("fjall", "b");
    let end = desk.replicate(&server, &b, &shared).await;
    // Nothing but what came after the artifact.
    assert_eq!(end["read"], 1, "{end}");
    assert!(end["bootstrap"]["artifact"].is_string(), "{end}");
    let (told, code) = desk.diff(&b, &format!("{url}/routes"), &[]).await;
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_exported_or_filled_is_said_and_makes_nothing() {
    let desk = Desk::new(Files::start()).await;
    let state = desk.state("fjall", "state");
    let error = desk.error(&["export", "--state", &state, "--key", KEY]).await;
    assert_eq!(error["kind"], "not_found", "{error}");
    let error = desk.error(&["bootstrap", "--state", &state, "--key", KEY]).await;
    assert_eq!(error["kind"], "not_found", "{error}");
    assert!(!desk.path("state").exists());
    let error = desk
        .error(&["bootstrap", "--state", "memory:", "--key", KEY])
        .await;
    assert_eq!(error["kind"], "usage", "{error}");

    desk.publish_a_lie().await;
    let error = desk.error(&["bootstrap", "--state", &state, "--key", KEY]).await;
    assert_eq!(error["kind"], "corrupt", "{error}");
}
