//! Options of a store.

use std::collections::BTreeMap;
use std::fmt;

use super::OpenStoreError;

/// Options of a store by name, and whether the environment is asked for what they do not say. `memory:` and `file://` take
/// none.
///
/// Names are those of [`object_store`], with or without the service's prefix: `aws_region` or `region`. An option that is
/// given wins over the environment: with a credential among the options none comes from there, and with an endpoint no
/// endpoint. `Debug` shows no values.
///
/// # Every service
///
/// | name | default | |
/// |---|---|---|
/// | `timeout` | `30s` | of one request, from connecting to the last byte of the answer. It must suffice for the longest upload |
/// | `connect_timeout` | `5s` | of connecting alone |
/// | `read_timeout` | none | between two reads of an answer |
/// | `max_retries` | `5` | how often a request is sent again |
/// | `retry_timeout` | `60s` | from the first attempt on; no attempt begins later |
/// | `allow_http` | `false` | lets an endpoint be `http://` |
/// | `allow_invalid_certificates` | `false` | trusts whoever answers: for tests |
/// | `disable_system_certificates` | `false` | trusts no authority: for systems that have none, and `http://` |
/// | `pool_idle_timeout` | `90s` | how long a connection is kept for the next request |
/// | `pool_max_idle_per_host` | no limit | how many are |
/// | `http1_only`, `http2_only` | HTTP/1.1 | one connection for each request at a time: faster than sharing one |
/// | `http2_keep_alive_interval`, `http2_keep_alive_timeout`, `http2_keep_alive_while_idle`, `http2_max_frame_size` | | of HTTP/2 |
/// | `proxy_url`, `proxy_ca_certificate`, `proxy_excludes` | the environment's proxy | how the store is reached |
/// | `randomize_addresses` | `true` | takes any of the addresses of a host name |
/// | `user_agent`, `default_content_type` | | headers of every request |
///
/// Durations are written as `500ms`, `30s`, `2m`. Connections have `TCP_NODELAY`.
///
/// **Who repeats what.** The HTTP client of a store sends a request again when there was no connection, and when the answer
/// is a 5xx, 429 or 408; after a time-out only if it is unconditional. Pauses grow, up to `max_retries` and `retry_timeout`:
/// what a method of the store returns is final after `retry_timeout` + `timeout` at the latest. So whoever calls the store
/// need not repeat for the network's sake, but has to settle what is left open: a conditional put that failed may have
/// happened, also one that was told that it came too late, for it may have been its own first attempt that came first.
///
/// # `s3://`
///
/// | name | |
/// |---|---|
/// | `access_key_id`, `secret_access_key`, `session_token` | credentials |
/// | `role_arn`, `role_session_name`, `web_identity_token_file`, `endpoint_url_sts` | credentials of a web identity (EKS) |
/// | `container_credentials_relative_uri`, `container_credentials_full_uri`, `container_authorization_token_file` | credentials of a task (ECS) or pod (EKS) |
/// | `imdsv1_fallback`, `metadata_endpoint` | credentials of the machine, where there are no others |
/// | `skip_signature` | no credentials |
/// | `region` | `us-east-1` without one |
/// | `endpoint` | of a server that is not Amazon's, `https://HOST:PORT` |
/// | `virtual_hosted_style_request` | the bucket is in the host name, and has to be in `endpoint` too; else it is in the path |
/// | `unsigned_payload` | bodies are not hashed for the signature: less work, safe over HTTPS |
/// | `checksum_algorithm` | `sha256` or `crc64nvme`: sent with uploads for the server to check |
/// | `server_side_encryption`, `sse_kms_key_id`, `sse_bucket_key_enabled`, `sse_customer_key_base64` | encryption by the server |
/// | `s3_express`, `request_payer`, `disable_tagging`, `disable_bulk_delete`, `copy_if_not_exists` | as in [`object_store`] |
///
/// `conditional_put` is always `etag`: state is sealed and fenced by it.
///
/// # `az://`
///
/// | name | |
/// |---|---|
/// | `account_name` | the storage account |
/// | `account_key`, `sas_token`, `bearer_token` | credentials |
/// | `client_id`, `client_secret`, `tenant_id`, `authority_host`, `federated_token_file` | credentials of an application |
/// | `msi_endpoint`, `object_id`, `msi_resource_id`, `use_azure_cli`, `credential_type` | credentials of the machine or the user |
/// | `skip_signature` | no credentials |
/// | `endpoint` | of a server that is not Azure's, `https://HOST:PORT`; for Azurite `http://HOST:PORT/ACCOUNT`, with `account_name`, `account_key` and `allow_http` |
/// | `use_fabric_endpoint`, `fabric_token_service_url`, `fabric_workload_host`, `fabric_session_token`, `fabric_cluster_identifier` | Microsoft Fabric |
/// | `encryption_key`, `disable_tagging` | as in [`object_store`] |
///
/// # `gs://`
///
/// | name | |
/// |---|---|
/// | `service_account`, `service_account_key` | credentials of a service account: the path of its file, or what is in it |
/// | `application_credentials` | the path of a file of application default credentials |
/// | `bearer_token` | credentials |
/// | `skip_signature` | no credentials |
/// | `base_url` | of a server that is not Google's |
#[derive(Clone, PartialEq, Eq)]
pub struct StoreOptions {
    values: BTreeMap<String, String>,
    environment: bool,
}

impl Default for StoreOptions {
    /// None but those of the environment.
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            environment: true,
        }
    }
}

impl StoreOptions {
    /// The same, with this option.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.insert(name.into().to_ascii_lowercase(), value.into());
        self
    }

    /// The same, asking the environment for what is not said, or not. It is asked by default: for the variables that
    /// begin with `AWS_`, `AZURE_` or `GOOGLE_` and go on as the options are named.
    #[must_use]
    pub fn environment(mut self, environment: bool) -> Self {
        self.environment = environment;
        self
    }

    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
    pub(super) fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
    pub(super) fn asks_environment(&self) -> bool {
        self.environment
    }

    /// For a store that takes none.
    pub(super) fn refuse_all(&self, store: &'static str) -> Result<(), OpenStoreError> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(key) => Err(OpenStoreError::UnknownOption {
                store,
                key: key.clone(),
                known: "none".to_owned(),
            }),
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for StoreOptions {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(options: I) -> Self {
        options
            .into_iter()
            .fold(Self::default(), |all, (name, value)| all.set(name, value))
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("names", &self.values.keys())
            .field("environment", &self.environment)
            .finish()
    }
}
