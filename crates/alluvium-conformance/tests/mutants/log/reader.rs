//! A reader that is sound, but for one sin if it is told to.

use std::collections::VecDeque;
use std::future::pending;

use alluvium_core::{Change, Log as _, LogError, LogEvent, LogStream, Scope, Sequence};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;

use super::sinner::{Sin, disguised};
use super::world::{Connection, Seat, World};

/// How many messages may be stored between two polls of a reader that throws away what it has no room for.
const ROOM: u64 = 50;

type Item = Result<LogEvent, LogError>;

pub(super) struct Reader {
    sin: Sin,
    world: World,
    scope: Scope,
    inner: LogStream,
    connection: watch::Receiver<Connection>,
    cuts: u64,
    /// What is to be given before anything else.
    held: VecDeque<Item>,
    /// The last change that was given.
    given: Option<Change>,
    /// What it last said that it is at the end of, if nothing came since.
    caught_up: Option<Sequence>,
    /// Whether the next message is to be lost.
    loses_next: bool,
    /// Where the log ended when it was polled last.
    end: u64,
    over: bool,
    seat: Option<Seat>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.sin == Sin::LeavesReaders {
            self.seat.take().into_iter().for_each(Seat::leave);
        }
    }
}

impl Reader {
    pub(super) async fn open(
        sin: Sin,
        world: World,
        from: Sequence,
        scope: Scope,
    ) -> Result<LogStream, LogError> {
        let cuts = world.connection.borrow().cuts;
        let mut reader = Self {
            inner: world.log.read(from, &scope).await?,
            connection: world.connection.subscribe(),
            cuts,
            held: VecDeque::new(),
            given: None,
            caught_up: None,
            loses_next: false,
            end: world.log.bounds().await?.last.get(),
            over: false,
            seat: Some(world.seat()),
            sin,
            world,
            scope,
        };
        if sin == Sin::CaughtUpTooEarly {
            reader
                .held
                .push_back(Ok(LogEvent::CaughtUp(Sequence::new(reader.end))));
        }
        if sin == Sin::ReadsAheadWithoutBound {
            while let Some(Some(item)) = reader.inner.next().now_or_never() {
                reader.held.push_back(item);
            }
        }
        let events = stream::unfold(reader, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        });
        Ok(events.boxed())
    }

    async fn next(&mut self) -> Option<Item> {
        if self.over {
            return None;
        }
        if self.sin == Sin::DropsWhatIsNotPolled {
            let end = self
                .world
                .log
                .bounds()
                .await
                .map_or(self.end, |bounds| bounds.last.get());
            self.loses_next |= end > self.end + ROOM;
            self.end = end;
        }
        loop {
            if let Some(item) = self.held.pop_front() {
                return Some(item);
            }
            let connection = self.connection.wait_for(|connection| connection.up).await;
            let cuts = connection.expect("the world is there").cuts;
            if cuts != self.cuts {
                self.cuts = cuts;
                self.reconnected();
                continue;
            }
            let polled = tokio::select! {
                _ = self.connection.changed() => continue,
                item = self.inner.next() => item,
            };
            match polled.expect("an error before the end") {
                Ok(LogEvent::Change(change)) => {
                    if let Some(change) = self.changed(change).await {
                        return Some(Ok(LogEvent::Change(change)));
                    }
                }
                Ok(LogEvent::CaughtUp(sequence)) => {
                    let told = self.caught_up.replace(sequence);
                    match self.sin {
                        Sin::CaughtUpOfWhatIsWantedOnly if told.is_some() => {}
                        _ => return Some(Ok(LogEvent::CaughtUp(sequence))),
                    }
                }
                Err(error) => {
                    if let Some(item) = self.failed(error).await {
                        return item;
                    }
                }
            }
        }
    }

    /// What is done when there is a connection again.
    fn reconnected(&mut self) {
        match self.sin {
            Sin::RepeatsAfterACut => {
                let again = self.given.clone().map(LogEvent::Change).map(Ok);
                self.held.extend(again);
            }
            Sin::LosesAfterACut => self.loses_next = true,
            Sin::LeavesReadersAtACut => {
                let former = self.seat.replace(self.world.seat());
                former.into_iter().for_each(Seat::leave);
            }
            _ => {}
        }
    }

    async fn changed(&mut self, change: Change) -> Option<Change> {
        let change = disguised(self.sin, change);
        let waited = self.caught_up.take();
        if std::mem::take(&mut self.loses_next) {
            return None;
        }
        match self.sin {
            Sin::SkipsSome if change.sequence.get() % 7 == 3 => return None,
            Sin::NeverWakes if waited.is_some() => pending().await,
            Sin::CaughtUpAgain if waited.is_some() => {
                self.held.push_back(Ok(LogEvent::Change(change)));
                self.held.extend(waited.map(LogEvent::CaughtUp).map(Ok));
                self.held.rotate_left(1);
                return None;
            }
            Sin::SwapsTwo if change.sequence.get() % 10 == 5 => {
                let next = self.inner.next().await;
                self.held.extend(next);
                self.held.push_back(Ok(LogEvent::Change(change)));
                return None;
            }
            _ => {}
        }
        self.given = Some(change.clone());
        Some(change)
    }

    /// What the stream gives when something has gone wrong; nothing if it goes on.
    async fn failed(&mut self, error: LogError) -> Option<Option<Item>> {
        let given = self
            .given
            .as_ref()
            .map_or(Sequence::ZERO, |change| change.sequence);
        match (self.sin, &error) {
            (Sin::DeletedUnnoticed, LogError::NotFound { .. }) => pending().await,
            (Sin::EndsWithoutAWord, _) => Some(None),
            (Sin::RecreatedUnnoticed, LogError::Replaced { .. })
            | (Sin::LostTailUnnoticed, LogError::TailLost { .. }) => {
                let last = self.world.log.bounds().await.map_or(given, |bounds| bounds.last);
                let from = given.next().min(last.next());
                self.inner = self.world.log.read(from, &self.scope).await.ok()?;
                None
            }
            (Sin::GoesOnAfterAnError, _) => {
                self.held.push_back(Ok(LogEvent::CaughtUp(given)));
                self.inner = stream::pending().boxed();
                Some(Some(Err(error)))
            }
            _ => {
                self.over = true;
                self.seat = None;
                Some(Some(Err(error)))
            }
        }
    }
}
