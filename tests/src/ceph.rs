//! Ceph with its S3 gateway, on free loopback ports: a monitor, one OSD that keeps its objects in memory, and RGW.
//!
//! It is what many run who run their own S3, and the one server here whose conditional writes are nobody's of this
//! project. There is no manager, and nobody has to prove who he is but the gateway's users: neither changes what a
//! client of S3 sees. It compares `If-Match` with an etag that has no quotes, so a client must send it without them.

mod cluster;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;

use self::cluster::Cluster;
use crate::store::{self, BUCKET, RemoteStore, StoreServer, Traits};

const ACCESS_KEY: &str = "alluvium-access-key";
const SECRET_KEY: &str = "alluvium-secret-key";
const REGION: &str = "us-east-1";
/// Until the gateway must answer: it waits for the OSD, and makes its pools.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running Ceph with one bucket. Dropping it kills it and removes what it stored.
#[derive(Debug)]
pub struct Ceph {
    cluster: Cluster,
}

impl Ceph {
    /// Starts it, and returns when it has made the bucket: some ten seconds.
    ///
    /// # Panics
    ///
    /// If there is no Ceph, or it does not answer.
    pub async fn start() -> Self {
        Self::try_start().await.expect("Ceph starts")
    }

    async fn try_start() -> Result<Self> {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await??;
        let begin = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", cluster.gateway()))
            .await
            .is_err()
        {
            ensure!(
                begin.elapsed() < PATIENCE,
                "Ceph does not answer:\n{}",
                cluster.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ceph = Self { cluster };
        ceph.cluster.create_user(ACCESS_KEY, SECRET_KEY)?;
        ceph.make_bucket(BUCKET).await?;
        Ok(ceph)
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl StoreServer for Ceph {
    fn url(&self, prefix: &str) -> String {
        self.url_in(BUCKET, prefix)
    }

    fn options(&self) -> Vec<(String, String)> {
        self.options_at(self.port())
    }

    fn traits(&self) -> Traits {
        Traits {
            quoted_etags: false,
            ..Traits::default()
        }
    }
}

#[async_trait]
impl RemoteStore for Ceph {
    fn url_in(&self, bucket: &str, prefix: &str) -> String {
        format!("s3://{bucket}/{prefix}")
    }

    fn port(&self) -> u16 {
        self.cluster.gateway()
    }

    fn options_at(&self, port: u16) -> Vec<(String, String)> {
        store::options([
            ("aws_endpoint", &endpoint(port)),
            ("aws_access_key_id", ACCESS_KEY),
            ("aws_secret_access_key", SECRET_KEY),
            ("aws_region", REGION),
            ("allow_http", "true"),
        ])
    }

    async fn make_bucket(&self, name: &str) -> Result<()> {
        let bucket = format!("{}/{name}", endpoint(self.port()));
        store::put_as_aws(&bucket, ACCESS_KEY, SECRET_KEY, REGION).await
    }
}
