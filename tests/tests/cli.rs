//! The `alluvium` command against a real server: what it does, what it says, and that whatever goes wrong is one line
//! that leaves everything as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use alluvium::{Change, DeleteReason, Sequence, Timestamp};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::nats_server::signal;
use alluvium_e2e::state::open_table;
use alluvium_e2e::{NatsServer, command};
use async_nats::ConnectOptions;
use async_nats::jetstream::{self, kv};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// The pair of keys that the documentation of NATS uses.
const NKEY_SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const NKEY_PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// A machine that has a home for a state directory, and of NATS only what a test gives it.
struct Desk {
    directory: TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn state_text(&self) -> String {
        self.state().display().to_string()
    }

    /// Writes a context file of the `nats` command.
    fn context(&self, name: &str, context: &Value) {
        let folder = self.config().join("nats/context");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{name}.json")), context.to_string()).expect("a file");
    }

    fn select_context(&self, name: &str) {
        fs::write(self.config().join("nats/context.txt"), name).expect("a file");
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(command::binary().expect("the command is built"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("NATS_") || name == "RUST_LOG" {
                command.env_remove(&variable);
            }
        }
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the command to its end, with the directory as `--state` unless there is one already.
    async fn run(&self, arguments: &[&str]) -> Output {
        let state = self.state_text();
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--state") {
            arguments.extend(["--state", &state]);
        }
        let run = self.command(&arguments).output();
        timeout(PATIENCE, run)
            .await
            .expect("the command ends")
            .expect("the command runs")
    }

    async fn replicate(&self, url: &str, bucket: &str, more: &[&str]) -> Output {
        let arguments = [
            "replicate",
            "--until-caught-up",
            "--server",
            url,
            "--bucket",
            bucket,
        ];
        self.run(&[&arguments, more].concat()).await
    }

    fn follow(&self, url: &str, bucket: &str, more: &[&str]) -> Follower {
        let state = self.state_text();
        let mut arguments = [&["replicate", "--server", url, "--bucket", bucket], more].concat();
        if !arguments.contains(&"--state") {
            arguments.extend(["--state", &state]);
        }
        let process = self.command(&arguments).spawn();
        Follower(process.expect("the command runs"))
    }

    /// Everything in the state directory, by path and length.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        collect(self.directory.path(), &mut files);
        files.sort_unstable();
        files
    }
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, u64)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.push((path.clone(), 0));
            collect(&path, files);
        } else {
            files.push((path.clone(), fs::metadata(&path).expect("a file").len()));
        }
    }
}

/// A running `alluvium replicate`.
struct Follower(Child);

impl Follower {
    /// Reads lines of standard error until one has this in it.
    async fn says(&mut self, words: &str) {
        let errors = self.0.stderr.as_mut().expect("it is piped");
        wait_for_line(errors, words).await;
    }

    /// Reads lines of standard output until one has this in it.
    async fn prints(&mut self, words: &str) {
        let output = self.0.stdout.as_mut().expect("it is piped");
        wait_for_line(output, words).await;
    }

    fn signal(&self, name: &str) {
        signal(self.0.id().expect("it runs"), name);
    }

    async fn ended(self) -> Output {
        timeout(PATIENCE, self.0.wait_with_output())
            .await
            .expect("it ends")
            .expect("it has run")
    }
}

