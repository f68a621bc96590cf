//! `freshness`: from `put` to visible in `get`, one at a time, on an idle machine.

use std::sync::Arc;
use std::time::Instant;

use alluvium::{KvLog, Replica, Sequence};
use alluvium_e2e::NatsServer;
use alluvium_e2e::engine::EngineKind;
use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{self, kv};
use serde_json::json;

use crate::Options;
use crate::feed::{BUCKET, key, value};
use crate::report::{Report, quantile, rounded};

const PUTS: u64 = 2_000;
/// Not counted: connections, caches and clocks settle.
const WARM_UP: u64 = 200;

pub(crate) async fn run(_options: &Options, report: &mut Report) -> Result<()> {
    for engine in EngineKind::ALL {
        let server = NatsServer::start().await;
        let writer = jetstream::new(server.client().await);
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            history: 1,
            ..kv::Config::default()
        };
        let bucket = writer.create_key_value(config).await?;
        let dir = tempfile::tempdir()?;
        let state = alluvium::open(&engine.url(&dir.path().join("state"))).await?;
        let table = state.open_table(BUCKET).await?;
        let log = Arc::new(KvLog::open(server.client().await, BUCKET).await?);
        let replica = Replica::builder(log, table).start().await?;
        replica.caught_up().await?;

        let (mut acknowledged, mut visible) = (Vec::new(), Vec::new());
        for index in 0..WARM_UP + PUTS {
            let (key, value) = (key(index), value(index));
            let begin = Instant::now();
            let sequence = bucket.put(&key, value.clone()).await?;
            let acknowledgement = begin.elapsed();
            replica.wait_for(Sequence::new(sequence)).await?;
            let entry = replica.get(&key)?.context("waited for, and not there")?;
            let seen = begin.elapsed();
            ensure!(entry.value == value, "the wrong value");
            if index >= WARM_UP {
                acknowledged.push(acknowledgement.as_secs_f64() * 1_000.0);
                visible.push(seen.as_secs_f64() * 1_000.0);
            }
        }
        let (ack_p50, p50) = (quantile(&mut acknowledged, 0.5), quantile(&mut visible, 0.5));
        let (ack_p99, p99) = (quantile(&mut acknowledged, 0.99), quantile(&mut visible, 0.99));
        let figures = json!({
            "p50_ms": rounded(p50), "p99_ms": rounded(p99),
            "ack_p50_ms": rounded(ack_p50), "ack_p99_ms": rounded(ack_p99), "puts": PUTS,
        });
        report.result(
            "freshness_p50",
            engine.as_str(),
            (ack_p50 + 0.5) / p50,
            1.0,
            &figures,
        );
        report.result("freshness_p99", engine.as_str(), 3.0 / p99, 1.0, &figures);
        replica.shutdown().await?;
        state.close().await?;
    }
    Ok(())
}
