//! What an object-store server is to a test: a URL, and the options to open it with.

mod request;
pub mod suite;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;

pub(crate) use self::request::{put_as_aws, put_as_azure};

/// The bucket that every server has.
pub(crate) const BUCKET: &str = "alluvium";

/// A server with one bucket, or container. Any process can use it while this one runs.
pub trait StoreServer: Send + Sync {
    /// The URL of a prefix in the bucket, empty for the bucket itself.
    fn url(&self, prefix: &str) -> String;

    /// What else a client has to know: endpoint and credentials, by `object_store`'s names for them.
    fn options(&self) -> Vec<(String, String)>;

    /// Where it differs from others.
    fn traits(&self) -> Traits {
        Traits::default()
    }

    /// The bucket through `object_store` itself.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    fn store(&self) -> Arc<dyn ObjectStore> {
        open(&self.url(""), &self.options()).expect("the bucket is opened")
    }
}

/// A server that is reached over the network, and where there can be other buckets.
#[async_trait]
pub trait RemoteStore: StoreServer {
    /// The URL of a prefix in any bucket.
    fn url_in(&self, bucket: &str, prefix: &str) -> String;

    /// Where it listens.
    fn port(&self) -> u16;

    /// What [`options`](StoreServer::options) gives, for a client that comes to another port.
    fn options_at(&self, port: u16) -> Vec<(String, String)>;

    /// Makes another bucket.
    ///
    /// # Errors
    ///
    /// If the server refuses.
    async fn make_bucket(&self, name: &str) -> Result<()>;
}

/// What is known of a server, and may surprise.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// How many keys a page of a listing holds.
    pub page: usize,
    /// Whether a listing can begin after a key. Where it cannot, the key is ignored in silence.
    pub lists_after: bool,
    /// Whether `If-Match` is compared as HTTP has it, in quotes. Where it is not, an etag that the server gave itself
    /// never matches before its quotes are taken off.
    pub quoted_etags: bool,
}

impl Default for Traits {
    /// As S3 is.
    fn default() -> Self {
        Self {
            page: 1_000,
            lists_after: true,
            quoted_etags: true,
        }
    }
}

/// Opens what a URL names through `object_store` itself.
///
/// # Errors
///
/// If URL or options name nothing that can be opened.
pub fn open(url: &str, options: &[(String, String)]) -> Result<Arc<dyn ObjectStore>> {
    provide_crypto();
    let parsed = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
    let (store, prefix) = object_store::parse_url_opts(&parsed, options.iter().cloned())?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// HTTP clients ask for a provider of cryptography when they are made, even where no TLS follows.
fn provide_crypto() {
    // Whoever comes second has come to the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Names and values as options.
pub(crate) fn options<const N: usize>(options: [(&str, &str); N]) -> Vec<(String, String)> {
    options
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}
