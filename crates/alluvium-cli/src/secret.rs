//! Text that must not be shown: passwords, tokens, seeds, and whatever may hold one.

use std::fmt;

use serde::Deserialize;

/// Text that no error, log line or `Debug` shows.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// The first of these that is not empty: an empty variable or field counts as not given, as it does for the `nats`
/// command.
pub(crate) fn first_secret<const N: usize>(secrets: [&Option<Secret>; N]) -> Option<&Secret> {
    secrets.into_iter().flatten().find(|secret| !secret.0.is_empty())
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::from("hunter2"))), "Some(***)");
    }
}
