//! What format 1 has in engines is still read, and still written. If this fails, the format changed: raise the number
//! instead, and keep reading this one.
//!
//! `fixtures/backend-v1` has a line for each pair: space, key, value, the latter two in hexadecimal. A new one is
//! written by running this test with `ALLUVIUM_BACKEND_FIXTURE` naming the file to write.

use std::fmt::Write as _;
use std::fs;

use alluvium_core::{BackendError, BackendOptions, InstanceId, StateBackend as _, VnodeCount};
use alluvium_engine::EngineBackend;

use crate::support::{Probe, epoch, run, version, vnode};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/backend-v1");

fn options() -> BackendOptions {
    let options = BackendOptions::default().vnodes(VnodeCount::new(512).unwrap());
    options.instance(InstanceId::new("node-1").unwrap())
}

/// A pruned epoch, a sealed one of two vnodes, one that is not sealed, a fence.
async fn fill(backend: &EngineBackend) -> Result<(), BackendError> {
    for at in [3, 259] {
        let partials = vec![
            (vnode(511), "last".into()),
            (vnode(0), format!("first {at}").into()),
        ];
        backend.write_partials(epoch(at), version(4), partials).await?;
        assert!(backend.epoch_complete(epoch(at), &[vnode(0), vnode(511)]).await?);
    }
    for bytes in ["replaced", ""] {
        let write = backend.write_partial(vnode(1), epoch(260), version(70_000), bytes.into());
        write.await?;
    }
    assert_eq!(backend.prune_before(epoch(259)).await?, 1);
    backend.fence(version(70_000)).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn dump(probe: &Probe) -> String {
    let mut text = String::new();
    for space in probe.names() {
        for (key, value) in probe.pairs(&space) {
            writeln!(text, "{space} {} {}", hex(&key), hex(&value)).unwrap();
        }
    }
    text
}

#[test]
fn format_1_is_still_written() {
    let probe = Probe::new();
    run(fill(&probe.open_with(options()))).unwrap();
    if let Some(file) = std::env::var_os("ALLUVIUM_BACKEND_FIXTURE") {
        fs::write(file, dump(&probe)).unwrap();
        return;
    }
    assert_eq!(dump(&probe), fs::read_to_string(FIXTURE).unwrap());
}

#[test]
fn format_1_is_still_read() {
    let probe = Probe::new();
    for line in fs::read_to_string(FIXTURE).unwrap().lines() {
        let mut fields = line.split(' ');
        let mut field = || fields.next().unwrap();
        probe.put(field(), &unhex(field()), &unhex(field()));
    }
    run(async {
        let backend = probe.open_with(options());
        assert_eq!(backend.authoritative_version(), version(70_000));
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(259)));
        let read = async |at, of| backend.read_partial(vnode(of), epoch(at)).await.unwrap();
        assert_eq!(read(259, 0).await.unwrap(), "first 259");
        assert_eq!(read(259, 511).await.unwrap(), "last");
        assert_eq!(read(259, 1).await, None);
        assert_eq!(read(260, 1).await.unwrap(), "");
        assert_eq!(read(3, 0).await, None);
        assert!(backend.epoch_complete(epoch(259), &[vnode(0)]).await.unwrap());
        let write = |at, bytes: &'static str| {
            backend.write_partial(vnode(0), epoch(at), version(70_000), bytes.into())
        };
        assert!(matches!(
            write(258, "late").await,
            Err(BackendError::Pruned { floor, .. }) if floor == epoch(259)
        ));
        assert!(matches!(
            write(259, "late").await,
            Err(BackendError::Sealed { .. })
        ));
        write(259, "first 259").await.unwrap();
    });
}
