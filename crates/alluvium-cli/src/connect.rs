//! Reaching a server and finding a bucket or a stream on it, with the options, variables and contexts of the `nats` command.
//!
//! Secrets leave this module only into the client. URLs are stripped of users and passwords before anything else
//! sees them, so that neither errors nor the client's log lines can show one.

mod login;
mod servers;

use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium::{
    Bounds, CursorStore, CursorStoreError, ErrorKind, KvCursorStore, KvLog, Log, LogBuilder, LogError,
    StreamLog,
};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, rustls};

use self::login::Login;
use self::servers::DEFAULT_URL;
use crate::args::ConnectionArgs;
use crate::context::{self, Context, expand_path};
use crate::error::Failure;
use crate::secret::{Secret, first_secret};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, and where its `JetStream` is.
pub(crate) struct Connection {
    client: Client,
    servers: String,
    domain: Option<String>,
    api_prefix: Option<String>,
    timeout: Duration,
    said: Said,
}

/// The last error that the server told on the connection itself, where no request waits for it: permissions, mostly.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Option<String>>>);

impl Said {
    fn note(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that a connection is made from.
#[derive(Debug)]
struct Plan {
    servers: Vec<ServerAddr>,
    login: Login,
    /// A token beside another login, as contexts may have.
    extra_token: Option<Secret>,
    ca: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    tls_first: bool,
    inbox_prefix: Option<String>,
    domain: Option<String>,
    api_prefix: Option<String>,
    timeout: Duration,
}

/// Connects, within a few seconds or not at all. `purpose` is what the server calls the connection by.
pub(crate) async fn connect(args: &ConnectionArgs, purpose: &str) -> Result<Connection, Failure> {
    let context = context::load(args.context.as_deref())?;
    let plan = Plan::new(args, &context)?;
    let servers = plan
        .servers
        .iter()
        .map(ServerAddr::as_url_str)
        .collect::<Vec<_>>()
        .join(",");
    let said = Said::default();
    let options = plan.options(purpose, &said)?;
    // The client gives each address its time; names that resolve slowly have to fit in too.
    let limit = plan.timeout * u32::try_from(plan.servers.len()).unwrap_or(u32::MAX);
    let client = match tokio::time::timeout(limit, options.connect(&plan.servers[..])).await {
        Ok(Ok(client)) => client,
        Ok(Err(source)) => {
            return Err(match source.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    Failure::Login { servers, source }
                }
                ConnectErrorKind::TimedOut => Failure::NoAnswer {
                    servers,
                    timeout: plan.timeout,
                },
                ConnectErrorKind::Tls => Failure::Tls { servers, source },
                _ if is_tls(&source) => Failure::Tls { servers, source },
                _ => Failure::Connect { servers, source },
            });
        }
        Err(_) => {
            return Err(Failure::NoAnswer {
                servers,
                timeout: limit,
            });
        }
    };
    Ok(Connection {
        client,
        servers,
        domain: plan.domain,
        api_prefix: plan.api_prefix,
        timeout: plan.timeout,
        said,
    })
}

impl Connection {
    /// The log behind a bucket that exists, and its bounds.
    pub(crate) async fn bucket(&self, bucket: &str) -> Result<(Arc<dyn Log>, Bounds), Failure> {
        let find = async {
            let log = self
                .reach(KvLog::builder(self.client.clone(), bucket))
                .open()
                .await?;
            let bounds = log.bounds().await?;
            Ok::<_, LogError>((Arc::new(log) as Arc<dyn Log>, bounds))
        };
        match find.await {
            Ok(found) => Ok(found),
            Err(LogError::NotFound { .. }) => Err(Failure::NoBucket {
                bucket: bucket.to_owned(),
                servers: self.servers.clone(),
            }),
            Err(source) => Err(self.log_failure(source)),
        }
    }

    /// A stream that exists, as a log.
    pub(crate) async fn stream(&self, stream: &str) -> Result<Arc<dyn Log>, Failure> {
        let log = self
            .reach(StreamLog::builder(self.client.clone(), stream))
            .open()
            .await;
        Ok(Arc::new(log.map_err(|error| self.log_failure(error))?))
    }

