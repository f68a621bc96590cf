//! Requests that `object_store` has no method for: they make the bucket that everything else happens in.

use anyhow::{Context as _, Result, bail};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector};

/// `PUT` to a URL of an S3 server, with nothing in it.
///
/// # Errors
///
/// If there is no answer, or another one than success.
pub(crate) async fn put_as_aws(url: &str, access_key: &str, secret_key: &str, region: &str) -> Result<()> {
    let credential = AwsCredential {
        key_id: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        token: None,
    };
    let mut request = put(url)?;
    AwsAuthorizer::new(&credential, "s3", region).try_authorize(&mut request, None)?;
    send(request).await
}

/// `PUT` to a URL of an Azure server, with nothing in it.
///
/// # Errors
///
/// If there is no answer, or another one than success.
pub(crate) async fn put_as_azure(url: &str, account: &str, key: &str) -> Result<()> {
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(key)?);
    let mut request = put(url)?;
    AzureAuthorizer::new(&credential, account).try_authorize(&mut request)?;
    send(request).await
}

fn put(url: &str) -> Result<HttpRequest> {
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.method_mut() = "PUT".parse()?;
    *request.uri_mut() = url.parse().with_context(|| format!("{url} is no URL"))?;
    Ok(request)
}

async fn send(request: HttpRequest) -> Result<()> {
    super::provide_crypto();
    let options = ClientOptions::new().with_allow_http(true);
    let client = ReqwestConnector::default().connect(&options)?;
    let (parts, body) = client.execute(request).await?.into_parts();
    if !parts.status.is_success() {
        let text = body.bytes().await.unwrap_or_default();
        bail!("{}: {}", parts.status, String::from_utf8_lossy(&text));
    }
    Ok(())
}
