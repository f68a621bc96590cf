//! What can be typed to reach a server.

use std::time::Duration;

use clap::Args;

use super::duration;
use crate::secret::Secret;

/// How to reach a server: the options, environment variables and context files of the `nats` command.
///
/// Whatever may hold a secret is a [`Secret`], so that no error and no `Debug` shows it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection (as for the `nats` command)")]
pub(crate) struct ConnectionArgs {
    /// Servers, divided by commas [default: that of the context, else `nats://127.0.0.1:4222`].
    #[arg(short, long, value_name = "URL", env = "NATS_URL", hide_env_values = true)]
    pub(crate) server: Option<Secret>,

    /// Context file to take whatever is not given otherwise from [default: the one that `nats context select`
    /// selected].
    #[arg(long, value_name = "NAME", env = "NATS_CONTEXT")]
    pub(crate) context: Option<String>,

    /// User name; without a password, a token.
    #[arg(long, value_name = "USER", env = "NATS_USER", hide_env_values = true)]
    pub(crate) user: Option<Secret>,

    /// Password.
    #[arg(long, value_name = "PASSWORD", env = "NATS_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<Secret>,

    /// Token.
    #[arg(long, value_name = "TOKEN", env = "NATS_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<Secret>,

    /// Credentials file.
    #[arg(long, value_name = "FILE", env = "NATS_CREDS", hide_env_values = true)]
    pub(crate) creds: Option<Secret>,

    /// Seed of an nkey, or a file with one.
    #[arg(long, value_name = "FILE|SEED", env = "NATS_NKEY", hide_env_values = true)]
    pub(crate) nkey: Option<Secret>,

    /// TLS certificate of this client.
    #[arg(long, value_name = "FILE", env = "NATS_CERT")]
    pub(crate) tlscert: Option<String>,

    /// TLS private key of this client.
    #[arg(long, value_name = "FILE", env = "NATS_KEY")]
    pub(crate) tlskey: Option<String>,

    /// TLS certificate authorities that the server must be signed by.
    #[arg(long, value_name = "FILE", env = "NATS_CA")]
    pub(crate) tlsca: Option<String>,

    /// Begin with TLS, before the server says a word.
    #[arg(long)]
    pub(crate) tlsfirst: bool,

    /// Domain of `JetStream`.
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) js_domain: Option<String>,

    /// Subject prefix of the API of `JetStream`.
    #[arg(long, value_name = "PREFIX", conflicts_with = "js_domain")]
    pub(crate) js_api_prefix: Option<String>,

    /// Prefix of inbox subjects.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) inbox_prefix: Option<String>,

    /// How long a server may take to answer: 5s, 500ms, 1m.
    #[arg(long, value_name = "TIME", env = "NATS_TIMEOUT", default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}
