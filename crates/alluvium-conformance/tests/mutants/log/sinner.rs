//! A log that is sound, but for one sin if it is told to.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Mutex;

use alluvium_core::{
    Bounds, Change, DeleteReason, Headers, Holdings, KeyStream, ListEvent, ListStream, Listed, Log, LogError,
    LogEvent, LogStream, Operation, Scope, Sequence, Timestamp,
};
use alluvium_memory::MemoryLog;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::reader::Reader;
use super::world::{Seat, World};

/// What a log can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sin {
    None,
    /// Some messages are not given.
    SkipsSome,
    /// Two neighbours change places.
    SwapsTwo,
    /// What is out of scope is read all the same.
    IgnoresTheScope,
    /// Only the first filter of a scope counts.
    TakesOneFilter,
    /// A read begins one late.
    BeginsLate,
    /// The last message is given again when a connection was cut.
    RepeatsAfterACut,
    /// The next message is lost when a connection was cut.
    LosesAfterACut,
    /// Who waits is told of nothing any more.
    NeverWakes,
    /// It says that it is at the end before it begins.
    CaughtUpTooEarly,
    /// It says again that it is at the end.
    CaughtUpAgain,
    /// It does not say that it is at the end where nothing wanted came.
    CaughtUpOfWhatIsWantedOnly,
    /// Whatever there is is held.
    ReadsAheadWithoutBound,
    /// A reader that was not polled has messages thrown away.
    DropsWhatIsNotPolled,
    /// A read from before the first message is refused.
    RefusesFromBelow,
    /// A read from beyond the end waits until that is there.
    WaitsBeyondTheEnd,
    /// A reader of a log that was deleted waits.
    DeletedUnnoticed,
    /// A reader of a log that was made again goes on with that.
    RecreatedUnnoticed,
    /// A reader of a log cut short goes on with what comes.
    LostTailUnnoticed,
    /// What has gone wrong ends a reader without a word.
    EndsWithoutAWord,
    /// What has gone wrong does not end a reader.
    GoesOnAfterAnError,
    /// Bounds are those of the first time.
    CachesBounds,
    /// A log made again is the same.
    KeepsItsIdentity,
    /// The first message is always 1.
    FirstIsOne,
    /// Bytes are not counted.
    CountsNoBytes,
    /// Of a message that is not there the next one is given.
    GivesANeighbour,
    /// A single message has its instant in milliseconds.
    RoundsInstants,
    /// Deleted keys are not listed.
    ListsNoMarkers,
    /// Of each key the first message is listed.
    ListsOldMessages,
    /// Every message is listed.
    ListsEveryMessage,
    /// What is listed is in the order of its keys.
    ListsByKey,
    /// A listing is said to be complete up to what is there when it ends.
    ListsTooFar,
    /// What has moved since a listing began is left out.
    ListsWhatStaysOnly,
    /// Deleted keys are not listed without their values.
    ListsNoMarkersWithoutValues,
    /// What is listed without values has no instants.
    ListsNoInstants,
    /// What it holds is told with a message that was deleted in the place of the last.
    MistakesADeletion,
    /// What it holds is told as it was when it was asked first.
    CachesHoldings,
    /// What it holds is told however much that is.
    TellsTooMuch,
    /// What it holds is told while nothing was deleted.
    TellsNoDeletions,
    /// Keys come for each of their messages.
    KeysTwice,
    /// Keys that are deleted are none.
    KeysWithoutMarkers,
    /// Keys are those of every scope.
    KeysOfEveryScope,
    /// Empty values are deletes.
    EmptyIsDeleted,
    /// Deletes are empty values.
    DeletedIsEmpty,
    /// Purges are deletes.
    PurgedIsDeleted,
    /// Headers stay behind.
    LosesHeaders,
    /// The server keeps readers that were dropped.
    LeavesReaders,
    /// The server keeps listings that were not read to their end.
    LeavesListings,
    /// The server keeps a reader for each connection there was.
    LeavesReadersAtACut,
    /// The server keeps something for a read that was refused.
    LeavesRefusedReads,
}

