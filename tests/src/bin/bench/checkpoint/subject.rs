//! What is measured: a checkpointer on a store, opened as a user opens it, and `object_store` itself on the same kind of
//! store.

use std::any::Any;
use std::sync::Arc;

use alluvium::CheckpointId;
use alluvium_e2e::{Files, S3Server, StoreServer};
use alluvium_object_store::{
    CheckpointerOptions, ObjectStoreCheckpointer, ObjectStoreTransport, StoreOptions, TransportOptions,
    open_store,
};
use anyhow::Result;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

/// Which store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Files, which are always synced.
    File,
    /// An S3 server in this process.
    S3,
}

impl Kind {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 2] = [Self::File, Self::S3];

    /// What the report calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
        }
    }
}

/// A checkpointer, and the bare store beside it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) checkpointer: ObjectStoreCheckpointer,
    /// As durable as ours: files are synced.
    pub(crate) bare: Arc<dyn ObjectStore>,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Goes when this goes, and takes with it what was stored.
    _home: Box<dyn Any + Send + Sync>,
}

impl Subject {
    pub(crate) fn open(kind: Kind) -> Result<Self> {
        match kind {
            Kind::File => {
                let files = Files::start();
                let directory = tempfile::tempdir()?;
                let bare = LocalFileSystem::new_with_prefix(directory.path())?.with_fsync(true);
                let server = Box::new((files, directory));
                Self::on(
                    kind,
                    &server.0.url("ours"),
                    server.0.options(),
                    Arc::new(bare),
                    server,
                )
            }
            Kind::S3 => {
                let server = Box::new(S3Server::start());
                Self::on(
                    kind,
                    &server.url("ours"),
                    server.options(),
                    server.store(),
                    server,
                )
            }
        }
    }

    fn on(
        kind: Kind,
        url: &str,
        options: Vec<(String, String)>,
        bare: Arc<dyn ObjectStore>,
        home: Box<dyn Any + Send + Sync>,
    ) -> Result<Self> {
        let (store, prefix) = open_at(url, &options)?;
        let checkpointer =
            ObjectStoreCheckpointer::new(Arc::clone(&store), prefix.clone(), CheckpointerOptions::default());
        Ok(Self {
            name: kind.name(),
            url: url.to_owned(),
            options,
            checkpointer,
            bare,
            store,
            prefix,
            _home: home,
        })
    }

    /// A transport on the same store, at a prefix of its own.
    pub(crate) fn transport(&self) -> ObjectStoreTransport {
        let prefix = self.prefix.clone().join("artifacts");
        ObjectStoreTransport::new(Arc::clone(&self.store), prefix, TransportOptions::default())
    }

    /// What there is of a checkpoint.
    pub(crate) async fn objects(&self, id: CheckpointId) -> Result<Vec<ObjectMeta>> {
        let directory = self.prefix.clone().join(id.to_string());
        Ok(self.store.list(Some(&directory)).try_collect().await?)
    }
}

/// What a URL names.
pub(crate) fn open_at(url: &str, options: &[(String, String)]) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let options: StoreOptions = options.iter().cloned().collect();
    Ok(open_store(url, &options)?)
}
