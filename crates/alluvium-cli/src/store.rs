//! The object store that was named on the command line.

use std::convert::Infallible;
use std::str::FromStr;

use alluvium::StateConfig;

use crate::args::StoreArgs;
use crate::error::Failure;
use crate::secret::Secret;

/// An option of the store as it was typed. What is wrong with it is told when it is used, for it may be a credential, and
/// the command line's own errors repeat what was typed.
#[derive(Clone, Debug)]
pub(crate) struct StoreOption(Secret);

impl FromStr for StoreOption {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}

/// How the store that there is is opened. Never makes anything.
pub(crate) fn config(args: &StoreArgs) -> Result<StateConfig, Failure> {
    Ok(new_config(args)?.existing(true))
}

/// How a store is opened that may be a directory that is still to be made.
pub(crate) fn new_config(args: &StoreArgs) -> Result<StateConfig, Failure> {
    with_options(args.store.config("--store")?, &args.store_option)
}

/// With the options that were typed.
pub(crate) fn with_options(mut config: StateConfig, options: &[StoreOption]) -> Result<StateConfig, Failure> {
    for StoreOption(option) in options {
        let Some((name, value)) = option.expose().split_once('=') else {
            return Err(Failure::Usage(
                "--store-option: it is written NAME=VALUE".to_owned(),
            ));
        };
        config = config.option(name, value);
    }
    Ok(config)
}
