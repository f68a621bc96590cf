//! Streams that cannot be published to once, and effects that cannot be sent.

use alluvium::{Effect, ErrorKind, Headers, Publisher, PublisherError};
use async_nats::jetstream::{self, stream};

use crate::support::{config, connect, create, effects, message, publisher, stored};

#[tokio::test]
async fn a_stream_that_does_not_find_duplicates_is_refused() {
    let client = connect().await;
    create(&client, config("ORIGIN")).await;
    let mirror = stream::Config {
        name: "MIRROR".to_owned(),
        mirror: Some(stream::Source {
            name: "ORIGIN".to_owned(),
            ..stream::Source::default()
        }),
        ..stream::Config::default()
    };
    create(&client, mirror).await;
    let silent = stream::Config {
        no_ack: true,
        ..config("SILENT")
    };
    create(&client, silent).await;
    let sealed = create(&client, config("SEALED")).await;
    let sealed = stream::Config {
        sealed: true,
        deny_delete: true,
        deny_purge: true,
        ..sealed.get_info().await.unwrap().config
    };
    jetstream::new(client.clone())
        .update_stream(sealed)
        .await
        .unwrap();
    // Neither on a mirror nor anywhere else does this server let a window be nothing.
    for name in ["MIRROR", "SILENT", "SEALED"] {
        let error = Publisher::open(client.clone(), name).await.unwrap_err();
        assert!(matches!(error, PublisherError::Unsuitable { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    for wrong in ["NOWHERE", "", "a.b", "*", "a b", "a/b"] {
        let error = Publisher::open(client.clone(), wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{wrong:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_effect_that_cannot_be_sent_is_refused() {
    let client = connect().await;
    let (stream, mails) = publisher(&client, "REFUSED").await;
    let mut effects = effects(&mails);
    let subjects = [
        "",
        ".",
        "refused.",
        "refused..x",
        "refused.*",
        "refused.>",
        "refused.a b",
        "refused.\r\nPUB x",
    ];
    for subject in subjects {
        let error = effects
            .publish(&message(1), 0, Effect::new(subject, ""))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{subject:?}: {error:?}");
    }
    let headers: [(&str, &[u8]); 6] = [
        ("Nats-Msg-Id", b"mine"),
        ("nats-msg-id", b"mine"),
        ("Nats-Expected-Stream", b"OTHER"),
        ("a b", b"x"),
        ("A", b"x\r\ny"),
        ("A", b"\xff"),
    ];
    for (name, value) in headers {
        let headers: Headers = [(name, value.to_vec())].into_iter().collect();
        let effect = Effect::new("refused.x", "").with_headers(headers);
        let error = effects.publish(&message(1), 0, effect).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}: {error:?}");
    }
    let long = "x".repeat(1_100);
    let error = effects
        .publish(&message(1), &long, Effect::new("refused.x", ""))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(effects.unacknowledged(), 0);
    assert!(effects.flush().await.unwrap().messages.is_empty());
    assert!(stored(&stream).await.is_empty());
}
