//! From rows to encoded segments: one thread scans and cuts, others encode, and a stream hands over in order.
//!
//! Rows that are being cut, pieces that wait, pieces that are being encoded and segments that wait all count against one
//! bound, [`IN_FLIGHT`]. The scanning thread waits for room; nobody who gives room back waits for anything but the
//! transport, so it always comes. Only a row that is larger than the bound goes beyond it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use alluvium_core::artifact::{EncodedSegment, SegmentStream};
use alluvium_core::{BoxError, KeyRange, TableError, TableSnapshot};
use alluvium_segment::{Cutter, SegmentRow, encode};
use futures_util::{StreamExt as _, future, stream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::changed::Changed;
use super::{ExportError, ExportOptions, ExportProgress};

/// How many bytes there are at most between the table and the transport.
const IN_FLIGHT: usize = 88 << 20;
/// The scanning thread takes room in steps of this many bytes.
const ROOM_STEP: usize = 1 << 20;
/// What a row takes beside its bytes, while it waits and while it is encoded.
const ROW_OVERHEAD: usize = 128;
/// More threads than this do not encode: they would wait for the scan.
const MOST_ENCODERS: usize = 4;

/// Held by whatever runs for an export. Nothing is ever sent: who waits for all of it to end waits for the last sender to go.
pub(super) type Running = mpsc::Sender<Infallible>;

/// Where rows come from, by rising key.
pub(super) enum Source {
    /// The whole table.
    Whole(Arc<dyn TableSnapshot>),
    /// What changed.
    Changed(Changed),
}

/// What was handed to the transport so far.
#[derive(Clone, Default)]
pub(super) struct Sent(Arc<Mutex<ExportProgress>>);

/// Rows of one segment, with their share of the room.
struct Piece {
    rows: Vec<SegmentRow>,
    share: Share,
}

/// Segments that are made while they are taken. The threads that make them end when the stream is dropped, after what they are
/// at.
pub(super) fn start(
    source: Source,
    expected: u64,
    options: &ExportOptions,
    running: &Running,
) -> (SegmentStream, Sent) {
    let runtime = Handle::current();
    let sent = Sent::default();
    sent.update(|sent| sent.of_rows = expected);
    let room = Room(Arc::new(Semaphore::new(IN_FLIGHT)));
    let (pieces, cut) = mpsc::channel(1);
    let scan = Scan {
        cutter: Cutter::new(options.segment_bytes),
        share: Share::none(&room, &runtime),
        pieces,
    };
    let scanning = running.clone();
    runtime.spawn_blocking(move || {
        scan.run(source);
        drop(scanning);
    });

    let (told, counted) = (options.on_progress.clone(), sent.clone());
    let mut failed = false;
    let segments = encoded(cut, runtime, running.clone())
        // After an error nothing more comes.
        .take_while(move |segment| future::ready(!std::mem::replace(&mut failed, segment.is_err())))
        .map(move |segment| {
            // Closed when the stream is dropped: nobody waits for room then.
            let _room = &room;
            let (segment, share) = segment.map_err(|error| Box::new(error) as BoxError)?;
            // From here on it is the transport's.
            drop(share);
            let progress = counted.update(|sent| {
                sent.rows += segment.0.rows;
                sent.segments += 1;
                sent.bytes += segment.0.length;
            });
            if let Some(told) = &told {
                told(progress);
            }
            Ok(segment)
        });
    (Box::pin(segments), sent)
}

/// Encodes pieces on several threads, and gives their segments in order.
fn encoded(
    mut cut: mpsc::Receiver<Result<Piece, ExportError>>,
    runtime: Handle,
    running: Running,
) -> impl stream::Stream<Item = Result<(EncodedSegment, Share), ExportError>> + Send {
    let encoders = available_parallelism().map_or(1, usize::from).min(MOST_ENCODERS);
    let pieces = stream::poll_fn(move |context| cut.poll_recv(context));
    let encoding = pieces.map(move |piece| {
        let encoding = piece.map(|piece| {
            let running = running.clone();
            runtime.spawn_blocking(move || {
                let encoded = piece.encode();
                drop(running);
                encoded
            })
        });
        async move { encoding?.await? }
    });
    encoding.buffered(encoders)
}

impl Piece {
    fn encode(self) -> Result<(EncodedSegment, Share), ExportError> {
        let Self { rows, mut share } = self;
        let (info, bytes) = encode(&rows)?;
        drop(rows);
        share.shrink_to(bytes.len());
        Ok(((info, bytes), share))
    }
}

/// The scanning thread.
struct Scan {
    cutter: Cutter,
    /// That of the rows in the cutter.
    share: Share,
    pieces: mpsc::Sender<Result<Piece, ExportError>>,
}

/// Nobody waits for the segments any more.
struct Ended;

impl Scan {
    fn run(mut self, source: Source) {
        let rows: Box<dyn Iterator<Item = Result<SegmentRow, TableError>>> = match source {
            Source::Whole(snapshot) => match snapshot.scan(&KeyRange::all()) {
                Ok(rows) => Box::new(rows.map(|row| row.map(SegmentRow::from))),
                Err(error) => Box::new(std::iter::once(Err(error))),
            },
            Source::Changed(changed) => Box::new(changed),
        };
        for row in rows {
            let went_on = match row {
                Ok(row) => self.push(row),
                // The last thing that is told. Nobody may listen any more.
                Err(error) => self.tell(Err(ExportError::Table(error))).and(Err(Ended)),
            };
            if went_on.is_err() {
                return;
            }
        }
        if let Some(rows) = std::mem::take(&mut self.cutter).finish() {
            // Nobody may listen any more.
            let _ = self.hand_over(rows);
        }
    }

    fn push(&mut self, row: SegmentRow) -> Result<(), Ended> {
        // Twice its bytes: as a row, and encoded.
        self.share.take(2 * row.len_bytes() + ROW_OVERHEAD)?;
        match self.cutter.push(row) {
            Some(rows) => self.hand_over(rows),
            None => Ok(()),
        }
    }

    fn hand_over(&mut self, rows: Vec<SegmentRow>) -> Result<(), Ended> {
        let next = self.share.another();
        let share = std::mem::replace(&mut self.share, next);
        self.tell(Ok(Piece { rows, share }))
    }

    fn tell(&self, piece: Result<Piece, ExportError>) -> Result<(), Ended> {
        self.pieces.blocking_send(piece).map_err(|_| Ended)
    }
}

/// The room that all pieces share. Closed when it is dropped: then nobody waits for it any more.
struct Room(Arc<Semaphore>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A share of the room, given back when it is dropped.
struct Share {
    room: Arc<Semaphore>,
    runtime: Handle,
    held: Option<OwnedSemaphorePermit>,
    /// Bytes that are not taken yet, fewer than a step.
    owed: usize,
}

impl Share {
    fn none(room: &Room, runtime: &Handle) -> Self {
        Self {
            room: Arc::clone(&room.0),
            runtime: runtime.clone(),
            held: None,
            owed: 0,
        }
    }

    /// Another share of the same room, of nothing yet.
    fn another(&self) -> Self {
        Self {
            room: Arc::clone(&self.room),
            runtime: self.runtime.clone(),
            held: None,
            owed: 0,
        }
    }

    /// Takes so much more, and waits for it to be there. A share never waits for more than the whole room.
    fn take(&mut self, bytes: usize) -> Result<(), Ended> {
        self.owed = self.owed.saturating_add(bytes);
        if self.owed < ROOM_STEP {
            return Ok(());
        }
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = self.owed.min(IN_FLIGHT - held);
        self.owed = 0;
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.room).acquire_many_owned(more);
        let taken = self.runtime.block_on(taken).map_err(|_| Ended)?;
        match &mut self.held {
            Some(held) => held.merge(taken),
            none => *none = Some(taken),
        }
        Ok(())
    }

    /// Gives back what is beyond so much.
    fn shrink_to(&mut self, bytes: usize) {
        if let Some(held) = &mut self.held {
            drop(held.split(held.num_permits().saturating_sub(bytes)));
        }
    }
}

impl Sent {
    /// What was sent so far.
    pub(super) fn so_far(&self) -> ExportProgress {
        self.update(|_| {})
    }

    fn update(&self, change: impl FnOnce(&mut ExportProgress)) -> ExportProgress {
        // Whoever panicked here left numbers, and they are only told.
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut sent);
        *sent
    }
}
