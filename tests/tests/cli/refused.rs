//! An archive that its bucket overran: refused, served as it is if that was asked for, and restored when an artifact is there.

use alluvium::{ArtifactKey, ExportOptions, Exporter, Mode, Replica, Sequence};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{StateHome, open_table};
use alluvium_e2e::{Depot, Files, NatsServer, Proxy, RemoteStore as _, S3Server, StoreServer};
use async_nats::jetstream::stream;
use serde_json::{Value, json};

use crate::desk::{Desk, error, json_lines, stdout};

/// What the bucket holds at most.
const HELD: u64 = 10;
const KEY: &str = "routes";
/// What is wrong with the archive.
const OVERRUN: &str = "messages after the cursor are already gone from the log";
const ARCHIVE: [&str; 2] = ["--mode", "archive"];

/// A bucket that holds less than is written, and somebody who has followed it from the beginning.
struct Overrun {
    server: NatsServer,
    bucket: Bucket,
    home: StateHome,
    written: u64,
}

impl Overrun {
    /// With so many keys in it.
    async fn start() -> Self {
        let server = NatsServer::start().await;
        let config = stream::Config {
            name: "KV_b".to_owned(),
            subjects: vec!["$KV.b.>".to_owned()],
            max_messages_per_subject: 1,
            max_messages: HELD.try_into().unwrap(),
            allow_direct: true,
            allow_rollup: true,
            ..stream::Config::default()
        };
        let mut overrun = Self {
            bucket: Bucket::of_stream(&server, "b", config).await,
            home: StateHome::new(EngineKind::Memory),
            server,
            written: 0,
        };
        overrun.write(5).await;
        overrun
    }

    /// Writes so many keys, each of which the one who follows has before the bucket forgets it.
    async fn write(&mut self, keys: u64) -> Sequence {
        let (_state, log, table) = self.home.parts(&self.server, "b").await;
        let replica = Replica::builder(log, table).mode(Mode::Archive);
        let replica = replica.start().await.unwrap();
        let mut last = Sequence::ZERO;
        for _ in 0..keys {
            self.written += 1;
            last = self.bucket.put(&key(self.written), "1").await;
            replica.wait_for(last).await.unwrap();
        }
        replica.shutdown().await.unwrap();
        last
    }

    /// Exports what was followed.
    async fn export(&self, depot: &Depot) {
        let (_state, table) = open_table(&self.home.path(), EngineKind::Memory).await;
        let key: ArtifactKey = KEY.parse().unwrap();
        let exporter = Exporter::new(table, depot.transport(), key, ExportOptions::default());
        exporter.export().await.unwrap();
    }

    /// An archive of the bucket, which is at the fifth key, in a directory that nobody has open.
    async fn archive(&self) -> Desk {
        let desk = Desk::new();
        let done = desk.replicate(&self.server.url(), "b", &ARCHIVE).await;
        assert!(done.status.success(), "{done:?}");
        desk
    }

    fn keys(&self) -> String {
        let lines = (1..=self.written).map(|number| format!("{}\t1\n", key(number)));
        lines.collect()
    }
}

fn key(number: u64) -> String {
    format!("k{number:03}")
}

/// The options that name the artifacts of a depot in a store.
fn store_options(store: &dyn StoreServer, name: &str, options: Vec<(String, String)>) -> Vec<String> {
    let url = store.url(&format!("{name}/artifacts"));
    let mut given = vec!["--store".to_owned(), url, "--key".to_owned(), KEY.to_owned()];
    for (name, value) in options {
        given.extend(["--store-option".to_owned(), format!("{name}={value}")]);
    }
    given
}

fn with<'a>(options: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    options
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect()
}

