//! A real nats-server on a free loopback port, with JetStream on a disk of its own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::guardian::{Daemon, Directory};

/// Until a server must answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running nats-server. It is killed, and what it stored removed, when this is dropped or this process has ended.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    directory: Directory,
    process: Option<Daemon>,
}

impl NatsServer {
    /// A server with JetStream and nothing else.
    ///
    /// # Panics
    ///
    /// If there is no nats-server, or it does not answer.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// A server with these lines added to its configuration.
    ///
    /// # Panics
    ///
    /// If there is no nats-server, or it does not answer.
    pub async fn start_with(configuration: &str) -> Self {
        Self::start_as("", configuration).await
    }

    /// A server whose JetStream is a domain of its own, with these lines added to its configuration.
    ///
    /// # Panics
    ///
    /// If there is no nats-server, or it does not answer.
    pub async fn start_in_domain(domain: &str, configuration: &str) -> Self {
        Self::start_as(&format!("domain: {domain:?}"), configuration).await
    }

    async fn start_as(jetstream: &str, configuration: &str) -> Self {
        let directory = Directory::create("alluvium-nats-").expect("a temporary directory");
        let port = free_port();
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nlog_file: \"{log}\"\njetstream {{ store_dir: \"{store}\", {jetstream} }}\n{configuration}\n",
            log = directory.path().join("log").display(),
            store = directory.path().join("store").display(),
        );
        fs::write(directory.path().join("nats.conf"), text).expect("the configuration is written");
        let mut server = Self {
            port,
            directory,
            process: None,
        };
        server.restart().await;
        server
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where JetStream keeps its files.
    pub fn store_dir(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// A client that reconnects quickly.
    ///
    /// # Panics
    ///
    /// If it cannot connect.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .connect(self.url())
            .await
            .expect("a client connects")
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub async fn kill(&mut self) {
        let process = self.process.take().expect("the server is running");
        tokio::task::spawn_blocking(move || drop(process))
            .await
            .expect("the server ends");
    }

    /// Starts it again, on the same port and the same files.
    ///
    /// # Panics
    ///
    /// If it runs already, or does not answer.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let (configuration, output) = (
            self.directory.path().join("nats.conf"),
            self.directory.path().join("output"),
        );
        let arguments = ["-c".to_owned(), configuration.display().to_string()];
        let process = Daemon::start(output, &binary(), &arguments).expect("nats-server starts");
        self.process = Some(process);
        let begin = Instant::now();
        // JetStream is there a little later than the port.
        while !jetstream_answers(&self.url()).await {
            assert!(
                begin.elapsed() < PATIENCE,
                "nats-server does not answer:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends it a signal by name, such as `STOP` and `CONT`.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn signal(&self, name: &str) {
        let pid = self.process.as_ref().expect("the server is running").id();
        signal(pid, name);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Before its directory goes.
        drop(self.process.take());
        if std::thread::panicking() {
            eprintln!("--- nats-server's log\n{}", self.log());
        }
    }
}

/// Sends a process a signal by name.
///
/// # Panics
///
/// If there is no such process.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "cannot send SIG{name} to {pid}"
    );
}

async fn jetstream_answers(url: &str) -> bool {
    let Ok(client) = async_nats::connect(url).await else {
        // Those that need credentials are up when they refuse.
        return tcp_answers(url).await;
    };
    let info = client.request("$JS.API.INFO", "".into());
    tokio::time::timeout(Duration::from_millis(500), info)
        .await
        .is_ok_and(|answer| answer.is_ok())
}

/// Whether the server greets whoever connects and then refuses the anonymous.
async fn tcp_answers(url: &str) -> bool {
    let error = async_nats::connect(url).await.err();
    error.is_some_and(|error| error.kind() == async_nats::ConnectErrorKind::AuthorizationViolation)
}

/// A loopback port that nobody listens on, and that nobody else in this process was given.
///
/// It lies below what systems take for outgoing connections: out of that range, a client that tries to reconnect can be
/// given the very port it connects to while its server is down, and is connected to itself.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // Processes side by side begin at different places.
        let place = std::process::id()
            .wrapping_mul(101)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + place % COUNT).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {COUNT} is free");
}

/// The nats-server to run: a variable that names it, the pinned one, or the PATH's.
pub(crate) fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("ALLUVIUM_NATS_SERVER") {
        return named.into();
    }
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/nats-server");
    assert!(
        pinned.exists(),
        "there is no nats-server: run `cargo xtask setup` first"
    );
    pinned
}
