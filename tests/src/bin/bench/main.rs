//! The benchmarks that `cargo xtask bench` runs: real servers, real data, each ratio measured within one run.
//!
//! ```text
//! bench [NAME] [--json] [--only SUBJECT] [--keys N] [--rounds N]
//! ```
//!
//! `NAME` is `hydrate`, `freshness`, `resume`, `read`, `epoch`, `checkpoint`, `artifact`, `worker` or `reconcile`; all of them without.
//! `--only` has `epoch`, `checkpoint` and `artifact` measure one storage, called as in their report: `rocksdb+fsync`, say. Each result is one line; with `--json` a
//! JSON object: `bench`, `engine`, `ratio` (higher is better; at least `target` is wanted), `peak_rss_mb` where memory
//! is measured, and the absolute figures. A ratio is throughput of ours over that of the bare client, engine or store;
//! for times, requests, bytes and memory, the limit over ours. What is to be measured for memory runs in a process of
//! its own.

mod artifact;
mod bare;
mod checkpoint;
mod child;
mod epoch;
mod feed;
mod freshness;
mod hydrate;
mod read;
mod reconcile;
mod report;
mod resume;
mod worker;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::report::Report;

/// What the command line asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    name: Option<String>,
    json: bool,
    /// The one storage that epochs, checkpoints or artifacts are measured on.
    pub(crate) only: Option<String>,
    /// Keys in the bucket, or in the state that checkpoints and artifacts are made of.
    pub(crate) keys: u64,
    /// How often each thing is measured; the median counts.
    pub(crate) rounds: usize,
}

const NAMES: [&str; 9] = [
    "hydrate",
    "freshness",
    "resume",
    "read",
    "epoch",
    "checkpoint",
    "artifact",
    "worker",
    "reconcile",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((first, rest)) if first == child::FLAG => child::run(rest),
        _ => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let options = parse(arguments)?;
    let mut report = Report::new(options.json);
    let wanted = |name: &str| options.name.as_deref().is_none_or(|wanted| wanted == name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // Those that share a filled bucket share the server too.
    if wanted("hydrate") || wanted("resume") || wanted("worker") {
        let bucket = runtime.block_on(feed::filled_bucket(options.keys))?;
        if wanted("hydrate") {
            hydrate::run(&options, &bucket, &mut report)?;
        }
        if wanted("resume") {
            resume::run(&options, &bucket, &runtime, &mut report)?;
        }
        if wanted("worker") {
            worker::throughput(&options, &bucket, &mut report)?;
        }
    }
    if wanted("worker") {
        runtime.block_on(worker::latency(&mut report))?;
    }
    if wanted("freshness") {
        runtime.block_on(freshness::run(&options, &mut report))?;
    }
    if wanted("read") {
        read::run(&options, &mut report)?;
    }
    if wanted("epoch") {
        runtime.block_on(epoch::run(&options, &mut report))?;
    }
    if wanted("checkpoint") {
        runtime.block_on(checkpoint::run(&options, &mut report))?;
    }
    if wanted("artifact") {
        runtime.block_on(artifact::run(&options, &mut report))?;
    }
    if wanted("reconcile") {
        runtime.block_on(reconcile::run(&options, &mut report))?;
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Options> {
    let mut options = Options {
        name: None,
        json: false,
        only: None,
        keys: 1_000_000,
        rounds: 5,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.with_context(|| format!("{argument} needs a value"))
        };
        let mut number = || -> Result<u64> {
            let text = value()?;
            text.parse().with_context(|| format!("{text:?} is not a number"))
        };
        match argument.as_str() {
            "--json" => options.json = true,
            "--only" => options.only = Some(value()?.clone()),
            "--keys" => options.keys = number()?.max(1),
            "--rounds" => options.rounds = usize::try_from(number()?)?.max(1),
            name if NAMES.contains(&name) => options.name = Some(name.to_owned()),
            other => bail!("{other:?} is not a benchmark: use one of {}", NAMES.join(", ")),
        }
    }
    Ok(options)
}
