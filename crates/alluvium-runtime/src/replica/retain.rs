//! What the log forgets without a word, the table forgets: a mirror whatever it is, an archive while what is gone can only have been
//! deleted, because nothing was ever evicted.
//!
//! Every look at the log ([`bounds_every`](super::ReplicaBuilder::bounds_every)) tells its first sequence, how many messages it
//! holds, and of how many keys. From that is found, in this order:
//!
//! 1. Rows below the first sequence are gone, once the table has come to the end that the log had at that look.
//! 2. Nothing else is gone if the log still ends where it did and holds as many messages; or if it holds as many keys as
//!    changes, evictions and the count before make it hold, each of them one message.
//! 3. Otherwise the log tells which messages it holds, and rows of others are gone. Where it cannot tell, or in many words, it is
//!    listed, without values, and rows that it does not list are gone. Either takes at most a twentieth of the time, however
//!    much is written.
//!
//! Where the log keeps a history, the message before one that is gone is the last of its key again. Its value has to be fetched: the
//! table is reconciled.
//!
//! No row goes while a newer message of its key may be on its way, and the cursor stays where it is. None of an archive goes
//! before the log was asked, after it was found gone, whether it may evict by now.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{
    DeleteReason, Holdings, ListEvent, Listed, LogIdentity, Mode, Scope, Sequence, Survey,
    unlisted_is_deleted,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::driver::{Driver, Interruption};
use super::forget::{self, Oldest, RowAt};
use super::listed::ListedSet;
use super::newcomers::MOST_MARKERS;
use super::queue::Work;
use crate::ReplicaError;
use crate::error::Chain;

/// A listing is followed by so many times as long without one.
const REST: u32 = 20;
/// Keys that are listed once more at a time.
const AGAIN: usize = 64;
/// For how long at least it is waited for the table to come to the end of the log, before the next look is taken instead.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// What is being followed, and how often that has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Following {
    generation: u64,
    /// None while the table is repaired, filled, or on its way to another course.
    log: Option<LogIdentity>,
}

impl Following {
    pub(super) fn set(&mut self, log: Option<LogIdentity>) {
        self.generation += 1;
        self.log = log;
    }
}

/// What is known of the table that is followed.
struct Keeper {
    following: Following,
    oldest: Oldest,
    base: Option<Base>,
    /// No listing before this.
    not_before: Instant,
}

/// A look at the log at which nothing but what is known was gone.
struct Base {
    last: Sequence,
    messages: u64,
    keys: Option<u64>,
}

impl Driver {
    /// Has the table forget what the log forgets. Returns only with an error.
    pub(super) async fn retain(&self, mut surveys: watch::Receiver<Option<Survey>>) -> ReplicaError {
        let mut keeper = Keeper {
            following: Following::default(),
            oldest: Oldest::default(),
            base: None,
            not_before: Instant::now(),
        };
        loop {
            let survey = match surveys.changed().await {
                Ok(()) => surveys.borrow_and_update().clone(),
                Err(_) => std::future::pending().await,
            };
            let forgets = |survey: &Survey| {
                unlisted_is_deleted(self.mode, self.table.has_evicted(), &survey.bounds.retention)
            };
            let Some(survey) = survey.filter(forgets) else {
                continue;
            };
            match self.keep_up(&mut keeper, &survey).await {
                Ok(()) => {}
                // Who reads the log is told the same, and sees to it.
                Err(Interruption::Failed(error @ ReplicaError::Log(_))) => {
                    tracing::debug!(table = self.table.name(), error = %Chain(&error), "looking again later");
                    keeper.base = None;
                }
                Err(Interruption::Failed(error)) => return error,
                // It tells why itself.
                Err(Interruption::ApplierEnded) => std::future::pending().await,
            }
        }
    }

    async fn keep_up(&self, keeper: &mut Keeper, survey: &Survey) -> Result<(), Interruption> {
        let bounds = &survey.bounds;
        let following = self.following();
        if following.log.as_ref() != Some(&bounds.log) || !self.comes_to(bounds.last).await? {
            return Ok(());
        }
        if following != keeper.following {
            *keeper = Keeper {
                following,
                oldest: Oldest::default(),
                base: None,
                not_before: keeper.not_before,
            };
        }
        let mut forgotten = 0;
        loop {
            let rows = self.below(keeper, bounds.first).await?;
            if rows.is_empty() {
                break;
            }
            let Some(count) = self.forget(rows, &bounds.log).await? else {
                keeper.oldest = Oldest::default();
                return Ok(());
            };
            forgotten += count;
        }
        if self.is_explained(keeper, survey, forgotten).await? {
            keeper.base = Some(Base {
                last: bounds.last,
                messages: bounds.messages,
                keys: survey.keys,
            });
            return Ok(());
        }
        if Instant::now() < keeper.not_before {
            return Ok(());
        }
        let begun = Instant::now();
        let holdings = match self.mode {
            Mode::Mirror => self.holdings(&bounds.log, bounds).await?,
            // A listing tells more: whether something has expired.
            Mode::Archive => None,
        };
        let is_whole = match holdings {
            Some(holdings) => self.verify_by(keeper, survey, holdings).await?,
            None => self.verify(keeper, survey).await?,
        };
        if is_whole {
            keeper.not_before = Instant::now() + begun.elapsed() * REST;
        }
        keeper.base = is_whole.then_some(Base {
            last: bounds.last,
            messages: bounds.messages,
            keys: survey.keys,
        });
        Ok(())
    }

