//! What was asked of the server, counted where it arrives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};

/// How many requests of each kind a server has had.
///
/// Every one counts that was signed by somebody who may: the ones that failed, and a client's retries, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those of one kind, by S3's name for it: `PutObject`, `GetObject`, `HeadObject`, `ListObjectsV2`, `DeleteObject`,
    /// `DeleteObjects` and so on.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    /// The kinds that there were, with their counts.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let kinds = self
            .kinds()
            .map(|(kind, count)| (kind.to_owned(), count - earlier.of(kind)));
        Self(kinds.filter(|(_, count)| *count > 0).collect())
    }
}

/// Counts what passes, and keeps the anonymous out.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<Mutex<Requests>>);

impl Counter {
    pub(super) fn requests(&self) -> Requests {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl S3Access for Counter {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied));
        }
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.0.entry(context.s3_op().name().to_owned()).or_default() += 1;
        Ok(())
    }
}
