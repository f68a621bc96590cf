//! A node of a fleet, for the tests that kill and stop it: see `alluvium_e2e::node`, which starts it.

mod stamp;

use std::process::ExitCode;
use std::sync::Arc;

use alluvium::{
    ArtifactKey, Bootstrap, ExportSchedule, KvLog, Replica, ReplicaBuilder, RetentionPolicy, Transport,
};
use alluvium_e2e::node::{Artifact, CaughtUp, Orders, Part, Told};
use alluvium_e2e::participant::program::{self, tell};
use alluvium_e2e::state::TABLE;
use anyhow::{Result, bail};

use crate::stamp::Stamp;

fn main() -> ExitCode {
    program::run(run())
}

async fn run() -> Result<()> {
    let orders: Orders = program::orders()?;
    let mut lines = program::lines();
    tokio::select! {
        ended = play(orders) => ended,
        // Nobody says more.
        _ = lines.recv() => bail!("whoever has started this is gone"),
    }
}

async fn play(orders: Orders) -> Result<()> {
    let client = program::connect(&orders.server).await?;
    let log = Arc::new(KvLog::open(client, "b").await?);
    let state = alluvium::open(&orders.state).await?;
    let table = state.open_table(TABLE).await?;
    tell(&Told::Opened);
    let key: ArtifactKey = orders.key.parse()?;
    let transport = orders.depot.transport();
    let bootstrap = Bootstrap::new(transport.clone(), key.clone(), &orders.scratch);
    let builder = Replica::builder(log, table);
    match orders.part.clone() {
        Part::Exports {
            name,
            every,
            ttl,
            keep,
            grace,
        } => {
            let stamp = Arc::new(Stamp::new(name.clone(), transport, orders.depot.leases()));
            let stamped: Arc<dyn Transport> = stamp.clone();
            let schedule = ExportSchedule::new(stamped, key)
                .every(every)
                .lease(stamp, name)
                .lease_ttl(ttl)
                .retention(RetentionPolicy::default().keep(keep).grace(grace));
            let replica = builder.bootstrap_from(bootstrap).export(schedule).start().await?;
            replica.stopped().await?;
            bail!("the replica has stopped");
        }
        Part::Begins => begin(builder, bootstrap).await,
    }
}

async fn begin(builder: ReplicaBuilder, bootstrap: Bootstrap) -> Result<()> {
    let bootstrap = bootstrap
        .segments_in_flight(2)
        .on_progress(|_| tell(&Told::Progress));
    let replica = builder.bootstrap_from(bootstrap).start().await?;
    replica.caught_up().await?;
    let status = replica.status();
    let done = status.bootstrap.and_then(|bootstrap| bootstrap.done);
    tell(&Told::CaughtUp(CaughtUp {
        artifact: done.map(|done| Artifact {
            sequence: done.cursor.sequence.get(),
            fetched: done.fetched.segments,
            reused: done.fetched.reused,
        }),
        started_at: status.started_at.map_or(0, |cursor| cursor.sequence.get()),
        received: status.received,
    }));
    // Until it is killed.
    std::future::pending().await
}