pub(super) struct Sinner {
    sin: Sin,
    world: World,
    cached: Mutex<Option<Bounds>>,
    held: Mutex<Option<Holdings>>,
}

impl Sinner {
    pub(super) fn new(sin: Sin, world: World) -> Self {
        Self {
            sin,
            world,
            cached: Mutex::new(None),
            held: Mutex::new(None),
        }
    }

    /// Every message in scope.
    async fn messages(&self, scope: &Scope) -> Result<Vec<Change>, LogError> {
        let mut messages = Vec::new();
        let mut read = self.world.log.read(Sequence::FIRST, scope).await?;
        while let Some(Ok(LogEvent::Change(change))) = read.next().await {
            messages.push(change);
        }
        Ok(messages)
    }

    /// What is listed, before it is told.
    async fn listed(&self, scope: &Scope) -> Result<Vec<Change>, LogError> {
        let mut latest = BTreeMap::new();
        for change in self.messages(scope).await? {
            match self.sin {
                Sin::ListsEveryMessage => drop(latest.insert((change.sequence, Bytes::new()), change)),
                Sin::ListsOldMessages => {
                    latest
                        .entry((Sequence::ZERO, change.key.clone()))
                        .or_insert(change);
                }
                _ => drop(latest.insert((Sequence::ZERO, change.key.clone()), change)),
            }
        }
        let mut listed: Vec<Change> = latest.into_values().collect();
        if self.sin == Sin::ListsNoMarkers {
            listed.retain(|change| change.value().is_some());
        }
        if self.sin != Sin::ListsByKey {
            listed.sort_by_key(|change| change.sequence);
        }
        Ok(listed)
    }
}

struct Listing {
    sin: Sin,
    log: MemoryLog,
    /// Where the log ended when it began.
    end: Sequence,
    rest: std::vec::IntoIter<Change>,
    _seat: Option<Seat>,
}

impl Listing {
    async fn next(mut self) -> Option<(LogEvent, Option<Self>)> {
        loop {
            tokio::task::yield_now().await;
            let Some(change) = self.rest.next() else {
                let now = self.log.bounds().await.map_or(self.end, |bounds| bounds.last);
                let end = if self.sin == Sin::ListsTooFar {
                    now
                } else {
                    self.end
                };
                return Some((LogEvent::CaughtUp(end), None));
            };
            let found = self.log.message_at(change.sequence).await.unwrap_or_default();
            if self.sin != Sin::ListsWhatStaysOnly || found.as_ref() == Some(&change) {
                return Some((LogEvent::Change(disguised(self.sin, change)), Some(self)));
            }
        }
    }
}

/// A change as the sin makes it.
pub(super) fn disguised(sin: Sin, mut change: Change) -> Change {
    match (sin, &change.operation) {
        (Sin::EmptyIsDeleted, Operation::Put(value)) if value.is_empty() => {
            change.operation = Operation::Delete(DeleteReason::Deleted);
        }
        (Sin::DeletedIsEmpty, Operation::Delete(_)) => change.operation = Operation::Put(Bytes::new()),
        (Sin::PurgedIsDeleted, Operation::Delete(DeleteReason::Purged)) => {
            change.operation = Operation::Delete(DeleteReason::Deleted);
        }
        (Sin::LosesHeaders, _) => change.headers = Headers::NONE,
        _ => {}
    }
    change
}

