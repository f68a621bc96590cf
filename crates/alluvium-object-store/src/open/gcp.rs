//! `gs://`: Google Cloud Storage.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey as Key};

use super::opened::Opened;
use super::settings::{self, Known, Role, Settings};
use super::{OpenStoreError, StoreOptions};

pub(super) const KNOWN: Known<Key> = Known {
    name: "Google Cloud Storage",
    environment: "GOOGLE_",
    variables: &[("SERVICE_ACCOUNT", "service_account")],
    options: &[
        "application_credentials",
        "base_url",
        "bearer_token",
        "service_account",
        "service_account_key",
        "skip_signature",
    ],
    role,
};

fn role(key: Key) -> Role {
    match key {
        Key::ServiceAccount
        | Key::ServiceAccountKey
        | Key::ApplicationCredentials
        | Key::BearerToken
        | Key::SkipSignature => Role::Credential,
        Key::BaseUrl => Role::Endpoint,
        Key::Bucket => Role::Fixed("is what the URL names: write gs://BUCKET"),
        _ => Role::Other,
    }
}

pub(super) fn open(bucket: &str, options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, OpenStoreError> {
    let store = build(bucket, options, settings::environment())?;
    Ok(Arc::new(Opened(store)))
}

pub(super) fn build(
    bucket: &str,
    options: &StoreOptions,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<GoogleCloudStorage, OpenStoreError> {
    let settings = Settings::new(&KNOWN, options, environment)?;
    let builder = GoogleCloudStorageBuilder::new()
        .with_retry(settings.retry.clone())
        .with_bucket_name(bucket);
    settings
        .values
        .iter()
        .fold(builder, |builder, (key, value)| builder.with_config(*key, value))
        .build()
        .map_err(|error| settings.error(&error))
}
