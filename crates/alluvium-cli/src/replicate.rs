//! `alluvium replicate`: a bucket into a state directory, until it is told to stop.
//!
//! The bucket is found, and the login accepted, before anything is made on disk. At the end the replica is shut down,
//! then the state is closed, and what fails there is told too.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    BackendOptions, EngineBackend, Log, Mode, Replica, Scope, StateBackend as _, StateConfig, Status, Table,
};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::{ReplicateArgs, StateArgs};
use crate::connect;
use crate::error::Failure;
use crate::fleet::Fleet;
use crate::output::Output;
use crate::progress::{Progress, Subject};
use crate::runtime;
use crate::signals::Signals;
use crate::state;

/// How long the runtime waits at the end for what still runs on it.
const WIND_DOWN: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ReplicateArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let runtime = runtime::start()?;
    let result = runtime.block_on(replicate(args, output, verbose));
    runtime.shutdown_timeout(WIND_DOWN);
    result
}

async fn replicate(args: &ReplicateArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::Start)?;
    let config = args.state.state.config("--state")?.durability(args.durability);
    // Found out before any server is asked.
    let engine = config.engine_name()?;
    let found = async {
        let connection = connect::connect(&args.connection, "replicate").await?;
        let (log, _bounds) = connection.bucket(&args.bucket).await?;
        Ok::<_, Failure>(log)
    };
    let log = tokio::select! {
        found = found => found?,
        () = signals.next() => return Ok(()),
    };
    let fleet = Fleet::open(&args.fleet, &config).await?;

    let state_args = args.state.clone();
    let (backend, table) = off_the_runtime(move || open(&config, &state_args)).await?;
    let result = match backend.open_table(&table).await {
        Ok(table) => {
            let task = Task {
                args,
                log,
                engine,
                fleet,
            };
            task.follow(table, &mut signals, output, verbose).await
        }
        Err(error) => Err(error.into()),
    };
    tokio::select! {
        closed = backend.close() => state::ended(result, closed),
        () = signals.next() => Err(Failure::Impatient),
    }
}

/// Opens the state, and finds out which of its tables is meant. Blocks.
fn open(config: &StateConfig, args: &StateArgs) -> Result<(EngineBackend, String), Failure> {
    let engine = config.open_engine()?;
    let table = state::table_name(engine.as_ref(), args)?;
    Ok((EngineBackend::open(engine, BackendOptions::default())?, table))
}

/// Runs what may block.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::Start(error.into())),
    }
}

/// What is replicated.
struct Task<'a> {
    args: &'a ReplicateArgs,
    log: Arc<dyn Log>,
    engine: &'static str,
    fleet: Fleet,
}

impl Task<'_> {
    async fn follow(
        self,
        table: Arc<dyn Table>,
        signals: &mut Signals,
        output: Output,
        verbose: u8,
    ) -> Result<(), Failure> {
        let subject = Subject {
            bucket: self.args.bucket.clone(),
            state_dir: self.args.state.state.to_string(),
            engine: self.engine.to_owned(),
        };
        let mut progress = Progress::new(output, verbose, subject);

        let mode = self.mode(table.as_ref())?;
        // The state was opened with the durability that was asked for: each commit has it already.
        let replica = Replica::builder(Arc::clone(&self.log), table)
            .scope(Scope::from(self.args.scope.clone()))
            .mode(mode)
            .bounds_every(self.args.bounds_every)
            .serve_when_refused(self.args.serve_when_refused);
        let replica = self.fleet.join(replica).start().await?;
        let told = match progress.begin(&replica.status()) {
            Ok(()) => {
                self.watch(&replica, signals, &mut progress, self.args.until_caught_up)
                    .await
            }
            failed => failed,
        };

        let status = replica.watch_status();
        let stopped = tokio::select! {
            stopped = replica.shutdown() => stopped.map_err(Failure::from),
            () = signals.next() => Err(Failure::Impatient),
        };
        let last = status.borrow().clone();
        let ended = progress.end(&last);
        stopped.and(told).and(ended)
    }

    /// The mode that was asked for, or the one that the table has. Of a table of another bucket it is told elsewhere.
    fn mode(&self, table: &dyn Table) -> Result<Mode, Failure> {
        let asked = self.args.mode.map(Mode::from);
        let binding = table.binding().filter(|binding| binding.log == self.log.name());
        let Some(held) = binding.map(|binding| binding.mode) else {
            return Ok(asked.unwrap_or_default());
        };
        match asked {
            Some(asked) if asked != held => Err(Failure::OtherMode {
                state: self.args.state.state.to_string(),
                held,
                asked,
            }),
            Some(_) | None => Ok(held),
        }
    }

    /// Tells of the replica until there is reason to stop it: a signal, its own end, having caught up if that was
    /// asked for, or that nobody reads what is told.
    async fn watch(
        &self,
        replica: &Replica,
        signals: &mut Signals,
        progress: &mut Progress,
        until_caught_up: bool,
    ) -> Result<(), Failure> {
        let done =
            |status: &Status| status.state.is_over() || (until_caught_up && status.caught_up.is_some());
        let mut status = replica.watch_status();
        let mut ticks = interval(progress.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (news, over) = {
                let status = status.borrow_and_update();
                let is_news = !status.state.is_over() && progress.is_news(&status);
                (is_news.then(|| status.clone()), done(&status))
            };
            if let Some(status) = news {
                progress.changed(&status)?;
            }
            if over {
                return Ok(());
            }
            tokio::select! {
                changed = status.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                _ = ticks.tick() => {
                    let status = status.borrow().clone();
                    progress.tick(&status)?;
                }
                () = signals.next() => return Ok(()),
            }
        }
    }
}
