//! Writes of which the answer is lost: they were done, and are found to have been.

use std::time::Duration;

use alluvium::{CursorStore, KvCursorStore};
use alluvium_e2e::{Proxy, wait};
use tokio::time::Instant;

use crate::support::{at, cursors, server};

const NAME: &str = "mailer";

#[tokio::test]
async fn a_save_whose_answer_is_lost_is_known_again() {
    let direct = cursors("lost").await;
    let proxy = Proxy::start(server().await.port()).await;
    let client = async_nats::connect(proxy.url()).await.unwrap();
    let through = KvCursorStore::builder(client, "lost").request_timeout(Duration::from_millis(500));
    let through = through.open().await.unwrap();
    let mut held = through.hold(NAME).await.unwrap();
    for round in 1..=4 {
        let record = at(round);
        proxy.deafen(true);
        let start = Instant::now();
        let save = tokio::spawn({
            let (held, record) = (held.clone(), record.clone());
            async move { held.save(&record).await }
        });
        wait::until_ok(Duration::from_secs(20), "the save arrives", || async {
            let stored = direct.load(NAME).await.unwrap();
            if stored.as_ref() == Some(&record) {
                Ok(())
            } else {
                Err(stored)
            }
        })
        .await;
        proxy.deafen(false);
        save.await.unwrap().unwrap();
        assert!(
            start.elapsed() >= Duration::from_millis(400),
            "no answer was lost"
        );
        // The next one goes by the revision that the lost answer would have told.
        held.save(&at(100 + round)).await.unwrap();
        assert_eq!(direct.load(NAME).await.unwrap(), Some(at(100 + round)));
        if round == 2 {
            held = through.hold(NAME).await.unwrap();
        }
    }
}
