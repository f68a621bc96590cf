//! What is written to a bucket, and what of it an archive has to keep.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium::Sequence;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::wait;
use async_nats::HeaderMap;
use async_nats::jetstream::stream;
use futures_util::StreamExt as _;

use crate::pair::PATIENCE;

/// How long a value lives that is to expire: long enough to be read.
pub(crate) const A_WHILE: Duration = Duration::from_secs(2);

/// A bucket, and everything that was written to it and not deleted.
pub(crate) struct Written {
    pub(crate) bucket: Bucket,
    /// What an archive has to hold.
    pub(crate) kept: BTreeMap<String, String>,
    /// Whether the bucket evicts, so that an archive keeps what goes without a marker.
    pub(crate) evicts: bool,
}

impl Written {
    pub(crate) fn new(bucket: Bucket, config: &stream::Config) -> Self {
        let mut written = Self {
            bucket,
            kept: BTreeMap::new(),
            evicts: false,
        };
        written.may_evict(config);
        written
    }

    fn may_evict(&mut self, config: &stream::Config) {
        let limits = config.max_messages > 0 || config.max_bytes > 0 || !config.max_age.is_zero();
        // What it once was is remembered.
        self.evicts |= limits || config.allow_message_ttl;
    }

    /// Edits the stream.
    pub(crate) async fn edit(&mut self, config: stream::Config) {
        self.may_evict(&config);
        self.bucket
            .context
            .update_stream(config)
            .await
            .expect("the stream is edited");
    }

    pub(crate) async fn put(&mut self, key: &str, value: &str) -> Sequence {
        self.kept.insert(key.to_owned(), value.to_owned());
        self.bucket.put(key, value).await
    }

    /// Puts so many keys of one prefix.
    pub(crate) async fn fill(&mut self, prefix: &str, keys: u32) {
        for key in 0..keys {
            self.put(&format!("{prefix}.{key}"), &format!("of {prefix}"))
                .await;
        }
    }

    /// Puts a value that the server lets expire.
    pub(crate) async fn put_for_a_while(&mut self, key: &str) {
        self.kept.insert(key.to_owned(), "short".to_owned());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-TTL", format!("{}s", A_WHILE.as_secs()));
        let subject = format!("$KV.b.{key}");
        let context = &self.bucket.context;
        let publish = context.publish_with_headers(subject, headers, "short".into());
        publish.await.expect("it is sent").await.expect("it is stored");
    }

    pub(crate) async fn delete(&mut self, key: &str) -> Sequence {
        self.kept.remove(key);
        self.bucket.delete(key).await
    }

    async fn stream(&self) -> stream::Stream {
        let stream = self.bucket.context.get_stream("KV_b").await;
        stream.expect("the stream is there")
    }

    /// What an operator purges by hand, without a marker: a key, everything of a prefix, or everything.
    pub(crate) async fn purge(&mut self, filter: &str) {
        let purge = self.stream().await;
        let purge = purge.purge().filter(format!("$KV.b.{filter}"));
        purge.await.expect("it is purged");
        if self.evicts {
            return;
        }
        match filter.strip_suffix('>') {
            Some(prefix) => self.kept.retain(|key, _| !key.starts_with(prefix)),
            None => drop(self.kept.remove(filter)),
        }
    }

    /// What `nats kv compact` does first: it looks which keys end with a marker of a delete or a purge.
    pub(crate) async fn markers(&self) -> Vec<String> {
        let mut markers = Vec::new();
        let mut watch = self
            .bucket
            .store()
            .watch_with_history(">")
            .await
            .expect("it is watched");
        let truth = self.bucket.truth().await;
        let stream = self.stream().await;
        let keys = usize::try_from(stream.cached_info().state.subjects_count).expect("a few");
        while truth.len() + markers.len() < keys {
            let entry = watch.next().await.expect("an entry").expect("an entry");
            if entry.operation != async_nats::jetstream::kv::Operation::Put {
                markers.push(entry.key);
            }
        }
        markers
    }

    /// And then: it purges each of them, without a look at what was written meanwhile, and leaves the marker if that is young.
    pub(crate) async fn compact(&mut self, markers: &[String], young: bool) {
        let stream = self.stream().await;
        for key in markers {
            let purge = stream.purge().filter(format!("$KV.b.{key}"));
            if young {
                purge.keep(1).await.expect("it is purged");
            } else {
                purge.await.expect("it is purged");
                if !self.evicts {
                    self.kept.remove(key);
                }
            }
        }
    }

    /// Waits until the bucket holds so many keys.
    pub(crate) async fn bucket_holds(&self, keys: usize) {
        wait::until_ok(PATIENCE, "the bucket holds so many keys", async || {
            match self.bucket.truth().await.len() {
                held if held == keys => Ok(()),
                held => Err(held),
            }
        })
        .await;
    }

    /// Waits until the bucket holds no message, and no marker.
    pub(crate) async fn bucket_is_empty(&self) {
        wait::until_ok(PATIENCE, "the bucket is empty", async || {
            match self.stream().await.cached_info().state.messages {
                0 => Ok(()),
                messages => Err(messages),
            }
        })
        .await;
    }

    pub(crate) async fn remove_the_bucket(self) {
        let context = &self.bucket.context;
        context.delete_stream("KV_b").await.expect("the stream goes");
    }
}
