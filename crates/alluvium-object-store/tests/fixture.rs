//! States written by earlier versions stay readable: `fixtures/v1` is one, in files, and is gone on with here.
//!
//! A new one is written by running this test with `ALLUVIUM_OBJECT_STORE_FIXTURE` naming the directory to write.

use std::fs;
use std::path::Path as FsPath;
use std::sync::Arc;

use alluvium_core::{
    AssignmentVersion, BackendError, Epoch, InstanceId, StateBackend as _, Vnode, VnodeCount,
};
use alluvium_object_store::{LocalStore, ObjectStoreBackend, ObjectStoreOptions};
use bytes::Bytes;
use object_store::path::Path;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn partial(vnode: Vnode, epoch: Epoch) -> Bytes {
    format!("vnode {vnode} of epoch {epoch}")
        .repeat(vnode.get() as usize)
        .into()
}

fn vnodes() -> Result<Vec<Vnode>> {
    Ok(VnodeCount::new(4)?.vnodes().collect())
}

async fn open(dir: &FsPath, instance: &str) -> Result<ObjectStoreBackend> {
    let options = ObjectStoreOptions::default()
        .instance(InstanceId::new(instance)?)
        .vnodes(VnodeCount::new(4)?);
    let store = Arc::new(LocalStore::open(dir)?);
    Ok(ObjectStoreBackend::open(store, Path::from("state"), options).await?)
}

async fn write_epoch(backend: &ObjectStoreBackend, epoch: Epoch, version: u64) -> Result {
    // In more than one write, so that one index names another object.
    for vnodes in vnodes()?.chunks(3) {
        let partials = vnodes.iter().map(|vnode| (*vnode, partial(*vnode, epoch)));
        backend
            .write_partials(epoch, AssignmentVersion::new(version), partials.collect())
            .await?;
    }
    Ok(())
}

/// Epoch 1 pruned, 2 sealed under an earlier fence, 3 under the present one, 4 not.
async fn write(dir: &FsPath) -> Result {
    let backend = open(dir, "node-1").await?;
    for (epoch, version) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let epoch = Epoch::new(epoch)?;
        backend.fence(AssignmentVersion::new(version)).await?;
        write_epoch(&backend, epoch, version).await?;
        if epoch.get() < 4 {
            assert!(backend.epoch_complete(epoch, &vnodes()?).await?);
        }
    }
    backend.prune_before(Epoch::new(2)?).await?;
    Ok(())
}

fn copy(from: &FsPath, to: &FsPath) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

async fn check(dir: &FsPath) -> Result {
    let backend = open(dir, "node-2").await?;
    assert_eq!(backend.authoritative_version(), AssignmentVersion::new(2));
    assert_eq!(backend.latest_complete().await?, Some(Epoch::new(3)?));
    for epoch in 1..=4 {
        let epoch = Epoch::new(epoch)?;
        for vnode in vnodes()? {
            let read = backend.read_partial(vnode, epoch).await?;
            assert_eq!(read, (epoch.get() > 1).then(|| partial(vnode, epoch)));
        }
    }
    for epoch in 2..=3 {
        let split = backend.epoch_complete(Epoch::new(epoch)?, &vnodes()?).await;
        assert!(
            matches!(&split, Err(BackendError::SplitBrainCommit { committer, .. }) if committer.as_str() == "node-1"),
            "{split:?}"
        );
    }
    let pruned = write_epoch(&backend, Epoch::FIRST, 2).await;
    assert!(pruned.is_err());
    assert!(backend.epoch_complete(Epoch::new(4)?, &vnodes()?).await?);
    write_epoch(&backend, Epoch::new(5)?, 2).await?;
    assert!(backend.epoch_complete(Epoch::new(5)?, &vnodes()?).await?);
    assert_eq!(backend.prune_before(Epoch::new(5)?).await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_state_of_version_1_is_read_and_gone_on_with() -> Result {
    if let Some(dir) = std::env::var_os("ALLUVIUM_OBJECT_STORE_FIXTURE") {
        write(dir.as_ref()).await?;
    }
    let dir = tempfile::tempdir()?;
    copy(
        &FsPath::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1"),
        dir.path(),
    )?;
    check(dir.path()).await
}
