//! `epoch`: whole rounds of the checkpoint protocol, every vnode's partial written and the epoch sealed, beside the
//! bare storage that takes the same bytes: one `put` on an object store, one durable batch on an embedded engine.
//!
//! Ours and the bare storage take turns, epoch by epoch, so that a machine that slows down slows both down. Contents
//! are incompressible, differ from epoch to epoch and are made outside the timing. Old epochs are pruned as a user
//! would, so that disks do not fill; that is counted apart.

mod bare;
mod subjects;

use std::time::{Duration, Instant};

use alluvium::{AssignmentVersion, Epoch, StateBackend, Vnode, VnodeCount};
use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use self::subjects::Subject;
use crate::Options;
use crate::feed::scramble;
use crate::report::{Report, median, rounded};

/// Bytes of a partial.
const PARTIAL: u32 = 64 << 10;
const VNODES: [u32; 2] = [256, 1_024];
/// How many epochs make a round, after which all but the last one are pruned.
const EPOCHS: u64 = 4;
/// Not counted: connections, caches and files come to be.
const WARM_UP: u64 = 2;
/// How many requests one node may take for an epoch on an object store.
const REQUESTS: f64 = 4.0;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let kinds = subjects::chosen(options.only.as_deref())?;
    for count in VNODES {
        let count = VnodeCount::new(count)?;
        for kind in &kinds {
            let subject = Subject::open(*kind, count).await?;
            let measured = measure(&subject, WARM_UP + EPOCHS * options.rounds as u64).await?;
            tell(&subject, measured, report);
            subject.backend.close().await?;
        }
    }
    Ok(())
}

/// What each epoch took, in the order they were written.
#[derive(Default)]
struct Measured {
    seconds: Vec<f64>,
    bare_seconds: Vec<f64>,
    requests: Vec<f64>,
    prune_seconds: Vec<f64>,
    prune_requests: Vec<f64>,
}

async fn measure(subject: &Subject, epochs: u64) -> Result<Measured> {
    let mut measured = Measured::default();
    let backend = subject.backend.as_ref();
    let vnodes: Vec<Vnode> = backend.vnode_count().vnodes().collect();
    // Fenced, as whoever writes checkpoints is.
    let version = AssignmentVersion::new(1);
    backend.fence(version).await?;
    for number in 1..=epochs {
        let epoch = Epoch::new(number)?;
        let partials = contents(number, &vnodes);
        let bare_first = number % 2 == 0;
        let mut bare = Duration::ZERO;
        if bare_first {
            bare = subject.write_bare(epoch, &partials).await?;
        }
        let copies = partials.clone();
        let requests = subject.requests();
        let begin = Instant::now();
        backend.write_partials(epoch, version, copies).await?;
        let complete = backend.epoch_complete(epoch, &vnodes).await?;
        let elapsed = begin.elapsed();
        let requests = subject.requests() - requests;
        ensure!(complete, "epoch {epoch} is not complete on {}", subject.name);
        if !bare_first {
            bare = subject.write_bare(epoch, &partials).await?;
        }
        if number > WARM_UP {
            measured.seconds.push(elapsed.as_secs_f64());
            measured.bare_seconds.push(bare.as_secs_f64());
            measured.requests.push(count(requests));
        }
        if number % EPOCHS == 0 {
            let floor = Epoch::new(number)?;
            let requests = subject.requests();
            let begin = Instant::now();
            backend.prune_before(floor).await?;
            measured.prune_seconds.push(begin.elapsed().as_secs_f64());
            measured.prune_requests.push(count(subject.requests() - requests));
            for old in number.saturating_sub(EPOCHS).max(1)..number {
                subject.forget_bare(Epoch::new(old)?).await?;
            }
        }
        if number == epochs {
            check(backend, epoch, &partials).await?;
        }
    }
    Ok(measured)
}

/// Speed is worth nothing if the bytes do not come back.
async fn check(backend: &dyn StateBackend, epoch: Epoch, partials: &[(Vnode, Bytes)]) -> Result<()> {
    for (vnode, bytes) in partials {
        let read = backend.read_partial(*vnode, epoch).await?;
        ensure!(
            read.as_ref() == Some(bytes),
            "vnode {vnode} of epoch {epoch} came back as something else"
        );
    }
    Ok(())
}

fn tell(subject: &Subject, measured: Measured, report: &mut Report) {
    let vnodes = subject.backend.vnode_count().get();
    let megabytes = f64::from(vnodes) * f64::from(PARTIAL) / 1e6;
    let (seconds, bare) = (median(measured.seconds), median(measured.bare_seconds));
    let requests = median(measured.requests);
    let mut figures = json!({
        "epochs_per_s": rounded(1.0 / seconds),
        "mb_per_s": rounded(megabytes / seconds),
        "bare_mb_per_s": rounded(megabytes / bare),
        "prune_seconds": rounded(median(measured.prune_seconds)),
        "vnodes": vnodes,
    });
    if let (Value::Object(figures), true) = (&mut figures, subject.makes_requests()) {
        figures.insert("requests_per_epoch".to_owned(), json!(requests));
        figures.insert(
            "prune_requests".to_owned(),
            json!(median(measured.prune_requests)),
        );
    }
    report.result(
        &format!("epoch_{vnodes}"),
        &subject.name,
        bare / seconds,
        subject.target,
        &figures,
    );
    if subject.makes_requests() {
        report.result(
            &format!("epoch_requests_{vnodes}"),
            &subject.name,
            REQUESTS / requests,
            1.0,
            &json!({ "requests_per_epoch": requests, "vnodes": vnodes }),
        );
    }
}

/// The partials of an epoch: bytes that no compression shrinks, and that no other epoch has.
fn contents(epoch: u64, vnodes: &[Vnode]) -> Vec<(Vnode, Bytes)> {
    let partial = |vnode: &Vnode| {
        let mut word = scramble(epoch << 32 | u64::from(vnode.get()));
        let mut bytes = Vec::with_capacity(PARTIAL as usize);
        while bytes.len() < PARTIAL as usize {
            word = scramble(word);
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        (*vnode, Bytes::from(bytes))
    };
    vnodes.iter().map(partial).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a small count")]
fn count(requests: u64) -> f64 {
    requests as f64
}