/// When the bucket stored a key, as the state directory tells it.
async fn stored_at(desk: &Desk, key: &str) -> String {
    let lines = json_lines(&desk.run(&["scan", "--json", key]).await);
    lines[0]["timestamp"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overrun_archive_is_refused_with_what_to_do_and_stays_as_it_was() {
    let mut overrun = Overrun::start().await;
    let desk = overrun.archive().await;
    overrun.write(2 * HELD).await;
    let url = overrun.server.url();
    // It is an archive whether that is said again or not.
    for mode in [&ARCHIVE[..], &[]] {
        let said = error(&desk.replicate(&url, "b", mode).await);
        for part in [
            OVERRUN,
            "an archive of KV_b",
            "there is no artifact: export from a replica that follows the log without a gap",
            "begin a new archive in an empty one",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
    let output = desk.replicate(&url, "b", &["--json"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["kind"], "invalid");

    let said = error(&desk.replicate(&url, "b", &["--mode", "mirror"]).await);
    assert!(
        said.contains("holds an archive, and a table keeps its mode: leave --mode away"),
        "{said}"
    );
    let status = &json_lines(&desk.run(&["status", "--json"]).await)[0];
    assert_eq!(
        (
            &status["mode"],
            &status["evicts"],
            &status["cursor"],
            &status["rows"]
        ),
        (&json!("archive"), &json!(true), &json!(5), &json!(5)),
        "{status}"
    );
    let text = stdout(&desk.run(&["status"]).await);
    assert!(
        text.contains("archive, of a log that evicts or once did"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_archive_that_is_to_stay_says_so_and_goes_on_with_an_artifact() {
    let files = Files::start();
    let depot = Depot::new(&files, "a");
    let mut overrun = Overrun::start().await;
    let (desk, other) = (overrun.archive().await, overrun.archive().await);
    let last = overrun.write(2 * HELD).await;
    let options = store_options(&files, "a", files.options());
    let stay = with(&options, &["--serve-when-refused", "--bounds-every", "100ms"]);
    let url = overrun.server.url();
    let mut follower = desk.follow(&url, "b", &with(&options, &[&stay[4..], &["--json"]].concat()));
    let mut for_people = other.follow(&url, "b", &stay);

    let start = follower.tells("its start", |line| line["event"] == "start").await;
    assert_eq!(start["plan"], "refuse", "{start}");
    let refused = follower.becomes("refused").await;
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(OVERRUN) && reason.contains("there is no artifact"),
        "{refused}"
    );
    assert_eq!(
        (&refused["stale"], &refused["cursor"], &refused["error"]),
        (&json!(true), &json!(5), &refused["reason"]),
        "{refused}"
    );
    let longer = follower
        .tells("that time goes by", |line| {
            line["for_seconds"].as_f64() > Some(1.5)
        })
        .await;
    assert_eq!(
        (&longer["state"], &longer["since"], &longer["reason"]),
        (&refused["state"], &refused["since"], &refused["reason"]),
        "{longer}"
    );
    let said = for_people.says("refused at 5 of 25 since 20").await;
    assert!(said.starts_with("refused ") && said.contains(reason), "{said}");
    // Nobody else reads it meanwhile.
    let busy = error(&desk.run(&["get", "k001"]).await);
    assert!(busy.contains("is in use by another process"), "{busy}");

    let written = overrun.bucket.put("later", "1").await;
    overrun.export(&depot).await;
    let live = follower.becomes("live").await;
    assert!(live["reason"].is_null() && live["error"].is_null(), "{live}");
    assert!(live["bootstrap"]["artifact"].is_string(), "{live}");
    for_people.says("filled from the artifact").await;
    for_people.says(&format!("live at {written} of {written}")).await;
    assert!(written > last);
    for (desk, follower) in [(&desk, follower), (&other, for_people)] {
        follower.signal("TERM");
        let output = follower.ended().await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout(&desk.run(&["scan", "k"]).await), overrun.keys());
        assert_eq!(stdout(&desk.run(&["get", "later"]).await), "1");
    }
    // It was refused after the last key, and before the one that was written then, by the clock.
    let since = refused["since"].as_str().unwrap().to_owned();
    assert!(stored_at(&desk, &key(overrun.written)).await < since, "{since}");
    assert!(since < stored_at(&desk, "later").await, "{since}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_whose_artifact_cannot_be_had_is_restoring_until_it_can() {
    let store = S3Server::start();
    let proxy = Proxy::start(store.port()).await;
    let mut overrun = Overrun::start().await;
    let (desk, other) = (overrun.archive().await, overrun.archive().await);
    let last = overrun.write(2 * HELD).await;
    overrun.export(&Depot::new(&store, "a")).await;
    let options = store_options(&store, "a", store.options_at(proxy.port()));
    proxy.refuse(true);
    let url = overrun.server.url();
    let mut follower = desk.follow(&url, "b", &with(&options, &["--json"]));
    let mut for_people = other.follow(&url, "b", &with(&options, &[]));
    let restoring = follower.becomes("restoring").await;
    let reason = restoring["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(&format!("{OVERRUN}; cannot fetch the artifact: ")),
        "{restoring}"
    );
    assert_eq!(restoring["stale"], true, "{restoring}");
    let said = for_people.says("restoring at 5 of 25 since 20").await;
    assert!(
        said.starts_with("restoring ") && said.contains(&format!(": {OVERRUN}; cannot fetch the artifact: ")),
        "{said}"
    );

    proxy.refuse(false);
    let live = follower.becomes("live").await;
    assert!(live["bootstrap"]["artifact"].is_string(), "{live}");
    assert!(live["since"].as_str() > restoring["since"].as_str(), "{live}");
    let said = for_people.says(" the artifact ").await;
    assert!(said.starts_with("filled from the artifact "), "{said}");
    for_people.says(&format!("live at {last} of {last}")).await;
    for (desk, follower) in [(&desk, follower), (&other, for_people)] {
        follower.signal("TERM");
        assert!(follower.ended().await.status.success());
        assert_eq!(stdout(&desk.run(&["scan"]).await), overrun.keys());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_is_the_plan_is_told_at_the_start() {
    let files = Files::start();
    let depot = Depot::new(&files, "a");
    let mut overrun = Overrun::start().await;
    let (desk, other) = (overrun.archive().await, overrun.archive().await);
    let last = overrun.write(2 * HELD).await;
    overrun.export(&depot).await;
    let options = store_options(&files, "a", files.options());
    let url = overrun.server.url();
    let lines = json_lines(&desk.replicate(&url, "b", &with(&options, &["--json"])).await);
    let start = &lines[0];
    assert_eq!(
        (&start["plan"], &start["artifact"], &start["reason"]),
        (
            &json!("restore"),
            &json!(last.get()),
            &json!(format!("{OVERRUN}, and an artifact is past them"))
        ),
        "{start}"
    );
    let done = other.replicate(&url, "b", &with(&options, &[])).await;
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        said.starts_with(&format!("restoring the artifact at {last}: {OVERRUN}")),
        "{said}"
    );
    for desk in [desk, other] {
        assert_eq!(stdout(&desk.run(&["scan"]).await), overrun.keys());
    }
}