    /// The cursors in a bucket that exists.
    pub(crate) async fn cursors(&self, bucket: &str) -> Result<Arc<dyn CursorStore>, Failure> {
        let mut store = KvCursorStore::builder(self.client.clone(), bucket).request_timeout(self.timeout);
        if let Some(domain) = &self.domain {
            store = store.domain(domain);
        }
        if let Some(prefix) = &self.api_prefix {
            store = store.api_prefix(prefix.trim_end_matches('.'));
        }
        match store.open().await {
            Ok(store) => Ok(Arc::new(store)),
            Err(CursorStoreError::Storage {
                kind: ErrorKind::NotFound,
                ..
            }) => Err(Failure::NoCursorBucket {
                bucket: bucket.to_owned(),
                servers: self.servers.clone(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// With the domain or prefix that was given.
    fn reach<L>(&self, log: LogBuilder<L>) -> LogBuilder<L> {
        let mut log = log.request_timeout(self.timeout);
        if let Some(domain) = &self.domain {
            log = log.domain(domain);
        }
        if let Some(prefix) = &self.api_prefix {
            log = log.api_prefix(prefix.trim_end_matches('.'));
        }
        log
    }

    /// An error of the log, with what the server had to say about it.
    pub(crate) fn log_failure(&self, source: LogError) -> Failure {
        Failure::Log {
            source,
            said: self.said.get(),
        }
    }
}

impl Plan {
    fn new(args: &ConnectionArgs, context: &Context) -> Result<Self, Failure> {
        let url = first_secret([&args.server, &context.url]).map_or(DEFAULT_URL, Secret::expose);
        let (servers, url_login) = servers::parse(url)?;
        let (login, extra_token) = login::choose(args, context, url_login)?;
        let path = |flag, field| given([flag, field]).map(|path| expand_path(path));
        let ca = path(&args.tlsca, &context.ca);
        let certificate = path(&args.tlscert, &context.cert);
        let key = path(&args.tlskey, &context.key);
        if certificate.is_some() != key.is_some() {
            return Err(Failure::Usage(
                "a TLS certificate and its key go together: give both --tlscert and --tlskey".to_owned(),
            ));
        }
        let tls_files = [
            ("the TLS authorities", &ca),
            ("the TLS certificate", &certificate),
            ("the TLS key", &key),
        ];
        for (what, path) in tls_files {
            let Some(path) = path else { continue };
            // The client says only that some file cannot be read.
            fs::File::open(path).map_err(|source| Failure::File {
                what,
                path: path.display().to_string(),
                source,
            })?;
        }
        // A domain or prefix that is given replaces whichever of the two the context has.
        let flags = (given([&args.js_domain]), given([&args.js_api_prefix]));
        let (domain, api_prefix) = match flags {
            (None, None) => (
                given([&context.jetstream_domain]),
                given([&context.jetstream_api_prefix]),
            ),
            flags => flags,
        };
        Ok(Self {
            servers,
            login,
            extra_token,
            ca,
            certificate: certificate.zip(key),
            tls_first: args.tlsfirst || context.tls_first.unwrap_or(false),
            inbox_prefix: given([&args.inbox_prefix, &context.inbox_prefix]).cloned(),
            domain: domain.cloned(),
            api_prefix: api_prefix.cloned(),
            timeout: args.timeout.unwrap_or(DEFAULT_TIMEOUT),
        })
    }

    fn options(&self, purpose: &str, said: &Said) -> Result<ConnectOptions, Failure> {
        let told = said.clone();
        let mut options = ConnectOptions::new()
            .name(format!("alluvium {purpose}"))
            .connection_timeout(self.timeout)
            .request_timeout(Some(self.timeout))
            .retain_servers_order()
            .event_callback(move |event| {
                let told = told.clone();
                async move {
                    tracing::info!(%event, "connection");
                    if let Event::ServerError(error) = event {
                        told.note(error.to_string());
                    }
                }
            });
        options = self.login.add_to(options)?;
        if let Some(token) = &self.extra_token {
            options = options.token(token.expose().to_owned());
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        // Whoever names authorities or a certificate means TLS, whatever the server would take.
        options = options.require_tls(self.ca.is_some() || self.certificate.is_some());
        if self.tls_first {
            options = options.tls_first();
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        Ok(options)
    }
}

/// Whether an error of the transport is one of TLS: the client reports handshakes that fail as I/O.
fn is_tls(error: &async_nats::ConnectError) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner
            .and_then(<dyn Error + Send + Sync>::downcast_ref::<rustls::Error>)
            .is_some()
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// The first of these that is not empty: an empty variable or field counts as not given.
fn given<const N: usize>(texts: [&Option<String>; N]) -> Option<&String> {
    texts.into_iter().flatten().find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
