//! What the tests share: a server, a bucket of leases, and a clock that something happens at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium::{Acquired, Clock, KvLeaseStore, Lease, LeaseStore, Timestamp};
use alluvium_conformance::ManualClock;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::{NatsServer, Proxy, wait};
use async_nats::ConnectOptions;

pub(crate) const BUCKET: &str = "leases";
pub(crate) const NAME: &str = "export routes";
/// The key of that lease.
pub(crate) const KEY: &str = "lease.export=20routes";
pub(crate) const TTL: Duration = Duration::from_secs(30);
/// Until something must have come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with an empty bucket.
pub(crate) struct Fixture {
    pub(crate) server: NatsServer,
    pub(crate) bucket: Bucket,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let server = NatsServer::start().await;
        let bucket = Bucket::create(&server, BUCKET).await;
        Self {
            server,
            bucket,
            clock: ManualClock::default(),
        }
    }

    /// The leases, by way of a connection of their own that nothing happens to.
    pub(crate) async fn leases(&self) -> KvLeaseStore {
        KvLeaseStore::builder(self.server.client().await, BUCKET)
            .clock(Arc::new(self.clock.clone()))
            .open()
            .await
            .expect("the bucket is opened")
    }

    /// The leases by way of a proxy, and what happens between reading a record and writing the next.
    pub(crate) async fn proxied(&self, timeout: Duration) -> Proxied {
        let proxy = Arc::new(Proxy::start(self.server.port()).await);
        let between = Arc::new(Between {
            clock: self.clock.clone(),
            armed: AtomicBool::new(false),
            event: Mutex::new(None),
        });
        let client = ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(5))
            .connect(proxy.url())
            .await
            .expect("a client connects");
        let leases = KvLeaseStore::builder(client, BUCKET)
            .clock(Arc::clone(&between) as Arc<dyn Clock>)
            .request_timeout(timeout)
            .open()
            .await
            .expect("the bucket is opened");
        Proxied {
            proxy,
            leases,
            between,
        }
    }

    /// Waits until the bucket's last message is this one.
    pub(crate) async fn last_becomes(&self, sequence: u64) {
        wait::until_ok(PATIENCE, "it is the last message", || async {
            let last = self.bucket.last().await.get();
            if last == sequence { Ok(()) } else { Err(last) }
        })
        .await;
    }
}

pub(crate) struct Proxied {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) leases: KvLeaseStore,
    between: Arc<Between>,
}

impl Proxied {
    /// What the next write finds: it happens once, when the record has been read and what to write is decided.
    pub(crate) fn before_the_write(&self, event: impl FnOnce(&Proxy) + Send + 'static) {
        let proxy = Arc::clone(&self.proxy);
        *self.between.event.lock().unwrap() = Some(Box::new(move || event(&proxy)));
        self.between.armed.store(true, Ordering::SeqCst);
    }

    /// Waits until the next write is about to be made.
    pub(crate) async fn decided(&self) {
        wait::until(PATIENCE, "it is decided what to write", || {
            !self.between.armed.load(Ordering::SeqCst)
        })
        .await;
    }
}

type Event = Box<dyn FnOnce() + Send>;

/// A clock: that is what is asked between a read and a write.
struct Between {
    clock: ManualClock,
    armed: AtomicBool,
    event: Mutex<Option<Event>>,
}

impl Clock for Between {
    fn now(&self) -> Timestamp {
        if let Some(event) = self.event.lock().unwrap().take() {
            event();
            self.armed.store(false, Ordering::SeqCst);
        }
        self.clock.now()
    }
}

/// A lease that has to be free.
pub(crate) async fn acquire(leases: &KvLeaseStore, holder: &str) -> Lease {
    match leases.try_acquire(NAME, holder, TTL).await.unwrap() {
        Acquired::Yes(lease) => lease,
        other => panic!("it should be free: {other:?}"),
    }
}