    /// Whether a look at the log tells that no message vanished since the look before.
    async fn is_explained(
        &self,
        keeper: &mut Keeper,
        survey: &Survey,
        forgotten: u64,
    ) -> Result<bool, Interruption> {
        let Some(base) = &mut keeper.base else {
            return Ok(false);
        };
        let bounds = &survey.bounds;
        let (tell, told) = oneshot::channel();
        let (after, upto, first) = (base.last, bounds.last, bounds.first);
        self.queue
            .push(Work::Newcomers {
                after,
                upto,
                first,
                tell,
            })
            .await?;
        let (came, markers) = told.await.map_err(|_| Interruption::ApplierEnded)?;
        // Also where it does not come to that: what is gone now is not there at the next look.
        base.keys = base.keys.map(|keys| keys.saturating_sub(forgotten + markers));
        if base.last == bounds.last && base.messages == bounds.messages {
            return Ok(true);
        }
        // The log counts the keys of every scope. One that it holds several messages of does not go with the last of them.
        let counts = self.scope.is_all() && has_one_of_each(survey);
        let (true, Some(keys), Some(before), Some(came)) = (counts, survey.keys, base.keys, came) else {
            return Ok(false);
        };
        Ok(keys >= before + came)
    }

    /// Has the table forget the rows whose messages the log does not hold. Whether that were all of them.
    async fn verify_by(
        &self,
        keeper: &Keeper,
        survey: &Survey,
        holdings: Holdings,
    ) -> Result<bool, Interruption> {
        let last = holdings.bounds().last;
        if !self.comes_to(last).await? {
            return Ok(false);
        }
        let holdings = Arc::new(holdings);
        self.queue.push(Work::KeepMarkers(Arc::clone(&holdings))).await?;
        let table = Arc::clone(&self.table);
        let not_held = move || forget::not_held(table.as_ref(), &holdings);
        let rows = tokio::task::spawn_blocking(not_held)
            .await
            .map_err(|_| ReplicaError::ShutDown)??;
        self.forget_vanished(keeper, survey, rows, last).await
    }

    /// Lists the log, and has the table forget the rows that are not listed. Whether that were all of them.
    async fn verify(&self, keeper: &Keeper, survey: &Survey) -> Result<bool, Interruption> {
        let log = &survey.bounds.log;
        let (mut messages, mut markers) = (ListedSet::new(), Vec::new());
        let mut stream = self.log.list(&self.scope).await?;
        self.still_the_same(log).await?;
        let complete = loop {
            let (listed, complete) = self.listed(&mut stream).await?;
            for key in listed {
                if self.mode == Mode::Archive && key.deleted == Some(DeleteReason::Expired) {
                    // It has evicted, whatever it says that it may.
                    self.queue.push(Work::RememberEviction).await?;
                    return Ok(false);
                }
                if key.deleted.is_none() {
                    messages
                        .push(key.sequence, key.timestamp)
                        .map_err(ReplicaError::from)?;
                } else if markers.len() < MOST_MARKERS {
                    markers.push((Bytes::copy_from_slice(&key.key), key.sequence));
                }
            }
            if let Some(complete) = complete {
                break complete;
            }
        };
        drop(stream);
        if !self.comes_to(complete).await? {
            return Ok(false);
        }
        self.queue.push(Work::LearnMarkers(markers, complete)).await?;
        let table = Arc::clone(&self.table);
        let unlisted = move || forget::unlisted(table.as_ref(), messages, complete);
        let rows = tokio::task::spawn_blocking(unlisted)
            .await
            .map_err(|_| ReplicaError::ShutDown)??;
        self.forget_vanished(keeper, survey, rows, complete).await
    }

