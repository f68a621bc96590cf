//! `alluvium checkpoints` on S3: credentials come from the environment or from options and are shown by nothing, damage is
//! found, and a store that does not answer is no damage.

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alluvium::checkpoint::Manifest;
use alluvium::{CheckpointId, Checkpointer, Epoch, StateConfig};
use alluvium_e2e::{S3Server, StoreServer as _, command};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// An S3 server with checkpoints below a prefix.
struct Desk {
    server: S3Server,
    checkpointer: Arc<dyn Checkpointer>,
}

impl Desk {
    async fn new() -> Self {
        let server = S3Server::start();
        let mut config = StateConfig::new(&server.url("job")).expect("a place");
        for (name, value) in server.options() {
            config = config.option(name, value);
        }
        let checkpointer = config.open_checkpointer().await.expect("it opens");
        Self { server, checkpointer }
    }

    /// A complete checkpoint that `_latest` names.
    async fn take(&self, epoch: u64, bytes: usize) -> CheckpointId {
        let id = self.checkpointer.begin().await.expect("a name");
        let saved = self
            .checkpointer
            .save_snapshot(id, "count", 0, vec![7; bytes].into());
        let file = saved.await.expect("it is saved");
        let epoch = Epoch::new(epoch).expect("an epoch");
        let manifest = Manifest::new(id, epoch, 0).operator("count", vec![file]);
        self.checkpointer
            .save_manifest(&manifest)
            .await
            .expect("it is complete");
        self.checkpointer
            .update_latest(id)
            .await
            .expect("it is the latest");
        id
    }

    /// The command, cut off from whatever this machine has for AWS.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut run = Command::new(command::binary().expect("the command is built"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("AWS_") || name == "RUST_LOG" {
                run.env_remove(&variable);
            }
        }
        run.arg("checkpoints")
            .args(arguments)
            .args(["--store", &self.server.url("job")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        run
    }

    /// Runs it with these options in the environment.
    async fn run(&self, arguments: &[&str], options: &[(String, String)]) -> Output {
        let mut run = self.command(arguments);
        for (name, value) in options {
            let name = name.strip_prefix("aws_").unwrap_or(name).to_uppercase();
            run.env(format!("AWS_{name}"), value);
        }
        ended(run).await
    }

    /// Runs it with `--json`. Gives the lines that it has printed; it ends with this code.
    async fn json(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let output = self
            .run(&[arguments, &["--json"]].concat(), &self.server.options())
            .await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

async fn ended(mut command: Command) -> Output {
    timeout(PATIENCE, command.output())
        .await
        .expect("the command ends")
        .expect("the command runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_on_s3_are_listed_verified_and_pruned() {
    let desk = Desk::new().await;
    let old = desk.take(1, 100).await;
    // In several parts.
    let large = desk.take(2, 20 << 20).await;
    let newest = desk.take(3, 100).await;

    let lines = desk.json(&["ls"], 0).await;
    let ids: Vec<&Value> = lines.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, [&json!(old), &json!(large), &json!(newest)]);
    assert_eq!(lines[2]["latest"], true);
    let shown = desk.json(&["show", "latest"], 0).await;
    assert_eq!(shown[0]["manifest"]["epoch"], 3);

    let before = desk.server.requests();
    let lines = desk.json(&["verify", "--all"], 0).await;
    assert_eq!(
        (&lines[0]["whole"], &lines[0]["files"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(lines[0]["bytes"], (20 << 20) + 200);
    let since = desk.server.requests().since(&before);
    assert_eq!(since.of("PutObject") + since.of("DeleteObject"), 0, "{since:?}");

    let path = format!("{large}/operators/count/partition-0.snap");
    let mut bytes = vec![7; 20 << 20];
    bytes[15 << 20] = 8;
    let stored = Path::from(format!("job/{path}"));
    desk.server.store().put(&stored, bytes.into()).await.unwrap();
    let lines = desk.json(&["verify", "--all"], 1).await;
    assert_eq!(
        (&lines[0]["path"], &lines[0]["needed_by"]),
        (&json!(path), &json!([large]))
    );
    assert_eq!(lines[1]["whole"], false);

    let prune = ["prune", "--keep", "1", "--grace", "0s"];
    let told = desk.json(&[&prune[..], &["--dry-run"]].concat(), 0).await;
    assert_eq!(told[0]["checkpoints"], json!([old, large]));
    assert_eq!(desk.json(&["ls"], 0).await.len(), 3);
    let pruned = desk.json(&prune, 0).await;
    assert_eq!(pruned[0]["bytes"], told[0]["bytes"]);
    assert_eq!(desk.json(&["ls"], 0).await.len(), 1);
    desk.json(&["verify"], 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_come_as_options_too_and_are_shown_by_nothing() {
    let desk = Desk::new().await;
    let id = desk.take(1, 100).await;
    let mut run = desk.command(&["ls", "-vvv"]);
    for (name, value) in desk.server.options() {
        run.arg("--store-option").arg(format!("{name}={value}"));
    }
    let right = ended(run).await;
    assert!(right.status.success(), "{right:?}");
    assert!(String::from_utf8_lossy(&right.stdout).contains(&id.to_string()));

    let mut options = desk.server.options();
    for (name, value) in &mut options {
        if name.ends_with("secret_access_key") {
            *value = "hunter2".to_owned();
        }
    }
    // What is not told is no checkpoint that is damaged.
    let wrong = desk.run(&["ls", "-vvv", "--json"], &options).await;
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(wrong.stdout.is_empty(), "{wrong:?}");
    let secrets = desk.server.options().into_iter().chain(options);
    let secrets = secrets.filter(|(name, _)| name.ends_with("secret_access_key"));
    for (_, secret) in secrets {
        for output in [&right, &wrong] {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains(&secret), "{said}");
        }
    }
    let said = String::from_utf8_lossy(&wrong.stderr);
    let error: Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    assert_ne!(error["kind"], "corrupt", "{error}");
}
