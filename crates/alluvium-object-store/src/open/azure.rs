//! `az://`: Azure Blob Storage.
//!
//! With its option `use_emulator`, [`object_store`] takes the emulator's address from an environment variable and ignores
//! `endpoint`. Azurite needs no such mode: the account is a part of its address, `http://HOST:PORT/ACCOUNT`.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey as Key, MicrosoftAzure, MicrosoftAzureBuilder};

use super::opened::Opened;
use super::settings::{self, Known, Role, Settings};
use super::{OpenStoreError, StoreOptions};

pub(super) const KNOWN: Known<Key> = Known {
    name: "Azure Blob Storage",
    environment: "AZURE_",
    variables: &[("IDENTITY_ENDPOINT", "msi_endpoint")],
    options: &[
        "account_key",
        "account_name",
        "authority_host",
        "bearer_token",
        "client_id",
        "client_secret",
        "credential_type",
        "disable_tagging",
        "encryption_key",
        "endpoint",
        "fabric_cluster_identifier",
        "fabric_session_token",
        "fabric_token_service_url",
        "fabric_workload_host",
        "federated_token_file",
        "msi_endpoint",
        "msi_resource_id",
        "object_id",
        "sas_token",
        "skip_signature",
        "tenant_id",
        "use_azure_cli",
        "use_fabric_endpoint",
    ],
    role,
};

fn role(key: Key) -> Role {
    match key {
        Key::AccessKey
        | Key::ClientId
        | Key::ClientSecret
        | Key::AuthorityId
        | Key::SasKey
        | Key::Token
        | Key::ObjectId
        | Key::MsiResourceId
        | Key::FederatedTokenFile
        | Key::UseAzureCli
        | Key::SkipSignature
        | Key::CredentialType => Role::Credential,
        Key::Endpoint => Role::Endpoint,
        Key::ContainerName => Role::Fixed("is what the URL names: write az://CONTAINER"),
        Key::UseEmulator => Role::Fixed(
            "ignores `endpoint`: for Azurite give `endpoint` http://HOST:PORT/ACCOUNT, `account_name`, `account_key`, \
             and `allow_http`",
        ),
        _ => Role::Other,
    }
}

pub(super) fn open(container: &str, options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, OpenStoreError> {
    let store = build(container, options, settings::environment())?;
    Ok(Arc::new(Opened(store)))
}

pub(super) fn build(
    container: &str,
    options: &StoreOptions,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<MicrosoftAzure, OpenStoreError> {
    let settings = Settings::new(&KNOWN, options, environment)?;
    let builder = MicrosoftAzureBuilder::new()
        .with_retry(settings.retry.clone())
        .with_container_name(container);
    settings
        .values
        .iter()
        .fold(builder, |builder, (key, value)| builder.with_config(*key, value))
        .build()
        .map_err(|error| settings.error(&error))
}