#[async_trait]
impl Log for Sinner {
    fn name(&self) -> &str {
        self.world.log.name()
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        let cached = self.cached.lock().unwrap().clone();
        if let Some(bounds) = cached {
            return Ok(bounds);
        }
        let mut bounds = self.world.log.bounds().await?;
        match self.sin {
            Sin::CachesBounds => *self.cached.lock().unwrap() = Some(bounds.clone()),
            Sin::KeepsItsIdentity => bounds.log.created = Timestamp::from_nanos(1),
            Sin::FirstIsOne => bounds.first = Sequence::FIRST,
            Sin::CountsNoBytes => bounds.bytes = 0,
            _ => {}
        }
        Ok(bounds)
    }

    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        let most = if self.sin == Sin::TellsTooMuch {
            u64::MAX
        } else {
            most
        };
        let Some(told) = self.world.log.holdings(most).await? else {
            return Ok(None);
        };
        Ok(match self.sin {
            Sin::MistakesADeletion => {
                let (bounds, mut deleted) = (told.bounds().clone(), told.deleted().to_vec());
                if let Some(deleted) = deleted.first_mut().filter(|_| told.holds(bounds.last)) {
                    *deleted = bounds.last;
                }
                Holdings::new(bounds, deleted)
            }
            Sin::CachesHoldings => Some(self.held.lock().unwrap().get_or_insert(told).clone()),
            Sin::TellsNoDeletions => Some(told).filter(|told| told.deleted().is_empty()),
            _ => Some(told),
        })
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        let bounds = self.world.log.bounds().await?;
        let (log, last) = (bounds.log.name, bounds.last);
        let beyond = Err(LogError::BeyondEnd { log, from, last });
        let (mut from, mut scope) = (from, scope.clone());
        match self.sin {
            Sin::RefusesFromBelow if from < bounds.first => return beyond,
            Sin::WaitsBeyondTheEnd => from = from.min(last.next()),
            Sin::LeavesRefusedReads if from > last.next() => self.world.seat().leave(),
            Sin::BeginsLate => from = from.next().min(last.next()),
            Sin::IgnoresTheScope => scope = Scope::all(),
            Sin::TakesOneFilter => scope = vec![scope.filters()[0].clone()].into(),
            _ => {}
        }
        Reader::open(self.sin, self.world.clone(), from, scope).await
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        let mut seat = Some(self.world.seat());
        if self.sin == Sin::LeavesListings {
            seat.take().into_iter().for_each(Seat::leave);
        }
        let listing = Listing {
            sin: self.sin,
            log: self.world.log.clone(),
            end: self.world.log.bounds().await?.last,
            rest: self.listed(scope).await?.into_iter(),
            _seat: seat,
        };
        let listing = stream::unfold(Some(listing), |listing| async { listing?.next().await });
        Ok(listing.map(Ok).boxed())
    }

    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        let (sin, current) = (self.sin, self.current(scope).await?);
        let told = current.filter_map(move |event| {
            ready(match event {
                Err(error) => Some(Err(error)),
                Ok(LogEvent::CaughtUp(sequence)) => Some(Ok(ListEvent::Complete(sequence))),
                Ok(LogEvent::Change(mut change)) => {
                    if sin == Sin::ListsNoInstants {
                        change.timestamp = Timestamp::from_nanos(0);
                    }
                    let told = sin != Sin::ListsNoMarkersWithoutValues || change.value().is_some();
                    told.then(|| Ok(ListEvent::Key(Listed::of(change))))
                }
            })
        });
        Ok(told.boxed())
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        let everything = Scope::all();
        let scope = if self.sin == Sin::KeysOfEveryScope {
            &everything
        } else {
            scope
        };
        let messages = match self.sin {
            Sin::KeysTwice => self.messages(scope).await?,
            _ => self.listed(scope).await?,
        };
        let told = messages.into_iter();
        let told = told.filter(|change| self.sin != Sin::KeysWithoutMarkers || change.value().is_some());
        let keys: Vec<_> = told.map(|change| Ok(change.key)).collect();
        Ok(stream::iter(keys).boxed())
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        let mut found = self.world.log.message_at(sequence).await?;
        if self.sin == Sin::GivesANeighbour && found.is_none() {
            let messages = self.messages(&Scope::all()).await?;
            found = messages.into_iter().find(|change| change.sequence > sequence);
        }
        Ok(found.map(|mut change| {
            if self.sin == Sin::RoundsInstants {
                let millis = change.timestamp.as_nanos() / 1_000_000;
                change.timestamp = Timestamp::from_nanos(millis * 1_000_000);
            }
            disguised(self.sin, change)
        }))
    }
}
