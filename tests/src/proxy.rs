//! A TCP proxy between a client and a server, for what networks do to connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wait;

/// A proxy on a loopback port. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    faults: Arc<Faults>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Faults {
    /// Raised to cut every connection that there is.
    cuts: watch::Sender<u64>,
    refusing: AtomicBool,
    stalled: AtomicBool,
    deaf: AtomicBool,
    bytes_down: AtomicU64,
    accepted: AtomicU64,
    /// How many there had been when it was disconnected.
    before: AtomicU64,
}

impl Proxy {
    /// A proxy to this port of this machine.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start(target: u16) -> Self {
        Self::start_at(0, target).await
    }

    /// A proxy on this port, to that port of this machine.
    ///
    /// # Panics
    ///
    /// If somebody else has the port.
    pub async fn start_at(port: u16, target: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind(address).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let faults = Arc::new(Faults {
            cuts: watch::Sender::new(0),
            refusing: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            bytes_down: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            before: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&faults)));
        Self {
            port,
            faults,
            accepting,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a client of NATS is to connect instead of the server.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it, and returns when nobody listens on its port any more.
    pub async fn end(mut self) {
        self.accepting.abort();
        // It was aborted, which is what it is to end with.
        let _ = (&mut self.accepting).await;
    }

    /// Cuts every connection. New ones are taken at once.
    pub fn cut(&self) {
        self.faults.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refusing: bool) {
        self.faults.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Whether nothing is passed on, either way, until this ends.
    pub fn stall(&self, stalled: bool) {
        self.faults.stalled.store(stalled, Ordering::SeqCst);
    }

    /// Whether what the server says is thrown away. Only for when it says little: half a message lost is a broken
    /// connection.
    pub fn deafen(&self, deaf: bool) {
        self.faults.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Bytes passed on from the server to clients.
    pub fn bytes_down(&self) -> u64 {
        self.faults.bytes_down.load(Ordering::SeqCst)
    }

    /// Connections taken so far.
    pub fn accepted(&self) -> u64 {
        self.faults.accepted.load(Ordering::SeqCst)
    }

    /// Cuts every connection, and takes no other.
    pub fn disconnect(&self) {
        self.faults.before.store(self.accepted(), Ordering::SeqCst);
        self.refuse(true);
        self.cut();
    }

    /// Takes connections again, and waits for the first since it was [disconnected](Self::disconnect).
    ///
    /// # Panics
    ///
    /// If none comes in this time.
    pub async fn reconnect(&self, patience: Duration) {
        self.refuse(false);
        self.accepts_after(self.faults.before.load(Ordering::SeqCst), patience)
            .await;
    }

    /// Waits until more connections than so many were taken.
    ///
    /// # Panics
    ///
    /// If none comes in this time.
    pub async fn accepts_after(&self, before: u64, patience: Duration) {
        wait::until(patience, "a client has connected again", || {
            self.accepted() > before
        })
        .await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: u16, faults: Arc<Faults>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        if faults.refusing.load(Ordering::SeqCst) {
            continue;
        }
        faults.accepted.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(pass(client, target, Arc::clone(&faults)));
    }
}

async fn pass(client: TcpStream, target: u16, faults: Arc<Faults>) {
    let mut cuts = faults.cuts.subscribe();
    let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], target))).await else {
        return;
    };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::select! {
        () = copy(client_read, server_write, &faults, false) => {}
        () = copy(server_read, client_write, &faults, true) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, faults: &Faults, down: bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        while faults.stalled.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if down {
            if faults.deaf.load(Ordering::SeqCst) {
                continue;
            }
            faults.bytes_down.fetch_add(length as u64, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
