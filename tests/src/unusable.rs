//! Stores that cannot be used: no such bucket, no right to it, no answer, nobody there. Opened and used as a user does
//! it, each of them is an error that says what to do, within bounded time, with no secret in it; and when it is mended,
//! the same handle goes on, and nothing is lost.

mod place;

use std::sync::Arc;

use alluvium::{Checkpointer as _, ErrorKind, OpenError, StateBackend, StateConfig};
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer, StoreOptions, open_store};

use self::place::{Said, check_sealed, epoch, seal, secrets, until_done};
use crate::nats_server::free_port;
use crate::{Proxy, RemoteStore};

/// Every proof, a named test each: on the server that the expression gives.
#[macro_export]
macro_rules! unusable_suite {
    ($server:expr) => {
        $crate::unusable_suite! { @tests $server,
            a_bucket_that_is_not_there_is_an_error_until_it_is_made
            no_bucket_is_not_no_checkpoint
            wrong_credentials_are_an_error_and_change_nothing
            a_store_that_hangs_is_an_error_and_goes_on_when_it_does
            a_store_that_is_gone_is_an_error_and_goes_on_when_it_is_back
        }
    };
    (@tests $server:expr, $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::unusable::$name($server).await;
        }
    )*};
}

/// How long a request may take, and the one that repeats it.
const PATIENCE: &str = "1s";

/// No state is not the same as no place for it.
///
/// # Panics
///
/// If the backend opens, or does not once there is a bucket.
pub async fn a_bucket_that_is_not_there_is_an_error_until_it_is_made(server: &dyn RemoteStore) {
    let config = config(&server.url_in("made-later", "state"), &server.options());
    let said = Said::of_open(&config).await;
    said.check(
        ErrorKind::NotFound,
        "make the bucket first",
        &secrets(&server.options()),
    );
    server.make_bucket("made-later").await.unwrap();
    let backend = config.open().await.unwrap();
    seal(&backend, epoch(1)).await.unwrap();
    check_sealed(&backend, epoch(1)).await.unwrap();
}

/// Whoever took a bucket that is not there for one without checkpoints would begin with nothing.
///
/// # Panics
///
/// If it is taken for that.
pub async fn no_bucket_is_not_no_checkpoint(server: &dyn RemoteStore) {
    let options: StoreOptions = server.options().into_iter().collect();
    let open = |bucket: &str| {
        let (store, prefix) = open_store(&server.url_in(bucket, "checkpoints"), &options).unwrap();
        ObjectStoreCheckpointer::new(store, prefix, CheckpointerOptions::default())
    };
    server.make_bucket("no-checkpoint").await.unwrap();
    assert_eq!(open("no-checkpoint").read_latest().await.unwrap(), None);
    let nowhere = open("no-bucket");
    let latest = nowhere.read_latest().await.map(drop).unwrap_err();
    let listed = nowhere.list_checkpoints().await.map(drop).unwrap_err();
    for error in [latest, listed] {
        let said = Said::new("look for checkpoints", error.kind(), &error);
        said.check(
            ErrorKind::NotFound,
            "make the bucket first",
            &secrets(&server.options()),
        );
    }
}

/// Neither who is unknown nor who has another key gets as far as a handle.
///
/// # Panics
///
/// If one does, or what is there is not what was there.
pub async fn wrong_credentials_are_an_error_and_change_nothing(server: &dyn RemoteStore) {
    let url = server.url("credentials");
    let right = config(&url, &server.options()).open().await.unwrap();
    seal(&right, epoch(1)).await.unwrap();
    for credential in ["key_id", "account_name", "secret_access_key", "account_key"] {
        let mut options = server.options();
        let Some((_, value)) = options.iter_mut().find(|(name, _)| name.ends_with(credential)) else {
            continue;
        };
        // As long as the right one, and but for some letters the same.
        let other = if value.starts_with("wxyz") { "zyxw" } else { "wxyz" };
        value.replace_range(..4, other);
        let said = Said::of_open(&config(&url, &options)).await;
        let hidden = [secrets(&options), secrets(&server.options())].concat();
        said.check(
            ErrorKind::Unavailable,
            "refuses these credentials: check",
            &hidden,
        );
    }
    check_sealed(&right, epoch(1)).await.unwrap();
    seal(&right, epoch(2)).await.unwrap();
    let again = config(&url, &server.options()).open().await.unwrap();
    for number in [1, 2] {
        check_sealed(&again, epoch(number)).await.unwrap();
    }
}

/// It takes connections and requests, and says nothing. What it was asked meanwhile it may do later.
///
/// # Panics
///
/// If something waits without an end, or does not go on.
pub async fn a_store_that_hangs_is_an_error_and_goes_on_when_it_does(server: &dyn RemoteStore) {
    let proxy = Proxy::start(server.port()).await;
    let hidden = secrets(&server.options());
    let config = impatient(server, "hangs", proxy.port());
    let backend = begin(&config).await;
    proxy.stall(true);
    for said in Said::of_everything(&config, &backend).await {
        said.check(ErrorKind::Transient, "gave up waiting for an answer", &hidden);
    }
    proxy.stall(false);
    goes_on(&config, &backend).await;
}

/// Nobody listens where it was.
///
/// # Panics
///
/// If something waits without an end, or does not go on.
pub async fn a_store_that_is_gone_is_an_error_and_goes_on_when_it_is_back(server: &dyn RemoteStore) {
    let port = free_port();
    let hidden = secrets(&server.options());
    let config = impatient(server, "gone", port);
    let reached = "cannot be reached: check its address";
    let said = Said::of_open(&config).await;
    said.check(ErrorKind::Transient, reached, &hidden);
    let proxy = Proxy::start_at(port, server.port()).await;
    let backend = begin(&config).await;
    proxy.end().await;
    for said in Said::of_everything(&config, &backend).await {
        said.check(ErrorKind::Transient, reached, &hidden);
    }
    let proxy = Proxy::start_at(port, server.port()).await;
    goes_on(&config, &backend).await;
    drop(proxy);
}

/// A handle, and one epoch that is sealed through it.
async fn begin(config: &StateConfig) -> Arc<dyn StateBackend> {
    let backend = until_done(|| config.open()).await;
    until_done(async || Ok(seal(&backend, epoch(1)).await?)).await;
    backend
}

/// The same handle does what failed before, and both it and a new one find everything.
async fn goes_on(config: &StateConfig, backend: &Arc<dyn StateBackend>) {
    until_done(async || Ok(seal(backend, epoch(2)).await?)).await;
    let again = until_done(|| config.open()).await;
    for backend in [backend, &again] {
        until_done(async || {
            for number in [1, 2] {
                check_sealed(backend, epoch(number)).await?;
            }
            assert_eq!(backend.latest_complete().await?, Some(epoch(2)));
            Ok::<_, OpenError>(())
        })
        .await;
    }
}

fn config(url: &str, options: &[(String, String)]) -> StateConfig {
    let config = StateConfig::new(url)
        .expect("a URL")
        .instance(place::instance())
        .vnodes(place::vnodes());
    options
        .iter()
        .fold(config, |config, (name, value)| config.option(name, value))
}

/// A place that is reached at this port, by a client that does not wait long.
fn impatient(server: &dyn RemoteStore, prefix: &str, port: u16) -> StateConfig {
    let config = config(&server.url(prefix), &server.options_at(port));
    [
        ("timeout", PATIENCE),
        ("connect_timeout", PATIENCE),
        ("retry_timeout", PATIENCE),
        ("max_retries", "1"),
    ]
    .into_iter()
    .fold(config, |config, (name, value)| config.option(name, value))
}