async fn wait_for_line(from: impl tokio::io::AsyncRead + Unpin, words: &str) {
    // One byte at a time, so that nothing is read that belongs to the next line.
    let mut lines = BufReader::with_capacity(1, from).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.expect("text");
            let line = line.unwrap_or_else(|| panic!("it ended before it said {words:?}"));
            if line.contains(words) {
                break;
            }
        }
    };
    timeout(PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("it never said {words:?}"));
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json_lines(output: &Output) -> Vec<Value> {
    let lines = stdout(output);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The one line that a command which failed has said.
fn error(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = text
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_else(|| panic!("no error in {text}"));
    assert!(text.trim_end().ends_with(line), "more after the error: {text}");
    assert!(!text.contains("panicked"), "{text}");
    line.to_owned()
}

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

/// A server that lets in whoever this says, with a bucket `b` in it that has a key.
async fn guarded(authorization: &str, options: ConnectOptions) -> NatsServer {
    let server = NatsServer::start_with(authorization).await;
    let client = options.connect(server.url()).await.expect("the login is right");
    let config = kv::Config {
        bucket: "b".to_owned(),
        ..kv::Config::default()
    };
    let store = jetstream::new(client)
        .create_key_value(config)
        .await
        .expect("the bucket is made");
    store.put("k", "1".into()).await.expect("the put is stored");
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_login_is_told_without_the_secret_and_leaves_nothing_behind() {
    let server = guarded(
        "authorization { users = [ { user: me, password: right } ] }",
        ConnectOptions::with_user_and_password("me".to_owned(), "right".to_owned()),
    )
    .await;
    let url = server.url();
    let with_login = url.replace("//", "//me:hunter2@");
    let seed_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(seed_file.path(), NKEY_SEED).unwrap();
    for (url, wrong) in [
        (&url, &[][..]),
        (&url, &["--user", "me", "--password", "hunter2"]),
        (&url, &["--user", "hunter2"]),
        (&url, &["--nkey", seed_file.path().to_str().unwrap()]),
        (&with_login, &[]),
    ] {
        let desk = Desk::new();
        let said = error(&desk.replicate(url, "b", wrong).await);
        assert!(
            said.contains(&format!("{} refused the login", server.url())),
            "{said}"
        );
        assert!(!said.contains("hunter2") && !said.contains(NKEY_SEED), "{said}");
        assert_eq!(desk.files(), []);
    }
    let desk = Desk::new();
    let right = ["--user", "me", "--password", "right"];
    assert!(desk.replicate(&url, "b", &right).await.status.success());
    let in_url = url.replace("//", "//me:right@");
    assert!(desk.replicate(&in_url, "b", &[]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_a_user_without_a_password() {
    let server = guarded(
        "authorization { token: right }",
        ConnectOptions::with_token("right".to_owned()),
    )
    .await;
    let url = server.url();
    let in_url = url.replace("//", "//right@");
    for (url, login) in [
        (&url, &["--user", "right"][..]),
        (&url, &["--token", "right"]),
        (&in_url, &[]),
    ] {
        let done = Desk::new().replicate(url, "b", login).await;
        assert!(done.status.success(), "{login:?}: {done:?}");
    }
    error(&Desk::new().replicate(&url, "b", &["--token", "wrong"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey_is_a_seed_or_a_file() {
    let server = guarded(
        &format!("authorization {{ users = [ {{ nkey: {NKEY_PUBLIC} }} ] }}"),
        ConnectOptions::with_nkey(NKEY_SEED.to_owned()),
    )
    .await;
    let desk = Desk::new();
    let file = desk.directory.path().join("user.nk");
    fs::write(&file, format!("{NKEY_SEED}\n")).unwrap();
    for nkey in [NKEY_SEED, file.to_str().unwrap()] {
        let done = desk.replicate(&server.url(), "b", &["--nkey", nkey]).await;
        assert!(done.status.success(), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_may_not_is_told_what_the_server_said() {
    let server = guarded(
        "authorization { users = [ { user: me, password: right }, \
         { user: guest, password: right, permissions: { publish: { deny: \"$JS.API.>\" } } } ] }",
        ConnectOptions::with_user_and_password("me".to_owned(), "right".to_owned()),
    )
    .await;
    let desk = Desk::new();
    let guest = ["--user", "guest", "--password", "right", "--timeout", "1s"];
    let said = error(&desk.replicate(&server.url(), "b", &guest).await);
    assert!(said.to_lowercase().contains("permissions violation"), "{said}");
    assert_eq!(desk.files(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contexts_of_the_nats_command_are_used() {
    let server = guarded(
        "authorization { users = [ { user: me, password: right } ] }",
        ConnectOptions::with_user_and_password("me".to_owned(), "right".to_owned()),
    )
    .await;
    let desk = Desk::new();
    desk.context(
        "right",
        &json!({ "description": "", "url": server.url(), "user": "me", "password": "right", "creds": "", "nkey": "" }),
    );
    desk.context(
        "wrong",
        &json!({ "url": server.url(), "user": "me", "password": "hunter2" }),
    );
    let replicate = ["replicate", "--bucket", "b", "--until-caught-up"];
    let run = async |more: &[&str]| desk.run(&[&replicate, more].concat()).await;
    let done = run(&["--context", "right"]).await;
    assert!(done.status.success(), "{done:?}");
    let said = error(&run(&["--context", "wrong"]).await);
    assert!(
        said.contains("refused the login") && !said.contains("hunter2"),
        "{said}"
    );
    // Flags go before the context.
    assert!(
        run(&["--context", "wrong", "--password", "right"])
            .await
            .status
            .success()
    );
    desk.select_context("right");
    let prefix = ["--js-api-prefix", "$JS.API"];
    assert!(run(&prefix).await.status.success());
    // A domain that nobody serves is an error within the timeout, not a hang.
    error(&run(&["--js-domain", "nowhere", "--timeout", "1s"]).await);
    desk.select_context("gone");
    let said = error(&run(&[]).await);
    assert!(
        said.contains("gone does not exist: use one of right, wrong"),
        "{said}"
    );
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
