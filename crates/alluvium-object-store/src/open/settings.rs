//! What a service is set up with: the options, the environment, and our own defaults; and how its errors are shown.

use std::error::Error as _;
use std::str::FromStr;
use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};
use rustls::crypto::{CryptoProvider, ring};
use url::Url;

use super::{OpenStoreError, StoreOptions};

/// Values shorter than this are no secrets, and would be found in every other word.
const SECRET_MIN: usize = 4;
/// Our own options, which [`object_store`] has no names for.
const MAX_RETRIES: &str = "max_retries";
const RETRY_TIMEOUT: &str = "retry_timeout";
/// The defaults, said here so that they stay what the documentation says.
const DEFAULTS: [(&str, &str); 2] = [("timeout", "30s"), ("connect_timeout", "5s")];
/// What every service has.
const CLIENT: &[&str] = &[
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "default_content_type",
    "disable_system_certificates",
    "http1_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
    "http2_only",
    MAX_RETRIES,
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "randomize_addresses",
    "read_timeout",
    RETRY_TIMEOUT,
    "timeout",
    "user_agent",
];

/// What there is to know of a service.
pub(super) struct Known<K> {
    /// What it is called.
    pub(super) name: &'static str,
    /// What its environment variables begin with.
    pub(super) environment: &'static str,
    /// Variables that do not, and the option that each one is.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// The names of its own options.
    pub(super) options: &'static [&'static str],
    /// What an option is.
    pub(super) role: fn(K) -> Role,
}

/// What an option is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Says who the caller is. Those of the options are not mixed with those of the environment.
    Credential,
    /// The address of the server.
    Endpoint,
    /// Not to be chosen, and why.
    Fixed(&'static str),
    /// Anything else.
    Other,
}

/// What a service is set up with.
pub(super) struct Settings<K> {
    name: &'static str,
    /// In this order: a later one replaces an earlier one.
    pub(super) values: Vec<(K, String)>,
    pub(super) retry: RetryConfig,
    /// The name and the value of everything that was said.
    said: Vec<(String, String)>,
}

impl<K: FromStr + Copy> Settings<K> {
    /// Puts together what the options and the environment say, and sees to it that there is a crypto provider.
    pub(super) fn new(
        known: &Known<K>,
        options: &StoreOptions,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, OpenStoreError> {
        install_provider();
        let mut settings = Self {
            name: known.name,
            values: Vec::new(),
            retry: RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 5,
                retry_timeout: Duration::from_mins(1),
            },
            said: Vec::new(),
        };
        let mut given = Vec::new();
        for (name, value) in options.given() {
            settings.said.push((name.to_owned(), value.to_owned()));
            if settings.set_retry(name, value)? {
                continue;
            }
            let key: K = name.parse().map_err(|_| known.unknown(name))?;
            let role = (known.role)(key);
            if let Role::Fixed(why) = role {
                return Err(refuse(name, why));
            }
            check(role, name, value)?;
            given.push((role, key, value.to_owned()));
        }
        for (name, value) in DEFAULTS {
            settings.set(name, value);
        }
        if options.asks_environment() {
            for (variable, value) in environment {
                let Some((name, key)) = known.variable(&variable) else {
                    continue;
                };
                let role = (known.role)(key);
                let given_too = given.iter().any(|(given, ..)| *given == role);
                match role {
                    Role::Fixed(_) => continue,
                    Role::Credential | Role::Endpoint if given_too => continue,
                    _ => {}
                }
                check(role, &variable, &value)?;
                settings.said.push((variable, value.clone()));
                settings.set(&name, &value);
            }
        }
        let given = given.into_iter().map(|(_, key, value)| (key, value));
        settings.values.extend(given);
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) {
        if let Ok(key) = name.parse() {
            self.values.push((key, value.to_owned()));
        }
    }

    /// Takes an option that is our own.
    fn set_retry(&mut self, name: &str, value: &str) -> Result<bool, OpenStoreError> {
        match name {
            MAX_RETRIES => {
                let retries = value.trim().parse();
                self.retry.max_retries = retries.map_err(|_| refuse(name, "is no whole number"))?;
            }
            RETRY_TIMEOUT => {
                let timeout = humantime::parse_duration(value.trim());
                let why = "is no duration: write 500ms, 30s or 2m";
                self.retry.retry_timeout = timeout.map_err(|_| refuse(name, why))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// An error of the service, with the name of an option wherever it had the value.
    ///
    /// It becomes text: the errors of a service hold the values of options, whichever the user has put a secret into, and
    /// its `Debug` would show them. Most have the text of their sources in their own; what they do not say is added.
    pub(super) fn error(&self, error: &object_store::Error) -> OpenStoreError {
        let mut said: Vec<_> = self
            .said
            .iter()
            .filter(|(_, value)| value.trim().len() >= SECRET_MIN)
            .collect();
        // The longest first: one may be a part of another.
        said.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let more = error.to_string();
            if !message.contains(&more) {
                message = format!("{message}: {more}");
            }
            source = error.source();
        }
        for (name, value) in said {
            let instead = format!("the value of `{name}`");
            message = message.replace(value.trim(), &instead);
            // As `Debug` shows it.
            message = message.replace(&value.trim().escape_debug().to_string(), &instead);
        }
        OpenStoreError::Settings {
            store: self.name,
            source: message.into(),
        }
    }
}

impl<K: FromStr> Known<K> {
    /// The option that an environment variable is.
    fn variable(&self, variable: &str) -> Option<(String, K)> {
        let extra = self.variables.iter().find(|(name, _)| *name == variable);
        let name = match extra {
            Some((_, name)) => (*name).to_owned(),
            None if variable.starts_with(self.environment) => variable.to_ascii_lowercase(),
            None => return None,
        };
        let key = name.parse().ok()?;
        Some((name, key))
    }

    fn unknown(&self, name: &str) -> OpenStoreError {
        let mut known: Vec<&str> = self.options.iter().chain(CLIENT).copied().collect();
        known.sort_unstable();
        OpenStoreError::UnknownOption {
            store: self.name,
            key: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// The environment, without what is no text.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The address of a server appears in every error of a request, so it must not hold credentials.
fn check(role: Role, name: &str, value: &str) -> Result<(), OpenStoreError> {
    if role != Role::Endpoint {
        return Ok(());
    }
    match Url::parse(value.trim()) {
        Err(error) => Err(refuse(
            name,
            &format!("is no URL ({error}): write https://HOST:PORT"),
        )),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Err(refuse(
            name,
            "has a user in it: give credentials as options of their own",
        )),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => Err(refuse(
            name,
            "has a query in it: give a token as an option of its own",
        )),
        Ok(url) if !url.has_host() => Err(refuse(name, "names no host: write https://HOST:PORT")),
        Ok(_) => Ok(()),
    }
}

fn refuse(name: &str, why: &str) -> OpenStoreError {
    OpenStoreError::Option {
        key: name.to_owned(),
        why: why.to_owned(),
    }
}

/// The HTTP client brings no cryptography: it takes what the process has.
fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Fails if another thread has just installed one, which is as good.
        let _ = ring::default_provider().install_default();
    }
}
