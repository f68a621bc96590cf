//! A store from a URL.
//!
//! | URL | store | feature |
//! |---|---|---|
//! | `memory:` | in memory, a new one each time | |
//! | `file:///PATH` | the files below a directory: [`LocalStore`] | |
//! | `s3://BUCKET/PREFIX` | Amazon S3 and what speaks its protocol | `aws` |
//! | `az://CONTAINER/PREFIX` | Azure Blob Storage | `azure` |
//! | `gs://BUCKET/PREFIX` | Google Cloud Storage | `gcp` |
//!
//! The URL says where, and never who: credentials are [options](StoreOptions) or come from the environment. No error and
//! no `Debug` of what is opened shows the value of an option, whichever it is.
//!
//! **HTTPS** trusts the certificates of the system. In a container that means the package `ca-certificates`, or
//! `SSL_CERT_FILE` naming a file of them, which is also the way to trust an authority of one's own. Where there are none
//! at all, opening a store fails, unless the option `disable_system_certificates` says that there is nothing to trust.
//! The cryptography is ring's, which the NATS client has too. If the process has not installed a provider for rustls,
//! opening the first store installs that one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::LocalStore;

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
mod error;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod opened;
mod options;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod settings;
mod url;

pub use error::OpenStoreError;
pub use options::StoreOptions;

use url::Place;

/// A service that speaks HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    S3,
    Azure,
    Gcs,
}

impl Service {
    #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
    const fn feature(self) -> &'static str {
        match self {
            Self::S3 => "aws",
            Self::Azure => "azure",
            Self::Gcs => "gcp",
        }
    }

    /// What its URLs begin with.
    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Gcs => "gs",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Azure => "Azure Blob Storage",
            Self::Gcs => "Google Cloud Storage",
        })
    }
}

/// Opens the store that a URL names, and gives the prefix in it that everything is to be put under. Of `file:///PATH`
/// the directory is the store, made if it is not there, and the prefix is empty.
///
/// Sends no request: a bucket that does not exist, or credentials that are wrong, are errors of the first use. Reads files
/// (a directory that was left, credentials): call it where that may wait.
///
/// ```
/// use alluvium_object_store::{StoreOptions, open_store};
///
/// # fn main() -> Result<(), alluvium_object_store::OpenStoreError> {
/// let dir = tempfile::tempdir().unwrap();
/// let url = format!("file://{}", dir.path().display());
/// let (store, prefix) = open_store(&url, &StoreOptions::default())?;
/// assert!(prefix.as_ref().is_empty());
/// # drop(store);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`OpenStoreError::Url`] for a URL that names no place or says more than a place, [`OpenStoreError::FeatureOff`],
/// [`OpenStoreError::UnknownOption`] and the like for options, [`OpenStoreError::Directory`].
pub fn open_store(url: &str, options: &StoreOptions) -> Result<(Arc<dyn ObjectStore>, Path), OpenStoreError> {
    match url::parse(url)? {
        Place::Memory => {
            options.refuse_all("memory:")?;
            Ok((Arc::new(InMemory::new()), Path::default()))
        }
        Place::Directory(path) => {
            options.refuse_all("file://")?;
            Ok((Arc::new(open_directory(path)?), Path::default()))
        }
        Place::Bucket {
            service,
            bucket,
            prefix,
        } => Ok((open_bucket(service, &bucket, options)?, prefix)),
    }
}

fn open_directory(path: PathBuf) -> Result<LocalStore, OpenStoreError> {
    LocalStore::open(&path).map_err(|source| OpenStoreError::Directory { path, source })
}

#[cfg_attr(
    not(all(feature = "aws", feature = "azure", feature = "gcp")),
    allow(
        unused_variables,
        reason = "a service that is not compiled in has no use for them"
    )
)]
fn open_bucket(
    service: Service,
    bucket: &str,
    options: &StoreOptions,
) -> Result<Arc<dyn ObjectStore>, OpenStoreError> {
    match service {
        #[cfg(feature = "aws")]
        Service::S3 => aws::open(bucket, options),
        #[cfg(feature = "azure")]
        Service::Azure => azure::open(bucket, options),
        #[cfg(feature = "gcp")]
        Service::Gcs => gcp::open(bucket, options),
        #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
        off => Err(OpenStoreError::FeatureOff {
            scheme: off.scheme(),
            feature: off.feature(),
        }),
    }
}

#[cfg(test)]
mod tests;
