//! How the JetStream API is reached: what all builders here have to say alike.

use std::time::Duration;

use async_nats::Client;

/// How the JetStream API is reached.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) client: Client,
    /// What stands before the verbs: `$JS.API`, unless it is another domain's or an import.
    pub(crate) prefix: String,
    /// Until an answer is given up.
    pub(crate) timeout: Duration,
}

impl Reach {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            prefix: "$JS.API".to_owned(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The methods of a builder by which its [`Reach`], which is in this field, is another.
macro_rules! reach_methods {
    ($($reach:ident).+) => {
        /// The stream, or the bucket, is in this JetStream domain.
        pub fn domain(mut self, domain: impl AsRef<str>) -> Self {
            self.$($reach).+.prefix = format!("$JS.{}.API", domain.as_ref());
            self
        }

        /// The JetStream API is found below this subject, as an import from another account may have it.
        pub fn api_prefix(mut self, prefix: impl Into<String>) -> Self {
            self.$($reach).+.prefix = prefix.into();
            self
        }

        /// Until a request is given up that the server does not answer. 5 seconds by default.
        pub fn request_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.$($reach).+.timeout = timeout;
            self
        }
    };
}
pub(crate) use reach_methods;
