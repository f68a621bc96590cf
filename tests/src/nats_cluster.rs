//! Three real nats-servers that are one cluster, each with a disk of its own, and what can be done to them.
//!
//! A node is a process of its own, so it is killed, stopped and started again alone. Whoever waits here waits for a condition,
//! and not for ever: what never comes to hold ends the test, with the nodes' logs.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use serde_json::Value;

use crate::guardian::{Daemon, Directory};
use crate::nats_server::{binary, free_port, signal};

/// How many nodes there are.
pub const NODES: usize = 3;
/// Until a cluster must have come to something: an election takes up to 9 s, and one may fail.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Until one request is given up.
const ANSWER: Duration = Duration::from_secs(2);

/// A running cluster. Dropping it, or the end of this process, kills it and removes what it stored.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Node>,
    directory: Directory,
}

#[derive(Debug)]
struct Node {
    port: u16,
    configuration: PathBuf,
    log: PathBuf,
    process: Option<Daemon>,
}

impl NatsCluster {
    /// A cluster whose meta leader exists, and in which a stream of three replicas can be made.
    ///
    /// # Panics
    ///
    /// If there is no nats-server, or the cluster does not come up.
    pub async fn start() -> Self {
        let directory = Directory::create("alluvium-cluster-").expect("a temporary directory");
        let ports: Vec<(u16, u16)> = (0..NODES).map(|_| (free_port(), free_port())).collect();
        let routes: Vec<String> = ports
            .iter()
            .map(|(_, route)| format!("\"nats://127.0.0.1:{route}\""))
            .collect();
        let nodes = ports
            .iter()
            .enumerate()
            .map(|(index, (port, route))| {
                let home = directory.path().join(name_of(index));
                fs::create_dir(&home).expect("a directory for the node");
                let text = format!(
                    "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nlog_file: \"{log}\"\n\
                     jetstream {{ store_dir: \"{store}\" }}\n\
                     cluster {{ name: alluvium, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n\
                     accounts {{\n\
                     SYS {{ users: [{{ user: sys, password: sys }}] }}\n\
                     APP {{ jetstream: enabled, users: [{{ user: app, password: app }}] }}\n}}\n\
                     system_account: SYS\nno_auth_user: app\n",
                    name = name_of(index),
                    log = home.join("log").display(),
                    store = home.join("store").display(),
                    routes = routes.join(", "),
                );
                let configuration = home.join("nats.conf");
                fs::write(&configuration, text).expect("the configuration is written");
                Node {
                    port: *port,
                    configuration,
                    log: home.join("log"),
                    process: None,
                }
            })
            .collect();
        let mut cluster = Self { nodes, directory };
        for node in 0..NODES {
            cluster.restart(node).await;
        }
        cluster.usable().await;
        cluster
    }

    /// Where a node listens.
    pub fn url(&self, node: usize) -> String {
        format!("nats://127.0.0.1:{}", self.port(node))
    }

    /// The port where a node listens.
    pub fn port(&self, node: usize) -> u16 {
        self.nodes[node].port
    }

    /// Where all of them listen.
    pub fn urls(&self) -> Vec<String> {
        (0..NODES).map(|node| self.url(node)).collect()
    }

    /// A client that goes on with another node when it loses its own, and soon.
    ///
    /// # Panics
    ///
    /// If no node takes it.
    pub async fn client(&self) -> Client {
        options()
            .connect(self.urls())
            .await
            .expect("a client connects to the cluster")
    }

    /// A client of one node and no other.
    ///
    /// # Panics
    ///
    /// If the node does not take it.
    pub async fn client_of(&self, node: usize) -> Client {
        options()
            .ignore_discovered_servers()
            .connect(self.url(node))
            .await
            .expect("a client connects to the node")
    }

    /// Whether a node's process is there, stopped or not.
    pub fn runs(&self, node: usize) -> bool {
        self.nodes[node].process.is_some()
    }

