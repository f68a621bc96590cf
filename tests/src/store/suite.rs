//! What a server must do to be as good as the service it stands for: asked through `object_store` alone, so that it is
//! the server that is proved, and nothing of ours.

mod conditional;
mod contents;
mod listing;
mod refusals;

use object_store::PutPayload;
use object_store::path::Path;

pub use self::conditional::{
    a_creation_has_one_winner, an_update_has_one_winner, an_update_of_something_else_is_refused,
};
pub use self::contents::{
    a_content_is_never_seen_half, keys_are_what_they_are, parts_become_one_object,
    ranges_are_what_was_asked_for,
};
pub use self::listing::{a_listing_has_pages, many_are_deleted_at_once};
pub use self::refusals::{a_bucket_that_is_not_there_is_said, wrong_credentials_are_refused};

/// Every proof, a named test each: on the server that the expression gives.
#[macro_export]
macro_rules! store_suite {
    ($server:expr) => {
        $crate::store_suite! { @tests $server,
            a_creation_has_one_winner
            an_update_has_one_winner
            an_update_of_something_else_is_refused
            a_content_is_never_seen_half
            keys_are_what_they_are
            parts_become_one_object
            ranges_are_what_was_asked_for
            a_listing_has_pages
            many_are_deleted_at_once
            a_bucket_that_is_not_there_is_said
            wrong_credentials_are_refused
        }
    };
    (@tests $server:expr, $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::store::suite::$name($server).await;
        }
    )*};
}

/// Clients that race.
const RACERS: u32 = 32;

fn rounds() -> u32 {
    if crate::full() { 200 } else { 20 }
}

/// A key in a place of its own.
fn key(place: &str, name: impl std::fmt::Display) -> Path {
    Path::parse(format!("{place}/{name}")).expect("a plain key")
}

fn payload(text: impl Into<String>) -> PutPayload {
    PutPayload::from(text.into())
}
