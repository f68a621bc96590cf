//! What is logged, to standard error.
//!
//! Nothing by default: what an operator needs is said in words, errors on one line. `-v`, `-vv` and `-vvv` say more,
//! `RUST_LOG` says exactly what.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) fn init(verbose: u8) {
    let by_flag = match verbose {
        0 => "off",
        1 => "warn,alluvium=info",
        2 => "info,alluvium=debug",
        _ => "debug,alluvium=trace",
    };
    let asked = std::env::var("RUST_LOG")
        .ok()
        .filter(|directives| !directives.is_empty());
    let filter = EnvFilter::new(asked.as_deref().unwrap_or(by_flag));
    // At this level the client logs its CONNECT, password and all. Nobody can want that.
    let no_secrets = filter_fn(|metadata| {
        *metadata.level() != tracing::Level::TRACE || !metadata.target().starts_with("async_nats")
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(no_secrets)
        .with(
            fmt::layer()
                .with_writer(io::stderr)
                .with_ansi(io::stderr().is_terminal()),
        )
        .init();
}
