//! `s3://`: Amazon S3 and what speaks its protocol.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key, S3ConditionalPut};

use super::opened::Opened;
use super::settings::{self, Known, Role, Settings};
use super::{OpenStoreError, StoreOptions};

pub(super) const KNOWN: Known<Key> = Known {
    name: "S3",
    environment: "AWS_",
    variables: &[],
    options: &[
        "access_key_id",
        "checksum_algorithm",
        "container_authorization_token_file",
        "container_credentials_full_uri",
        "container_credentials_relative_uri",
        "copy_if_not_exists",
        "disable_bulk_delete",
        "disable_tagging",
        "endpoint",
        "endpoint_url_sts",
        "imdsv1_fallback",
        "metadata_endpoint",
        "region",
        "request_payer",
        "role_arn",
        "role_session_name",
        "s3_express",
        "secret_access_key",
        "server_side_encryption",
        "session_token",
        "skip_signature",
        "sse_bucket_key_enabled",
        "sse_customer_key_base64",
        "sse_kms_key_id",
        "unsigned_payload",
        "virtual_hosted_style_request",
        "web_identity_token_file",
    ],
    role,
};

fn role(key: Key) -> Role {
    match key {
        Key::AccessKeyId
        | Key::SecretAccessKey
        | Key::Token
        | Key::WebIdentityTokenFile
        | Key::RoleArn
        | Key::RoleSessionName
        | Key::ContainerCredentialsRelativeUri
        | Key::ContainerCredentialsFullUri
        | Key::ContainerAuthorizationTokenFile
        | Key::SkipSignature => Role::Credential,
        Key::Endpoint | Key::S3Endpoint => Role::Endpoint,
        Key::Bucket => Role::Fixed("is what the URL names: write s3://BUCKET"),
        Key::ConditionalPut => Role::Fixed("is always `etag`: state is sealed and fenced by it"),
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
) -> Result<AmazonS3, OpenStoreError> {
    let settings = Settings::new(&KNOWN, options, environment)?;
    let builder = AmazonS3Builder::new()
        .with_retry(settings.retry.clone())
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    settings
        .values
        .iter()
        .fold(builder, |builder, (key, value)| builder.with_config(*key, value))
        .build()
        .map_err(|error| settings.error(&error))
}
