//! `alluvium tail`: the messages of a stream or bucket, to standard output or to a command, and how far that has come.
//!
//! | module | what it does |
//! |---|---|
//! | [`line`] | a message as a line of JSON |
//! | [`exec`] | giving a batch to a command |
//! | [`reader`] | finding out that nobody reads any more |
//! | [`events`] | what is told on standard error |
//!
//! A [`Worker`] gives the batches and keeps the cursor: see there for what it promises. What is written to standard output is done
//! when it is flushed, and what is given to a command when that has ended well. If nobody reads any more, the batch in hand is
//! not done.

mod events;
mod exec;
mod line;
mod reader;

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium::{
    Action, BoxError, Change, CursorStore, Delivery, FileCursorStore, Log, LogCursor, RestartPolicy, Scope,
    Worker, WorkerBuilder, WorkerError, WorkerEvent,
};

use self::events::Teller;
use self::exec::{Exec, InHand};
use crate::args::{Source, TailArgs};
use crate::connect;
use crate::error::Failure;
use crate::output::Output;
use crate::runtime;
use crate::signals::Signals;

/// How long the runtime waits at the end for what still runs on it.
const WIND_DOWN: Duration = Duration::from_secs(1);
/// A batch stops growing at so many bytes of keys, values and headers.
const BATCH_BYTES: usize = 1 << 20;
/// Within how long `--max-restarts` are counted.
const RESTARTS_WITHIN: Duration = Duration::from_hours(1);
/// What a tail without a cursor is called.
const NAMELESS: &str = "tail";

pub(crate) fn run(args: &TailArgs, output: Output) -> Result<(), Failure> {
    let runtime = runtime::start()?;
    let result = runtime.block_on(tail(args, output));
    runtime.shutdown_timeout(WIND_DOWN);
    result
}

async fn tail(args: &TailArgs, output: Output) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::Start)?;
    let is_bucket = matches!(args.source, Source::Bucket(_));
    let in_hand = InHand::default();
    let printing = Printing::default();
    let start = async {
        let worker = worker(args, output, in_hand.clone()).await?;
        let started = if let Some(command) = &args.exec {
            let exec = Exec::new(command, is_bucket, in_hand.clone());
            worker.start(exec).await
        } else {
            let (printing, in_hand) = (printing.clone(), in_hand.clone());
            let print = move |delivery: &Delivery| {
                in_hand.take();
                let action = printing.print(delivery, is_bucket);
                in_hand.put_down();
                Ok::<_, BoxError>(action)
            };
            worker.start_blocking(print).await
        };
        started.map_err(Failure::from)
    };
    let worker = tokio::select! {
        started = start => started?,
        () = signals.next() => return Ok(()),
    };
    let teller = Teller::new(output);
    teller.begin(args, &worker.status().committed.log);

    let mut status = worker.watch_status();
    tokio::select! {
        // That nobody tells any more is that it is over, too.
        _ = status.wait_for(|status| status.state.is_over()) => {}
        () = signals.next() => {}
        () = reader::gone(), if args.exec.is_none() => {}
    }
    worker.stop();
    let stopped = tokio::select! {
        stopped = worker.join() => stopped,
        () = signals.next() => return Err(Failure::Impatient),
    };
    teller.end(&status.borrow());
    if let Some(error) = printing.failed() {
        return Err(Failure::Output(error));
    }
    match stopped {
        Ok(_) if in_hand.is_left() => Err(Failure::Abandoned {
            deadline: args.deadline,
        }),
        Ok(_) => Ok(()),
        Err(WorkerError::Handler { on, restarts, source }) => Err(Failure::Command {
            on,
            restarts,
            committed: status.borrow().committed.sequence,
            source,
        }),
        Err(error) => Err(error.into()),
    }
}

/// Finds everything that was named, and says how it is to be worked on.
async fn worker(args: &TailArgs, output: Output, in_hand: InHand) -> Result<WorkerBuilder, Failure> {
    // Found out before any server is asked.
    let files = args.state.as_deref().map(FileCursorStore::open).transpose()?;
    let connection = connect::connect(&args.connection, "tail").await?;
    let log: Arc<dyn Log> = match &args.source {
        Source::Stream(stream) => connection.stream(stream).await?,
        Source::Bucket(bucket) => connection.bucket(bucket).await?.0,
    };
    let store: Option<Arc<dyn CursorStore>> = match (files, &args.kv) {
        (Some(files), _) => Some(Arc::new(files)),
        (None, Some(bucket)) => Some(connection.cursors(bucket).await?),
        (None, None) => None,
    };
    let scope = Scope::from(args.filter.clone());
    let mut cursor = LogCursor::builder(log, scope).start_at(args.from);
    if let (Some(store), Some(name)) = (store, &args.cursor) {
        cursor = cursor.held_in(store, name);
    }
    let teller = Teller::new(output);
    let mut worker = Worker::builder(cursor)
        .named(args.cursor.as_deref().unwrap_or(NAMELESS))
        .max_batch(args.batch.get(), BATCH_BYTES)
        .shutdown_deadline(args.deadline)
        .restart(RestartPolicy::Bounded {
            max_restarts: args.max_restarts,
            within: RESTARTS_WITHIN,
        })
        .on_event(move |event| {
            if let WorkerEvent::Restarting { .. } = event {
                in_hand.put_down();
            }
            teller.event(event);
        });
    if let Some(timeout) = args.exec_timeout {
        worker = worker.handler_timeout(timeout);
    }
    Ok(worker)
}

/// Writing to standard output, until that fails.
#[derive(Clone, Default)]
struct Printing(Arc<Mutex<Option<io::Error>>>);

impl Printing {
    /// Writes a batch, and flushes it. One that is not written whole is not done, and is the last.
    fn print(&self, messages: &[Change], is_bucket: bool) -> Action {
        let mut out = io::stdout().lock();
        let written = out
            .write_all(&line::lines(messages, is_bucket))
            .and_then(|()| out.flush());
        let Err(error) = written else {
            return Action::Continue;
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Action::StopWithRollback
    }

    fn failed(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