    /// Has the table forget rows that the log did not hold when it ended there.
    async fn forget_vanished(
        &self,
        keeper: &Keeper,
        survey: &Survey,
        mut rows: Vec<RowAt>,
        complete: Sequence,
    ) -> Result<bool, Interruption> {
        let is_whole = rows.len() < forget::MOST;
        // A message may have moved past that end when its key was written again.
        let looks_again = !has_one_of_each(survey) || self.log.bounds().await?.last > complete;
        if !rows.is_empty() && looks_again {
            let Some(gone) = self.still_gone(rows).await? else {
                if self.following() == keeper.following {
                    self.vanished.send_replace(true);
                }
                return Ok(false);
            };
            rows = gone;
        }
        if rows.is_empty() {
            return Ok(is_whole);
        }
        tracing::info!(
            table = self.table.name(),
            rows = rows.len(),
            "rows have vanished from the log"
        );
        Ok(self.forget(rows, &survey.bounds.log).await?.is_some() && is_whole)
    }

    /// Those whose keys the log holds no value of. Nothing if it holds an older one of some.
    async fn still_gone(&self, rows: Vec<RowAt>) -> Result<Option<Vec<RowAt>>, Interruption> {
        let mut gone = Vec::with_capacity(rows.len());
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut some: Vec<RowAt> = rows.by_ref().take(AGAIN).collect();
            let held = self.list_keys(some.iter().map(|row| &row.key)).await?;
            let of_row = |row: &RowAt| held.iter().rfind(|listed| listed.key == row.key);
            let is_back = |listed: &Listed, row: &RowAt| listed.sequence < row.sequence;
            let older = some
                .iter()
                .filter_map(|row| of_row(row).filter(|listed| is_back(listed, row)));
            if older.into_iter().any(|listed| listed.deleted.is_none()) {
                return Ok(None);
            }
            some.retain(|row| of_row(row).is_none_or(|listed| is_back(listed, row)));
            gone.append(&mut some);
        }
        Ok(Some(gone))
    }

    /// What the log holds of some keys. A key that is no subject is none of a log's.
    pub(super) async fn list_keys(
        &self,
        keys: impl Iterator<Item = &Bytes>,
    ) -> Result<Vec<Listed>, Interruption> {
        let texts = keys.filter_map(|key| std::str::from_utf8(key).ok());
        let filters: Vec<&str> = texts.filter(|text| Scope::of([text]).is_ok()).collect();
        let Some(scope) = Scope::of(&filters).ok().filter(|_| !filters.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut stream = self.log.list(&scope).await?;
        let mut found = Vec::new();
        while let Some(event) = stream.next().await {
            match event? {
                ListEvent::Key(listed) => found.push(listed),
                ListEvent::Complete(_) => return Ok(found),
            }
        }
        Err(self.over().into())
    }

    async fn below(&self, keeper: &mut Keeper, first: Sequence) -> Result<Vec<RowAt>, Interruption> {
        let (table, mut oldest) = (Arc::clone(&self.table), std::mem::take(&mut keeper.oldest));
        let look = move || {
            let rows = oldest.below(table.as_ref(), first)?;
            Ok::<_, ReplicaError>((oldest, rows))
        };
        let (oldest, rows) = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| ReplicaError::ShutDown)??;
        keeper.oldest = oldest;
        Ok(rows)
    }

    /// Deletes rows that are gone, unless they have changed. How many; nothing if the table is in a repair, or if they may have been
    /// evicted and stay.
    async fn forget(&self, rows: Vec<RowAt>, log: &LogIdentity) -> Result<Option<u64>, Interruption> {
        if self.mode == Mode::Archive {
            // What it told before may have been from before it began to evict these.
            let bounds = self.log.bounds().await?;
            if bounds.log != *log {
                return Err(self.replaced().into());
            }
            if bounds.retention.evicts_latest() {
                self.queue.push(Work::RememberEviction).await?;
                return Ok(None);
            }
        }
        let (tell, told) = oneshot::channel();
        self.queue.push(Work::Forget(rows, tell)).await?;
        told.await.map_err(|_| Interruption::ApplierEnded)
    }

    /// Waits until everything up to a sequence is applied, but not for long. Whether it is.
    async fn comes_to(&self, sequence: Sequence) -> Result<bool, Interruption> {
        let deadline = Instant::now() + self.bounds_every.max(LEAST_PATIENCE);
        let mut status = self.status.subscribe();
        loop {
            let (tell, told) = oneshot::channel();
            self.queue.push(Work::Reached(sequence, tell)).await?;
            if told.await.map_err(|_| Interruption::ApplierEnded)? {
                return Ok(true);
            }
            if !matches!(
                tokio::time::timeout_at(deadline, status.changed()).await,
                Ok(Ok(()))
            ) {
                return Ok(false);
            }
        }
    }
}

/// Whether the log never holds more than one message of a key.
fn has_one_of_each(survey: &Survey) -> bool {
    survey.bounds.retention.history == Some(1)
}
