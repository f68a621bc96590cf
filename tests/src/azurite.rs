//! Azurite, Microsoft's emulator of Azure Blob Storage, on a free loopback port.
//!
//! It keeps its index in memory and writes it out from time to time: whoever kills it loses what it has taken. So tests
//! kill its clients, and never the server. Its address is given in full, account included: `object_store`'s emulator
//! mode would ignore the port.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;

use crate::guardian::{Daemon, Directory};
use crate::nats_server::free_port;
use crate::store::{self, BUCKET, RemoteStore, StoreServer, Traits};

/// The account that every Azurite has, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// Until it must answer. Node has to read some thousand files first.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running Azurite with one container. Dropping it kills it and removes what it stored.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    daemon: Daemon,
    _directory: Directory,
}

impl Azurite {
    /// Starts it, and returns when it has made the container.
    ///
    /// # Panics
    ///
    /// If there is no Azurite, or it does not answer.
    pub async fn start() -> Self {
        Self::try_start().await.expect("Azurite starts")
    }

    async fn try_start() -> Result<Self> {
        let directory = Directory::create("alluvium-azurite-")?;
        let port = free_port();
        let arguments = [
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port.to_string(),
            "--location",
            &directory.path().display().to_string(),
            "--silent",
            "--disableTelemetry",
        ]
        .map(str::to_owned);
        let daemon = Daemon::start(directory.path().join("log"), &program()?, &arguments)?;
        let azurite = Self {
            port,
            daemon,
            _directory: directory,
        };
        let begin = Instant::now();
        while let Err(error) = azurite.make_bucket(BUCKET).await {
            ensure!(
                begin.elapsed() < PATIENCE,
                "azurite-blob does not answer: {error:#}\n{}",
                azurite.daemon.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(azurite)
    }

    /// Its process, to send it signals.
    pub fn process_id(&self) -> u32 {
        self.daemon.id()
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}/{ACCOUNT}")
}

impl StoreServer for Azurite {
    fn url(&self, prefix: &str) -> String {
        self.url_in(BUCKET, prefix)
    }

    fn options(&self) -> Vec<(String, String)> {
        self.options_at(self.port)
    }

    fn traits(&self) -> Traits {
        Traits {
            page: 5_000,
            lists_after: false,
            ..Traits::default()
        }
    }
}

#[async_trait]
impl RemoteStore for Azurite {
    fn url_in(&self, bucket: &str, prefix: &str) -> String {
        format!("az://{bucket}/{prefix}")
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn options_at(&self, port: u16) -> Vec<(String, String)> {
        store::options([
            ("azure_storage_endpoint", &endpoint(port)),
            ("azure_storage_account_name", ACCOUNT),
            ("azure_storage_account_key", KEY),
            ("allow_http", "true"),
        ])
    }

    async fn make_bucket(&self, name: &str) -> Result<()> {
        let container = format!("{}/{name}?restype=container", endpoint(self.port));
        store::put_as_azure(&container, ACCOUNT, KEY).await
    }
}

/// The program to run: a variable that names it, or the pinned one.
fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ALLUVIUM_AZURITE") {
        return Ok(named.into());
    }
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/azurite/azurite-blob");
    ensure!(
        pinned.exists(),
        "there is no azurite-blob: run `cargo xtask setup` first"
    );
    pinned.canonicalize().context("azurite-blob cannot be found")
}