    /// Kills a node with SIGKILL and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub async fn kill(&mut self, node: usize) {
        let process = self.nodes[node].process.take().expect("the node runs");
        tokio::task::spawn_blocking(move || drop(process))
            .await
            .expect("the node ends");
    }

    /// Starts a node again, on the same ports and the same files, and waits until it takes clients. It may lie behind the
    /// others then.
    ///
    /// # Panics
    ///
    /// If it runs already, or does not answer.
    pub async fn restart(&mut self, node: usize) {
        let Node {
            configuration,
            log,
            process,
            ..
        } = &mut self.nodes[node];
        assert!(process.is_none(), "the node runs already");
        let arguments = ["-c".to_owned(), configuration.display().to_string()];
        let output = log.with_extension("out");
        *process = Some(Daemon::start(output, &binary(), &arguments).expect("nats-server starts"));
        let url = self.url(node);
        self.wait(&format!("node {node} takes clients"), || async {
            async_nats::connect(&url).await.ok().map(drop)
        })
        .await;
    }

    /// Stops a node with SIGSTOP: it is there, and says nothing.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pause(&self, node: usize) {
        self.signal(node, "STOP");
    }

    /// Lets a stopped node go on.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn resume(&self, node: usize) {
        self.signal(node, "CONT");
    }

    fn signal(&self, node: usize, name: &str) {
        let process = self.nodes[node].process.as_ref().expect("the node runs");
        signal(process.id(), name);
    }

    /// The node that leads a stream.
    ///
    /// # Panics
    ///
    /// If none comes to.
    pub async fn leader(&self, stream: &str) -> usize {
        self.wait(&format!("{stream} has a leader"), || self.leader_now(stream))
            .await
    }

    /// The node that leads a stream, if somebody knows.
    pub async fn leader_now(&self, stream: &str) -> Option<usize> {
        let info = self.info(stream).await?;
        let leader = info.cluster?.leader?;
        (0..NODES).find(|node| name_of(*node) == leader)
    }

    /// A stream's state as its leader tells it, or any node while it has none; `None` if nobody answers.
    pub async fn info(&self, stream: &str) -> Option<stream::Info> {
        let answer = self.ask("app", &format!("$JS.API.STREAM.INFO.{stream}")).await?;
        serde_json::from_value(answer).ok()
    }

    /// How many consumers a stream has, on whatever node; none if nobody answers.
    pub async fn consumers(&self, stream: &str) -> Option<usize> {
        Some(self.info(stream).await?.state.consumer_count)
    }

    /// Waits until all nodes have all of a stream.
    ///
    /// # Panics
    ///
    /// If they never do.
    pub async fn in_step(&self, stream: &str) {
        self.wait(&format!("all nodes have all of {stream}"), || async {
            let cluster = self.info(stream).await?.cluster?;
            let in_step =
                |peer: &stream::PeerInfo| peer.current && !peer.offline && peer.lag.unwrap_or(0) == 0;
            (cluster.leader.is_some()
                && cluster.replicas.len() == NODES - 1
                && cluster.replicas.iter().all(in_step))
            .then_some(())
        })
        .await;
    }

    /// Has a stream's leader step down, and waits until another one leads.
    ///
    /// # Panics
    ///
    /// If none does.
    pub async fn step_down(&self, stream: &str) {
        let before = self.leader(stream).await;
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
        self.wait(&format!("another node leads {stream}"), || async {
            let another = |leader: &usize| *leader != before;
            if let Some(leader) = self.leader_now(stream).await.filter(another) {
                return Some(leader);
            }
            self.ask("app", &subject).await;
            self.leader_now(stream).await.filter(another)
        })
        .await;
    }

    /// Waits until another node than this one leads a stream.
    ///
    /// # Panics
    ///
    /// If none ever does.
    pub async fn another_leads(&self, stream: &str, than: usize) {
        self.wait(&format!("another node leads {stream}"), || async {
            self.leader_now(stream).await.filter(|leader| *leader != than)
        })
        .await;
    }

    /// Has the leader of the cluster itself step down.
    ///
    /// # Panics
    ///
    /// If nobody takes the request.
    pub async fn step_down_meta(&self) {
        self.wait("the meta leader steps down", || async {
            let answer = self.ask("sys", "$JS.API.META.LEADER.STEPDOWN").await;
            answer.filter(|answer| answer["success"] == true)
        })
        .await;
        self.usable().await;
    }

    /// Waits until there is a meta leader, and a stream of three replicas can be made.
    ///
    /// # Panics
    ///
    /// If it never comes to that.
    pub async fn usable(&self) {
        const PROBE: &str = "ALLUVIUM_PROBE";
        let client = self.client().await;
        let context = jetstream::new(client);
        let config = stream::Config {
            name: PROBE.to_owned(),
            subjects: vec!["alluvium.probe".to_owned()],
            num_replicas: NODES,
            ..stream::Config::default()
        };
        self.wait("a stream of three replicas can be made", || async {
            within(context.get_or_create_stream(config.clone()))
                .await
                .map(drop)
        })
        .await;
        self.wait("the probe goes", || async {
            match within(context.get_stream(PROBE)).await {
                Some(_) => within(context.delete_stream(PROBE)).await.map(drop),
                None => Some(()),
            }
        })
        .await;
    }

    /// Asks the first node that answers without an error, as this user.
    async fn ask(&self, user: &str, subject: &str) -> Option<Value> {
        for node in (0..NODES).filter(|node| self.runs(*node)) {
            let options = ConnectOptions::with_user_and_password(user.to_owned(), user.to_owned());
            let asking = async {
                let client = options.connect(self.url(node)).await.ok()?;
                let answer = client.request(subject.to_owned(), "".into()).await.ok()?;
                serde_json::from_slice::<Value>(&answer.payload).ok()
            };
            let answer = tokio::time::timeout(ANSWER, asking).await.ok().flatten();
            if let Some(answer) = answer.filter(|answer| answer.get("error").is_none()) {
                return Some(answer);
            }
        }
        None
    }

    /// Looks until there is something.
    async fn wait<T, Looking>(&self, what: &str, mut look: impl FnMut() -> Looking) -> T
    where
        Looking: Future<Output = Option<T>>,
    {
        let begin = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "waited {PATIENCE:?}, and it never came to hold that {what}:\n{}",
                self.logs()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the nodes have logged.
    pub fn logs(&self) -> String {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let logs = self.nodes.iter().enumerate().map(|(index, node)| {
            let (output, log) = (read(&node.log.with_extension("out")), read(&node.log));
            format!("--- {}\n{output}{log}", name_of(index))
        });
        logs.collect()
    }

    /// Where the nodes keep their files.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn name_of(node: usize) -> String {
    format!("node{node}")
}

fn options() -> ConnectOptions {
    ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .connection_timeout(Duration::from_secs(2))
        .ping_interval(Duration::from_secs(2))
}

/// What comes of something in the time of one request.
async fn within<T, E>(doing: impl Future<Output = Result<T, E>>) -> Option<T> {
    tokio::time::timeout(ANSWER, doing).await.ok()?.ok()
}
