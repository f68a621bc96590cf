//! `KvLog` and `StreamLog` against real servers: one module for each group of obligations of the `Log` trait, each
//! test once on a bucket and once on a plain stream; what only one of them has, in `keys` and `plain`; and, in `suite`, what every log promises.

/// A test of each of these functions on a bucket, and one on a plain stream.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod bucket {$(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::support::Kind::Bucket).await;
            }
        )*}

        mod stream {$(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::support::Kind::Stream).await;
            }
        )*}
    };
}

mod bounds;
mod clean;
mod exact;
mod forger;
mod keys;
mod listing;
mod lost;
mod plain;
mod pressure;
mod suite;
mod support;
