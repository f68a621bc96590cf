//! What a URL names. The URL says where and nothing else; what would be read otherwise than it is written is refused.

use std::path::PathBuf;

use object_store::path::Path;
use url::Url;

use super::{OpenStoreError, Service};

/// Where a store is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In memory.
    Memory,
    /// Below a directory.
    Directory(PathBuf),
    /// In a bucket, which Azure calls a container.
    Bucket {
        service: Service,
        bucket: String,
        prefix: Path,
    },
}

const SCHEMES: &str =
    "use memory:, file:///PATH, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX";
/// The longest name of a bucket that any service has.
const BUCKET_MAX: usize = 222;

/// Reads a URL.
pub(super) fn parse(text: &str) -> Result<Place, OpenStoreError> {
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        // Nothing can be told about it, so nothing of it is shown.
        return Err(refuse("what was given", &format!("it has no scheme: {SCHEMES}")));
    };
    let service = match scheme {
        "memory" if rest.is_empty() => return Ok(Place::Memory),
        "memory" => return Err(refuse("memory:...", "nothing may follow: use memory:")),
        "file" => None,
        "s3" => Some(Service::S3),
        "az" => Some(Service::Azure),
        "gs" => Some(Service::Gcs),
        _ => {
            let why = format!("there is no such scheme: {SCHEMES}");
            return Err(refuse(&format!("{scheme}:..."), &why));
        }
    };
    let url = Url::parse(text).map_err(|error| refuse(&format!("{scheme}:..."), &error.to_string()))?;
    let refuse = |why: &str| Err(refuse(&shown(&url), why));
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it has a user: give credentials as options or in the environment");
    }
    if url.query().is_some() {
        return refuse("it has a query (what follows the `?`): give options instead");
    }
    if url.fragment().is_some() {
        return refuse("it has a fragment: write `#` as %23");
    }
    // They are gone in the parsed one, which names another place.
    let steps = |segment: &str| {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        decoded == "." || decoded == ".."
    };
    if rest.split(['/', '\\']).any(steps) {
        return refuse("it has `.` or `..` in it: write the path that is meant");
    }
    match service {
        None => directory(&url, rest).or_else(|why| refuse(&why)),
        Some(service) => bucket(service, &url).or_else(|why| refuse(&why)),
    }
}

fn directory(url: &Url, rest: &str) -> Result<Place, String> {
    if !rest.starts_with("///") {
        return Err("give an absolute path: file:///PATH".to_owned());
    }
    match url.to_file_path() {
        Ok(path) if path.parent().is_none() => Err("give a directory below the root".to_owned()),
        Ok(path) if path.as_os_str().as_encoded_bytes().contains(&0) => {
            Err("a path has no zero byte".to_owned())
        }
        Ok(path) => Ok(Place::Directory(path)),
        Err(()) => Err("it is no path of this system".to_owned()),
    }
}

fn bucket(service: Service, url: &Url) -> Result<Place, String> {
    let scheme = service.scheme();
    let name = match service {
        Service::Azure => "container",
        Service::S3 | Service::Gcs => "bucket",
    };
    let Some(bucket) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(format!("it has no {name}: {scheme}://{}", name.to_uppercase()));
    };
    if url.port().is_some() {
        return Err(format!(
            "{scheme}:// is followed by the {name}: give a server's address as the option `endpoint`"
        ));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$".contains(&byte);
    if bucket.len() > BUCKET_MAX || !bucket.bytes().all(fits) {
        return Err(format!(
            "no {name} has such a name: letters, digits, `.`, `-`, `_`"
        ));
    }
    let prefix = Path::from_url_path(url.path()).map_err(|error| error.to_string())?;
    Ok(Place::Bucket {
        service,
        bucket: bucket.to_owned(),
        prefix,
    })
}

/// What can be shown of a URL.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let more = if url.query().is_some() { "?..." } else { "" };
    format!("{}://{host}{}{more}", url.scheme(), url.path())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn refuse(url: &str, why: &str) -> OpenStoreError {
    OpenStoreError::Url {
        url: url.to_owned(),
        why: why.to_owned(),
    }
}
