//! A worker that sends a mail for each message of a stream, and puts those that cannot be sent into another stream, so that one
//! bad address does not keep all the others waiting.
//!
//! ```console
//! $ nats-server --jetstream &
//! $ cargo run --example mailer -- nats://127.0.0.1:4222 ./mailer
//! ```
//!
//! A mail is sent by laying it into an outbox, from where a mail transfer agent takes it. Its file is called after the delivery:
//! a mail that is sent again after a crash is the same file.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::{
    Action, BoxError, DeadLetters, Delivery, Effect, FileCursorStore, Handler, LogCursor, Parked, Publisher,
    Scope, StreamLog, Worker, WorkerEvent,
};
use async_nats::jetstream;
use async_trait::async_trait;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments
        .next()
        .unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "./mailer".to_owned()));
    let sent = run(&server, &directory).await?;
    println!("{sent} mails are in {}", directory.join("outbox").display());
    Ok(())
}

/// Orders some mails and sends what the stream holds. Gives how many were sent.
pub(crate) async fn run(server: &str, directory: &Path) -> Result<u64, BoxError> {
    let client = async_nats::connect(server).await?;
    order_mails(&jetstream::new(client.clone())).await?;

    let outbox = directory.join("outbox");
    std::fs::create_dir_all(&outbox)?;
    let cursors = Arc::new(FileCursorStore::open(directory)?);
    let mails = Arc::new(StreamLog::open(client.clone(), "MAILS").await?);
    let dead_letters = DeadMails(Publisher::open(client, "DEAD_MAILS").await?);
    let worker = Worker::builder(LogCursor::builder(mails, Scope::all()).held_in(cursors, "mailer"))
        .park_after(3, dead_letters)
        .on_event(|event| {
            if let WorkerEvent::Parked(parked) = event {
                eprintln!("{} is left for a person to look at", parked.message.sequence);
            }
        })
        .start(Send { outbox })
        .await?;

    // A service would go on for ever; this one stops when it has caught up.
    let mut status = worker.watch_status();
    while worker.lag().await? > 0 {
        status.changed().await?;
    }
    let sent = worker.status().handled;
    worker.stop_and_join().await?;
    Ok(sent)
}

/// Lays mails into an outbox.
struct Send {
    outbox: PathBuf,
}

#[async_trait]
impl Handler for Send {
    async fn handle(&self, mails: Delivery) -> Result<Action, BoxError> {
        for mail in &mails {
            let text = std::str::from_utf8(mail.value().ok_or("a mail without a text")?)?;
            let (to, text) = text.split_once('\n').ok_or("a mail without an address")?;
            if !to.contains('@') {
                return Err(format!("{to:?} is no address").into());
            }
            let id = mails
                .evidence()
                .message_id(mail.sequence, "mail")
                .replace('/', "_");
            let file = self.outbox.join(format!("{id}.eml"));
            // Whole or not at all: an agent takes what is called .eml.
            let part = file.with_extension("part");
            tokio::fs::write(
                &part,
                format!("To: {to}\nMessage-ID: <{id}@example.com>\n\n{text}\n"),
            )
            .await?;
            tokio::fs::rename(&part, &file).await?;
        }
        Ok(Action::Continue)
    }
}

/// Publishes what could not be sent, with the reason. A mail that is parked again after a crash is there once.
struct DeadMails(Publisher);

#[async_trait]
impl DeadLetters for DeadMails {
    async fn park(&self, parked: Parked) -> Result<(), BoxError> {
        let mut effects = self.0.effects(&parked.evidence);
        let text = parked.message.value().cloned().unwrap_or_default();
        let mut reason = parked.error.to_string();
        if let Some(source) = Error::source(&parked.error) {
            reason = format!("{reason}: {source}");
        }
        let letter = Effect::new("dead_mails", text).with_headers([("Reason", reason)].into_iter().collect());
        effects.publish(&parked.message, "dead", letter).await?;
        effects.flush().await?;
        Ok(())
    }
}

async fn order_mails(context: &jetstream::Context) -> Result<(), BoxError> {
    for (stream, subject) in [("MAILS", "mails"), ("DEAD_MAILS", "dead_mails")] {
        let config = jetstream::stream::Config {
            name: stream.to_owned(),
            subjects: vec![subject.to_owned()],
            ..jetstream::stream::Config::default()
        };
        context.get_or_create_stream(config).await?;
    }
    let mails = [
        "anna@example.com\nYour order is on its way.",
        "nowhere\nThis one cannot be sent.",
        "ben@example.com\nWe have missed you.",
    ];
    for mail in mails {
        context.publish("mails", mail.into()).await?.await?;
    }
    Ok(())
}
