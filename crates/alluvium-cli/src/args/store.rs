//! What names an object store.

use clap::Args;

use crate::state::Place;
use crate::store::StoreOption;

/// Which store.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    /// The object store: `file:///DIR`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or
    /// `gs://BUCKET/PREFIX`.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Place,

    /// An option of the store, such as region, endpoint or a credential; may be given more than once [default: what the
    /// environment says, as in `AWS_REGION`]. Others can see the command line of a process: leave secrets to the environment.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) store_option: Vec<StoreOption>,
}
