//! Backups of streams, taken and put back by the server's API, as `nats stream backup` and `nats stream restore` do.

use std::time::Duration;

use async_nats::{Client, Message};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

/// Until a server must answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream as it once was.
#[derive(Clone, Debug)]
pub struct Backup {
    config: Value,
    state: Value,
    chunks: Vec<Bytes>,
}

impl Backup {
    /// Takes a backup of a stream, without its consumers.
    ///
    /// # Panics
    ///
    /// If the server refuses, or does not answer.
    pub async fn take(client: &Client, stream: &str) -> Self {
        let inbox = client.new_inbox();
        let mut chunks = client.subscribe(inbox.clone()).await.expect("a subscription");
        let request = json!({ "deliver_subject": inbox, "no_consumers": true, "chunk_size": 16 << 10 });
        let mut answer = ask(client, &format!("SNAPSHOT.{stream}"), &request).await;
        let mut backup = Self {
            config: answer["config"].take(),
            state: answer["state"].take(),
            chunks: Vec::new(),
        };
        loop {
            let chunk = tokio::time::timeout(PATIENCE, chunks.next())
                .await
                .expect("the server goes on")
                .expect("the subscription goes on");
            if chunk.payload.is_empty() {
                // A status other than 204, "No Content", says why it ends too early.
                let status = chunk.status.map(|status| status.as_u16());
                assert!(matches!(status, None | Some(204)), "{chunk:?}");
                return backup;
            }
            // The server sends only so much that nobody has confirmed.
            if let Some(reply) = chunk.reply {
                client
                    .publish(reply, Bytes::new())
                    .await
                    .expect("it is confirmed");
            }
            backup.chunks.push(chunk.payload);
        }
    }

    /// Has the server make a stream of it. There must be none of that name.
    ///
    /// # Panics
    ///
    /// If the server refuses, or does not answer.
    pub async fn put_back(&self, client: &Client, stream: &str) {
        let request = json!({ "config": self.config, "state": self.state });
        let answer = ask(client, &format!("RESTORE.{stream}"), &request).await;
        let to = answer["deliver_subject"]
            .as_str()
            .expect("a subject for the chunks")
            .to_owned();
        for chunk in &self.chunks {
            // An answer that is not empty is an error.
            let confirmed = request_raw(client, to.clone(), chunk.clone()).await;
            assert!(confirmed.payload.is_empty(), "{confirmed:?}");
        }
        // Nothing is the end; what comes of it is told as of any stream that was made.
        let made = request_raw(client, to, Bytes::new()).await;
        succeeded(&made);
    }
}

/// Asks the server's API about a stream.
async fn ask(client: &Client, verb: &str, request: &Value) -> Value {
    let payload = serde_json::to_vec(request).expect("it is encoded");
    let answer = request_raw(client, format!("$JS.API.STREAM.{verb}"), payload.into()).await;
    succeeded(&answer)
}

fn succeeded(answer: &Message) -> Value {
    let answer: Value = serde_json::from_slice(&answer.payload).expect("an answer of the server's API");
    assert!(answer["error"].is_null(), "{answer}");
    answer
}

async fn request_raw(client: &Client, subject: String, payload: Bytes) -> Message {
    let answer = client.request(subject, payload);
    tokio::time::timeout(PATIENCE, answer)
        .await
        .expect("the server answers")
        .expect("the server answers")
}
