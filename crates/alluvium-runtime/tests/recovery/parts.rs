//! Operators and sources that write down what is asked of them, and do as badly as they are told.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use alluvium_core::checkpoint::SourcePosition;
use alluvium_core::{BoxError, ByteStream};
use alluvium_runtime::{Restorable, Seekable};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;

/// What was asked of whom, in order.
pub(crate) type Calls = Arc<Mutex<Vec<String>>>;

pub(crate) fn taken(calls: &Calls) -> Vec<String> {
    std::mem::take(&mut calls.lock().unwrap())
}

/// How an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Sound,
    /// It fails to restore.
    Fails,
    /// It never ends to restore.
    Hangs,
    /// It cannot be reset.
    CannotReset,
    /// It decodes while it reads, and fails at a byte that it did not write.
    Decodes,
    /// It takes the first piece and leaves the rest.
    LeavesTheRest,
    /// It takes what it gets, and an error of the stream for its end.
    Ignores,
}

/// A partition is its snapshot and its deltas, one after the other.
pub(crate) struct Operator {
    name: &'static str,
    partitions: u32,
    manner: Manner,
    calls: Calls,
    pub(crate) state: BTreeMap<u32, String>,
}

impl Operator {
    pub(crate) fn new(name: &'static str, partitions: u32, calls: &Calls) -> Self {
        Self {
            name,
            partitions,
            manner: Manner::Sound,
            calls: Arc::clone(calls),
            state: BTreeMap::from([(0, "left over".to_owned())]),
        }
    }

    pub(crate) fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    fn call(&self, what: &str) {
        self.calls.lock().unwrap().push(format!("{} {what}", self.name));
    }
}

#[async_trait]
impl Restorable for Operator {
    fn id(&self) -> &str {
        self.name
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn reset(&mut self) -> Result<(), BoxError> {
        self.call("reset");
        self.state.clear();
        match self.manner {
            Manner::CannotReset => Err("stuck".into()),
            _ => Ok(()),
        }
    }

    async fn restore(&mut self, partition: u32, snapshot: Bytes) -> Result<(), BoxError> {
        self.call(&format!("restore {partition}"));
        match self.manner {
            Manner::Fails => return Err("out of room".into()),
            Manner::Hangs => std::future::pending().await,
            _ => {}
        }
        let snapshot = String::from_utf8(snapshot.to_vec())?;
        self.state.insert(partition, snapshot);
        Ok(())
    }

    async fn apply_delta(&mut self, partition: u32, delta: Bytes) -> Result<(), BoxError> {
        self.call(&format!("delta {partition}"));
        let state = self.state.get_mut(&partition).ok_or("no snapshot")?;
        state.push_str(str::from_utf8(&delta)?);
        Ok(())
    }

    async fn restore_stream(
        &mut self,
        partition: u32,
        mut snapshot: ByteStream<io::Error>,
    ) -> Result<(), BoxError> {
        let mut all = Vec::new();
        loop {
            let piece = match snapshot.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(_) if self.manner == Manner::Ignores => break,
                Err(error) => return Err(error.into()),
            };
            if self.manner == Manner::Decodes && !piece.iter().all(u8::is_ascii_alphabetic) {
                return Err("not a letter".into());
            }
            all.extend_from_slice(&piece);
            if self.manner == Manner::LeavesTheRest {
                break;
            }
        }
        self.restore(partition, all.into()).await
    }
}

/// A source with a limit to what it still has.
pub(crate) struct Source {
    name: &'static str,
    calls: Calls,
    pub(crate) can_seek: bool,
    pub(crate) fails: bool,
}

impl Source {
    pub(crate) fn new(name: &'static str, calls: &Calls) -> Self {
        Self {
            name,
            calls: Arc::clone(calls),
            can_seek: true,
            fails: false,
        }
    }
}

#[async_trait]
impl Seekable for Source {
    fn id(&self) -> &str {
        self.name
    }

    async fn can_seek(&mut self, _: &SourcePosition) -> Result<bool, BoxError> {
        Ok(self.can_seek)
    }

    async fn seek(&mut self, position: &SourcePosition) -> Result<(), BoxError> {
        let SourcePosition::File { offset, .. } = position else {
            return Err("not a file".into());
        };
        let call = format!("{} seek {offset}", self.name);
        self.calls.lock().unwrap().push(call);
        if self.fails {
            Err("gone away".into())
        } else {
            Ok(())
        }
    }
}
