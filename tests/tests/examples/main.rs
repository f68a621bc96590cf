//! The examples of the facade, on a real server: what is run here is their own source.

#[allow(dead_code, reason = "only a program has use for its main function")]
#[path = "../../../crates/alluvium/examples/mailer.rs"]
mod mailer;
#[allow(dead_code, reason = "only a program has use for its main function")]
#[path = "../../../crates/alluvium/examples/projection.rs"]
mod projection;

use std::collections::BTreeMap;

use alluvium_e2e::NatsServer;
use async_nats::jetstream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_totals_of_a_projection_are_right_however_often_it_is_run() {
    let server = NatsServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("totals").display().to_string();
    for run in 1..=3 {
        let totals = projection::run(&server.url(), &state).await.unwrap();
        let expected = [
            ("orders.anna", 42 * run),
            ("orders.ben", 5 * run),
            ("orders.cleo", 100 * run),
        ];
        assert_eq!(
            totals,
            BTreeMap::from(expected.map(|(customer, total)| (customer.to_owned(), total)))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailer_sends_what_it_can_and_parks_the_rest() {
    let server = NatsServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    for run in 1..=2 {
        assert_eq!(
            mailer::run(&server.url(), directory.path()).await.unwrap(),
            2,
            "of three"
        );
        let outbox = std::fs::read_dir(directory.path().join("outbox")).unwrap();
        let mut to: Vec<String> = outbox
            .map(|mail| {
                std::fs::read_to_string(mail.unwrap().path())
                    .unwrap()
                    .lines()
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        to.sort();
        assert_eq!(to.len(), 2 * run);
        assert_eq!(
            (to[0].as_str(), to[2 * run - 1].as_str()),
            ("To: anna@example.com", "To: ben@example.com")
        );

        let context = jetstream::new(server.client().await);
        let dead = context.get_stream("DEAD_MAILS").await.unwrap();
        let letter = dead.get_last_raw_message_by_subject("dead_mails").await.unwrap();
        assert_eq!(letter.sequence, run as u64, "each is parked once");
        assert_eq!(letter.payload, "nowhere\nThis one cannot be sent.");
        let reason = letter.headers.get("Reason").unwrap().as_str();
        assert_eq!(reason, "the handler returned an error: \"nowhere\" is no address");
    }
}
