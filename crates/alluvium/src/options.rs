//! Options of object stores: credentials, mostly.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// Options by name. Their values are not shown by `Debug` and not serialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Options(BTreeMap<String, Secret>);

impl Options {
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, Secret(value));
    }

    /// The first option there is, for whoever takes none.
    pub(crate) fn first_name(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }

    /// Names and values, for the one place that needs them.
    #[cfg_attr(
        not(feature = "object-store"),
        allow(dead_code, reason = "object stores take options")
    )]
    pub(crate) fn exposed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.0.as_str()))
    }
}

/// Text that nothing shows.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// From text, and from what a configuration file makes of text without quotes. No error repeats the value, as those
/// of serde do.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Plain {
            Text(String),
            Flag(bool),
            Natural(u64),
            Integer(i64),
        }
        match Plain::deserialize(deserializer) {
            Ok(Plain::Text(text)) => Ok(Self(text)),
            Ok(Plain::Flag(flag)) => Ok(Self(flag.to_string())),
            Ok(Plain::Natural(number)) => Ok(Self(number.to_string())),
            Ok(Plain::Integer(number)) => Ok(Self(number.to_string())),
            Err(_) => Err(de::Error::custom("an option's value is text")),
        }
    }
}
