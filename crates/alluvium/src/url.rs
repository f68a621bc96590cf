//! Where state is kept, as text and as a type.
//!
//! Reading the text is pure: whether there is a directory, a bucket or a feature is found out by opening. No error
//! repeats more of the text than its scheme, for what was meant to be a URL may hold a password.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Where state is kept.
///
/// | text | is |
/// |---|---|
/// | `memory:` | the memory engine in RAM only: gone when it is closed |
/// | `memory:DIR`, `fjall:DIR`, `rocksdb:DIR` | a state directory of that engine |
/// | `DIR` | a state directory of the engine that it was made with; a new one is fjall's |
/// | `file:///DIR` | objects in the files of a directory that several processes may share |
/// | `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, `gs://BUCKET/PREFIX` | objects in S3, Azure or Google Cloud Storage |
///
/// Whatever stands before the first colon is a scheme, unless a slash comes first: a directory named `a:b` is written
/// `./a:b`. Credentials have no place in it; they are [options](crate::StateConfig::option), or come from the
/// environment.
///
/// ```
/// use alluvium::StateUrl;
///
/// let url: StateUrl = "fjall:./state".parse()?;
/// assert_eq!(url.to_string(), "fjall:./state");
/// assert_eq!(url.dir(), Some("./state".as_ref()));
/// assert!("redis://localhost".parse::<StateUrl>().is_err());
/// # Ok::<(), alluvium::StateUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StateUrl(Place);

/// What a [`StateUrl`] names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The memory engine without a directory.
    Ram,
    /// A state directory, of this engine if one was named.
    Dir {
        engine: Option<EngineKind>,
        path: PathBuf,
    },
    /// An object store and a prefix in it, as a URL that was checked.
    Store { service: Service, url: String },
}

/// An engine that keeps its state in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EngineKind {
    Memory,
    Fjall,
    RocksDb,
}

/// Whose objects a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    File,
    S3,
    Azure,
    Gcs,
}

/// Why a text does not say where state is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateUrlError {
    /// There is no text.
    #[error("it is empty: use a directory, or {SCHEMES}")]
    Empty,
    /// There is no such scheme.
    #[error("there is no `{scheme}:`: use {SCHEMES}; a directory of that name is written `./{scheme}:…`")]
    UnknownScheme {
        /// What stands before the first colon.
        scheme: String,
    },
    /// A colon that no scheme ends at.
    #[error(
        "what stands before the colon is no scheme: use {SCHEMES}; a directory with a colon in its name is written `./NAME`"
    )]
    Colon,
    /// An engine without a directory, or with a URL's slashes.
    #[error("`{scheme}:` is followed by a directory, as in `{scheme}:./state` or `{scheme}:/var/lib/state`")]
    NoDirectory {
        /// The engine's scheme.
        scheme: &'static str,
    },
    /// An object store without what it has to name.
    #[error("`{scheme}:` is written `{form}`")]
    Form {
        /// The store's scheme.
        scheme: &'static str,
        /// How it is written.
        form: &'static str,
    },
    /// A login, a query or a fragment.
    #[error(
        "`{scheme}:` takes no login, no `?` and no `#`: give credentials as options, or in the environment"
    )]
    Extra {
        /// The store's scheme.
        scheme: &'static str,
    },
    /// A scheme before a name that is not UTF-8.
    #[error("only a bare directory may have a name that is not UTF-8: leave the scheme out")]
    NotUtf8,
}

/// Everything that can be written, for whoever has written something else.
const SCHEMES: &str = "`memory:`, `memory:DIR`, `fjall:DIR`, `rocksdb:DIR`, `file:///DIR`, `s3://BUCKET/PREFIX`, \
                       `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`";

impl EngineKind {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Fjall, Self::RocksDb];

    /// Its scheme, its feature, and what state directories record.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fjall => "fjall",
            Self::RocksDb => "rocksdb",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::File, Self::S3, Self::Azure, Self::Gcs];

    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Gcs => "gs",
        }
    }

    const fn form(self) -> &'static str {
        match self {
            Self::File => "file:///DIR",
            Self::S3 => "s3://BUCKET/PREFIX",
            Self::Azure => "az://CONTAINER/PREFIX",
            Self::Gcs => "gs://BUCKET/PREFIX",
        }
    }

    /// Checks what follows the scheme's colon.
    fn check(self, rest: &str) -> Result<(), StateUrlError> {
        let scheme = self.scheme();
        let form = StateUrlError::Form {
            scheme,
            form: self.form(),
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(form);
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') || rest.contains(['?', '#']) {
            return Err(StateUrlError::Extra { scheme });
        }
        let complete = match self {
            Self::File => authority.is_empty() && !path.trim_matches('/').is_empty(),
            Self::S3 | Self::Azure | Self::Gcs => !authority.is_empty(),
        };
        if complete { Ok(()) } else { Err(form) }
    }
}

impl StateUrl {
    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    /// The state directory, where an engine's is named.
    pub fn dir(&self) -> Option<&Path> {
        match &self.0 {
            Place::Dir { path, .. } => Some(path),
            Place::Ram | Place::Store { .. } => None,
        }
    }
}

impl FromStr for StateUrl {
    type Err = StateUrlError;

    fn from_str(text: &str) -> Result<Self, StateUrlError> {
        if text.is_empty() {
            return Err(StateUrlError::Empty);
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::from(PathBuf::from(text)));
        };
        if let Some(engine) = EngineKind::named(scheme) {
            return match rest {
                "" if engine == EngineKind::Memory => Ok(Self(Place::Ram)),
                // What would be the host of a URL is easily meant to be a directory.
                rest if rest.is_empty() || rest.starts_with("//") => Err(StateUrlError::NoDirectory {
                    scheme: engine.as_str(),
                }),
                path => Ok(Self(Place::Dir {
                    engine: Some(engine),
                    path: path.into(),
                })),
            };
        }
        if let Some(service) = Service::ALL
            .into_iter()
            .find(|service| service.scheme() == scheme)
        {
            service.check(rest)?;
            return Ok(Self(Place::Store {
                service,
                url: text.to_owned(),
            }));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        Err(if !scheme.is_empty() && scheme.chars().all(plain) {
            StateUrlError::UnknownScheme {
                scheme: scheme.to_owned(),
            }
        } else {
            StateUrlError::Colon
        })
    }
}

/// What stands before the first colon, and what after it; nothing if a slash comes first.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(scheme, _)| !scheme.contains('/'))
}

/// A state directory, of whatever engine it was made with.
impl From<PathBuf> for StateUrl {
    fn from(path: PathBuf) -> Self {
        Self(Place::Dir { engine: None, path })
    }
}

/// As typed on a command line: a bare directory may have any name.
impl TryFrom<OsString> for StateUrl {
    type Error = StateUrlError;

    fn try_from(text: OsString) -> Result<Self, StateUrlError> {
        match text.to_str() {
            Some(text) => text.parse(),
            None if split_scheme(&text.to_string_lossy()).is_some() => Err(StateUrlError::NotUtf8),
            None => Ok(Self::from(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for StateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Ram => f.write_str("memory:"),
            Place::Dir { engine: None, path } => path.display().fmt(f),
            Place::Dir {
                engine: Some(engine),
                path,
            } => write!(f, "{}:{}", engine.as_str(), path.display()),
            Place::Store { url, .. } => f.write_str(url),
        }
    }
}

impl fmt::Debug for StateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateUrl({self})")
    }
}

impl Serialize for StateUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.dir().is_some_and(|path| path.to_str().is_none()) {
            return Err(ser::Error::custom("the directory's name is not UTF-8"));
        }
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StateUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
