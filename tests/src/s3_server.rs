//! An S3 server in this process, on a loopback port: any process can use it while this one runs.
//!
//! The protocol (routes, signatures, XML) is the `s3s` crate's; what is stored is this module's own. The crate's file
//! system store decides a conditional write before it has read the body and then writes without a lock, and shows a
//! new content under the old etag for a moment: here a content is whole before it is seen, and a condition is decided
//! and acted on in one step. What is left out: versions, access lists, checksums beside the signature's.

mod bucket;
mod content;
mod requests;
mod service;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::sync::oneshot;

use self::content::Contents;
use self::requests::Counter;
pub use self::requests::Requests;
use self::service::Service;
use crate::guardian::Directory;
use crate::store::{self, BUCKET, RemoteStore, StoreServer};

const ACCESS_KEY: &str = "alluvium-access-key";
const SECRET_KEY: &str = "alluvium-secret-key";
const REGION: &str = "us-east-1";
/// The server must not wait for a thread while a client's process keeps the machine busy.
const WORKERS: usize = 2;

/// A running S3 server with one bucket. Dropping it ends it and removes what it stored.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    directory: PathBuf,
    counter: Counter,
    /// Ends the server when it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl S3Server {
    /// A server on a free port, which has threads of its own: it outlives the runtime of the test that started it.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start() -> Self {
        Self::try_start().expect("the S3 server starts")
    }

    fn try_start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let counter = Counter::default();
        let directory = Directory::create("alluvium-s3-")?;
        let path = directory.path().to_owned();
        let mut builder = S3ServiceBuilder::new(Service::new(Contents::new(directory), &[BUCKET]));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.set_access(counter.clone());
        let service = builder.build();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("s3-server")
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("s3-server".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(listener, service) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            port,
            directory: path,
            counter,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it keeps what it stores.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Requests {
        self.counter.requests()
    }
}

impl StoreServer for S3Server {
    fn url(&self, prefix: &str) -> String {
        self.url_in(BUCKET, prefix)
    }

    fn options(&self) -> Vec<(String, String)> {
        self.options_at(self.port)
    }
}

#[async_trait]
impl RemoteStore for S3Server {
    fn url_in(&self, bucket: &str, prefix: &str) -> String {
        format!("s3://{bucket}/{prefix}")
    }

    fn port(&self) -> u16 {
        self.port
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

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

async fn serve(listener: TcpListener, service: S3Service) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener within a runtime");
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            // A client that went away before it was taken, or a moment without file handles.
            tokio::task::yield_now().await;
            continue;
        };
        // Answers are small, and a client that waits for one must not wait for the kernel to fill a packet.
        let _ = connection.set_nodelay(true);
        let service = service.clone();
        tokio::spawn(async move {
            // A client may go away whenever it likes.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}
