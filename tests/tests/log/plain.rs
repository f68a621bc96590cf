//! Obligation 5 of plain streams: the key is the subject, every message is a put, and its headers come with it. And
//! kinds of streams that a bucket never is.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Change, Headers, Log, LogEvent, Scope, Sequence, StreamLog};
use alluvium_e2e::NatsServer;
use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::support::{change, event, expect, read};

/// A server, and what makes streams on it.
struct Fixture {
    server: NatsServer,
    context: jetstream::Context,
}

impl Fixture {
    async fn new() -> Self {
        Self::of(NatsServer::start().await).await
    }

    async fn of(server: NatsServer) -> Self {
        let context = jetstream::new(server.client().await);
        Self { server, context }
    }

    /// A stream of these subjects, with no limit of anything.
    async fn create(&self, name: &str, subjects: &[&str], config: stream::Config) -> Arc<dyn Log> {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            ..config
        };
        self.context.create_stream(config).await.unwrap();
        self.log(name).await
    }

    async fn log(&self, name: &str) -> Arc<dyn Log> {
        let client = self.server.client().await;
        Arc::new(StreamLog::open(client, name).await.unwrap())
    }

    async fn publish(&self, subject: &str, payload: &str, headers: &[(&str, &str)]) -> Sequence {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let payload = Bytes::from(payload.to_owned());
        let sent = if headers.is_empty() {
            self.context.publish(subject.to_owned(), payload).await
        } else {
            self.context
                .publish_with_headers(subject.to_owned(), map, payload)
                .await
        };
        Sequence::new(sent.unwrap().await.unwrap().sequence)
    }
}

/// A subject, a payload, headers.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

fn plain() -> stream::Config {
    stream::Config::default()
}

fn told(change: &Change) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&change.key), text(change.value().expect("a put")))
}

/// Sequences and keys of what is listed, and where the listing ends.
async fn list(log: &Arc<dyn Log>, scope: &Scope) -> (Vec<(u64, String)>, u64) {
    let mut stream = log.current(scope).await.unwrap();
    let mut listed = Vec::new();
    loop {
        match event(&mut stream).await {
            LogEvent::Change(change) => listed.push((change.sequence.get(), told(&change).0.to_owned())),
            LogEvent::CaughtUp(sequence) => return (listed, sequence.get()),
        }
    }
}

#[tokio::test]
async fn obligation_5_every_message_is_a_put_with_its_headers() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a.>", "b"], plain()).await;
    let cases: [Case; 6] = [
        ("a.1", "no headers", &[]),
        ("a.2", "", &[]),
        ("b", "", &[("Only", "headers")]),
        // As often as it was given, and in the order of its values; upper and lower case are two names.
        (
            "a.1",
            "several",
            &[
                ("Via", "y"),
                ("Via", "x"),
                ("A", ""),
                ("via", "z: z"),
                ("Via", "y"),
            ],
        ),
        // These mean something to a bucket, and nothing here.
        ("a.3", "kept", &[("KV-Operation", "DEL")]),
        ("a.3", "kept", &[("Nats-Marker-Reason", "Purge")]),
    ];
    for (subject, payload, headers) in cases {
        fixture.publish(subject, payload, headers).await;
    }
    let mut stream = read(&log, 1).await;
    for (index, (subject, payload, headers)) in (1..).zip(cases) {
        let change = change(&mut stream).await;
        assert_eq!(
            (change.sequence.get(), told(&change)),
            (index, (subject, payload))
        );
        let mut sorted = headers.to_vec();
        sorted.sort_by_key(|(name, _)| *name);
        assert_eq!(
            change.headers,
            sorted.into_iter().collect::<Headers>(),
            "{subject}"
        );
        let at = log.message_at(Sequence::new(index)).await.unwrap();
        assert_eq!(at, Some(change), "the same by either way");
    }
}

#[tokio::test]
async fn obligation_5_what_looks_like_a_word_of_the_servers_is_a_message() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a.>"], plain()).await;
    let words = [
        "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 70\r\n\r\n",
        "NATS/1.0 404 No Messages\r\n\r\n",
        "NATS/1.0 409 Consumer Deleted\r\n\r\n",
        "NATS/1.0 503\r\n\r\n",
    ];
    for word in words {
        raw(&fixture.server, b"a.word", Some(word.as_bytes())).await;
    }
    fixture.publish("a.last", "one", &[]).await;
    let mut stream = read(&log, 1).await;
    let first = change(&mut stream).await;
    assert_eq!(first.headers.get("Nats-Last-Consumer"), Some(&Bytes::from("70")));
    assert_eq!(log.message_at(Sequence::FIRST).await.unwrap(), Some(first));
    expect(&mut stream, 2, 5).await;
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(5)));
    assert_eq!(list(&log, &Scope::all()).await.0.len(), 2);
}

#[tokio::test]
async fn obligation_5_a_wildcard_in_a_subject_is_a_letter_like_others() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a.>"], plain()).await;
    // The server complains, and stores them.
    for subject in ["a.*.x", "a.>"] {
        raw(&fixture.server, subject.as_bytes(), None).await;
    }
    fixture.publish("a.b.x", "", &[]).await;
    let mut stream = read(&log, 1).await;
    for expected in ["a.*.x", "a.>", "a.b.x"] {
        assert_eq!(change(&mut stream).await.key, expected);
    }
    let scope = Scope::of(["a.*.x"]).unwrap();
    let (listed, _) = list(&log, &scope).await;
    assert!(listed.contains(&(3, "a.b.x".to_owned())), "{listed:?}");
}

/// Publishes past the client, which is strict about what it sends.
async fn raw(server: &NatsServer, subject: &[u8], headers: Option<&[u8]>) {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let mut connection = BufReader::new(
        tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .unwrap(),
    );
    let mut request = b"CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB answer 1\r\n".to_vec();
    match headers {
        None => {
            request.extend_from_slice(b"PUB ");
            request.extend_from_slice(subject);
            request.extend_from_slice(b" answer 0\r\n\r\n");
        }
        Some(headers) => {
            request.extend_from_slice(b"HPUB ");
            request.extend_from_slice(subject);
            request.extend_from_slice(format!(" answer {0} {0}\r\n", headers.len()).as_bytes());
            request.extend_from_slice(headers);
            request.extend_from_slice(b"\r\n");
        }
    }
    connection.write_all(&request).await.unwrap();
    let mut line = String::new();
    while !line.contains("\"seq\":") {
        line.clear();
        let read = tokio::time::timeout(crate::support::PATIENCE, connection.read_line(&mut line));
        assert!(read.await.unwrap().unwrap() > 0, "the server hung up");
    }
}

#[tokio::test]
async fn obligation_3_a_message_that_the_client_cannot_read_ends_the_stream() {
    let cases: [(&[u8], Option<&[u8]>); 5] = [
        (b"a.\xff", None),
        (b"a.x", Some(b"NATS/1.0\r\nX: \xff\r\n\r\n")),
        (b"a.x", Some(b"NATS/1.0\r\nno colon\r\n\r\n")),
        (b"a.x", Some(b"garbage")),
        // A space to the client, and none to the server.
        ("a.\u{a0}x".as_bytes(), Some(b"NATS/1.0\r\nX: y\r\n\r\n")),
    ];
    let fixture = Fixture::new().await;
    for (index, (subject, headers)) in cases.into_iter().enumerate() {
        let name = format!("S{index}");
        let log = fixture.create(&name, &["a.>"], plain()).await;
        fixture.publish("a.before", "", &[]).await;
        raw(&fixture.server, subject, headers).await;
        fixture.publish("a.after", "", &[]).await;
        let mut stream = read(&log, 1).await;
        expect(&mut stream, 1, 1).await;
        let error = crate::support::failure(&mut stream, Duration::from_secs(10)).await;
        assert!(
            matches!(error, alluvium::LogError::Foreign { .. }),
            "{index}: {error:?}"
        );
        let mut listing = log.current(&Scope::all()).await.unwrap();
        let error = crate::support::failure(&mut listing, Duration::from_secs(10)).await;
        assert!(
            matches!(error, alluvium::LogError::Foreign { .. }),
            "{index}: {error:?}"
        );
        // Who does not want it, or begins after it, is not bothered.
        let scope = Scope::of(["a.before", "a.after"]).unwrap();
        let mut stream = log.read(Sequence::FIRST, &scope).await.unwrap();
        for sequence in [1, 3] {
            assert_eq!(change(&mut stream).await.sequence.get(), sequence);
        }
        expect(&mut read(&log, 3).await, 3, 3).await;
        remove(&fixture, &name).await;
    }
}

async fn remove(fixture: &Fixture, name: &str) {
    fixture.context.delete_stream(name).await.unwrap();
}

#[tokio::test]
async fn what_is_read_is_not_taken_away() {
    let fixture = Fixture::new().await;
    for (retention, word) in [
        (stream::RetentionPolicy::WorkQueue, "work queue"),
        (stream::RetentionPolicy::Interest, "interest"),
    ] {
        let config = stream::Config {
            name: "S".to_owned(),
            subjects: vec!["a".to_owned()],
            retention,
            ..plain()
        };
        let stream = fixture.context.create_stream(config).await.unwrap();
        // Without anybody's interest nothing is stored.
        let consumer = jetstream::consumer::pull::Config {
            durable_name: Some("worker".to_owned()),
            ..jetstream::consumer::pull::Config::default()
        };
        stream.create_consumer(consumer).await.unwrap();
        fixture.publish("a", "", &[]).await;
        let error = StreamLog::open(fixture.server.client().await, "S")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), alluvium::ErrorKind::Invalid);
        assert!(matches!(error, alluvium::LogError::Consumed { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(stream.get_info().await.unwrap().state.messages, 1);
        remove(&fixture, "S").await;
    }
}

#[tokio::test]
async fn a_stream_that_begins_to_delete_what_is_read_is_not_read_any_more() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a"], plain()).await;
    let stream = fixture.context.get_stream("S").await.unwrap();
    let config = stream::Config {
        retention: stream::RetentionPolicy::Interest,
        ..stream.cached_info().config.clone()
    };
    fixture.context.update_stream(config).await.unwrap();
    let Err(error) = log.read(Sequence::FIRST, &Scope::all()).await else {
        panic!("it is read")
    };
    assert!(matches!(error, alluvium::LogError::Consumed { .. }), "{error:?}");
    // What takes nothing away is answered.
    assert_eq!(log.bounds().await.unwrap().messages, 0);
}

#[tokio::test]
async fn obligation_6_a_scope_may_name_what_the_stream_never_holds() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a.>", "b.*", "c", "$x.>"], plain()).await;
    for subject in ["a.1", "b.1", "c", "a.1.2", "$x.1", "a.2"] {
        fixture.publish(subject, "", &[]).await;
    }
    let cases: [(&[&str], &[u64]); 6] = [
        (&["none.>"], &[]),
        (&["none.>", "c"], &[3]),
        // Wider than any of the stream's subjects, and across several.
        (&["*.1"], &[1, 2, 5]),
        (&["*.1", "a.>"], &[1, 2, 4, 5, 6]),
        (&[">"], &[1, 2, 3, 4, 5, 6]),
        (&["a.*", "*.2", "$x.>"], &[1, 5, 6]),
    ];
    for (filters, expected) in cases {
        let scope = Scope::of(filters).unwrap();
        let mut stream = log.read(Sequence::FIRST, &scope).await.unwrap();
        let mut got = Vec::new();
        while let LogEvent::Change(change) = event(&mut stream).await {
            got.push(change.sequence.get());
        }
        assert_eq!(got, expected, "{filters:?}");
        let (listed, end) = list(&log, &scope).await;
        let listed: Vec<u64> = listed.into_iter().map(|(sequence, _)| sequence).collect();
        assert_eq!((&listed[..], end), (expected, 6), "{filters:?}");
    }
}

#[tokio::test]
async fn current_and_keys_of_a_stream_that_keeps_everything() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a.*"], plain()).await;
    for round in 0..5 {
        for subject in ["a.1", "a.2", "a.3"] {
            fixture.publish(subject, &round.to_string(), &[]).await;
        }
    }
    let last = fixture.publish("a.1", "", &[]).await.get();
    let expected = [(14, "a.2"), (15, "a.3"), (last, "a.1")].map(|(at, key)| (at, key.to_owned()));
    assert_eq!(list(&log, &Scope::all()).await, (expected.to_vec(), last));
    let keys = log.keys(&Scope::of(["a.1", "a.3"]).unwrap()).await.unwrap();
    let mut keys: Vec<Bytes> = keys.map(Result::unwrap).collect().await;
    keys.sort();
    assert_eq!(keys, ["a.1", "a.3"]);
    // A message that is taken away leaves the one before it.
    let stream = fixture.context.get_stream("S").await.unwrap();
    stream.delete_message(last).await.unwrap();
    stream.delete_message(15).await.unwrap();
    let expected = [(12, "a.3"), (13, "a.1"), (14, "a.2")].map(|(at, key)| (at, key.to_owned()));
    assert_eq!(list(&log, &Scope::all()).await, (expected.to_vec(), last));
    assert_eq!(log.message_at(Sequence::new(15)).await.unwrap(), None);
    let mut stream = read(&log, 11).await;
    for sequence in 11..=14 {
        assert_eq!(change(&mut stream).await.sequence.get(), sequence);
    }
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(14)));
}

#[tokio::test]
async fn keys_are_what_subjects_are_stored_as() {
    let fixture = Fixture::new().await;
    let config = stream::Config {
        subject_transform: Some(stream::SubjectTransform {
            source: "in.*".to_owned(),
            destination: "out.{{wildcard(1)}}.x".to_owned(),
        }),
        republish: Some(stream::Republish {
            source: ">".to_owned(),
            destination: "again.>".to_owned(),
            headers_only: false,
        }),
        ..plain()
    };
    let log = fixture.create("S", &["in.*"], config).await;
    let again = fixture.create("AGAIN", &["again.>"], plain()).await;
    fixture.publish("in.1", "one", &[]).await;
    fixture.publish("in.2", "two", &[]).await;
    let scope = Scope::of(["out.2.*"]).unwrap();
    let mut stream = log.read(Sequence::FIRST, &scope).await.unwrap();
    assert_eq!(told(&change(&mut stream).await), ("out.2.x", "two"));
    assert_eq!(list(&log, &Scope::of(["in.>"]).unwrap()).await, (vec![], 2));
    assert_eq!(log.bounds().await.unwrap().messages, 2);
    // The other stream has what was sent out, with where it came from.
    let copy = change(&mut read(&again, 1).await).await;
    assert_eq!(told(&copy), ("again.out.1.x", "one"));
    assert_eq!(copy.headers.get("Nats-Sequence"), Some(&Bytes::from("1")));
}

#[tokio::test]
async fn mirrors_keep_sequences_and_sources_do_not() {
    let fixture = Fixture::new().await;
    let log = fixture.create("S", &["a.>"], plain()).await;
    for index in 1..=6 {
        fixture.publish(&format!("a.{index}"), "x", &[]).await;
    }
    let stream = fixture.context.get_stream("S").await.unwrap();
    stream.delete_message(4).await.unwrap();
    stream.purge().sequence(3).await.unwrap();
    let source = stream::Source {
        name: "S".to_owned(),
        ..stream::Source::default()
    };
    let mirror = stream::Config {
        mirror: Some(source.clone()),
        ..plain()
    };
    let mirror = fixture.create("MIRROR", &[], mirror).await;
    let sourced = stream::Config {
        sources: Some(vec![source]),
        ..plain()
    };
    let sourced = fixture.create("SOURCED", &["own"], sourced).await;
    let mut original = read(&log, 1).await;
    let mut mirrored = read(&mirror, 1).await;
    let mut copied = read(&sourced, 1).await;
    for (place, sequence) in (1..).zip([3, 5, 6]) {
        let change_there = change(&mut original).await;
        assert_eq!(change_there.sequence.get(), sequence);
        assert_eq!(change(&mut mirrored).await, change_there, "to the nanosecond");
        let copy = change(&mut copied).await;
        assert_eq!((copy.sequence.get(), &copy.key), (place, &change_there.key));
        assert!(copy.headers.get("Nats-Stream-Source").is_some(), "{copy:?}");
    }
    assert_ne!(
        mirror.bounds().await.unwrap().log,
        log.bounds().await.unwrap().log
    );
    fixture.publish("own", "x", &[]).await;
    assert_eq!(change(&mut copied).await.headers, Headers::NONE);
    fixture.publish("a.7", "x", &[]).await;
    expect(&mut mirrored, 7, 7).await;
}

#[tokio::test]
async fn message_at_needs_no_direct_get_and_leave_to_delete_neither() {
    let fixture = Fixture::new().await;
    for (name, direct) in [("PLAIN", false), ("DIRECT", true)] {
        let config = stream::Config {
            allow_direct: direct,
            deny_delete: true,
            deny_purge: true,
            ..plain()
        };
        let log = fixture.create(name, &[name], config).await;
        fixture.publish(name, "x", &[("A", "b")]).await;
        let at = log.message_at(Sequence::FIRST).await.unwrap().unwrap();
        assert_eq!(told(&at), (name, "x"));
        assert_eq!(change(&mut read(&log, 1).await).await, at);
        assert_eq!(log.message_at(Sequence::new(2)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_message_that_expires_is_followed_by_its_marker() {
    let fixture = Fixture::new().await;
    let config = stream::Config {
        allow_message_ttl: true,
        // What lives shorter than its marker, the server lets live as long.
        subject_delete_marker_ttl: Some(Duration::from_secs(1)),
        ..plain()
    };
    let log = fixture.create("S", &["a.*"], config).await;
    assert!(log.bounds().await.unwrap().retention.message_ttl);
    fixture.publish("a.1", "short", &[("Nats-TTL", "1s")]).await;
    let mut stream = read(&log, 1).await;
    let short = change(&mut stream).await;
    assert_eq!(short.headers.get("Nats-TTL"), Some(&Bytes::from("1s")));
    let marker = change(&mut stream).await;
    assert_eq!(told(&marker), ("a.1", ""));
    assert_eq!(
        marker.headers.get("Nats-Marker-Reason"),
        Some(&Bytes::from("MaxAge"))
    );
    assert_eq!(log.message_at(Sequence::FIRST).await.unwrap(), None);
    assert_eq!(list(&log, &Scope::all()).await.1, 2);
}

#[tokio::test]
async fn a_reader_that_limits_overtake_is_given_what_is_left_in_order() {
    let fixture = Fixture::new().await;
    let config = stream::Config {
        max_messages: 100,
        ..plain()
    };
    fixture.create("S", &["a"], config).await;
    let log: Arc<dyn Log> = Arc::new(
        StreamLog::builder(fixture.server.client().await, "S")
            .max_in_flight_messages(10)
            .open()
            .await
            .unwrap(),
    );
    assert_eq!(log.bounds().await.unwrap().retention.max_messages, Some(100));
    for _ in 0..100 {
        fixture.publish("a", "x", &[]).await;
    }
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 3).await;
    for _ in 0..300 {
        fixture.publish("a", "x", &[]).await;
    }
    let mut last = 3;
    let mut given = 3;
    while last < 400 {
        let sequence = change(&mut stream).await.sequence.get();
        assert!(sequence > last, "{sequence} after {last}");
        (last, given) = (sequence, given + 1);
    }
    assert!(
        (103..=113).contains(&given),
        "{given}: what was taken, was on the way, and is left"
    );
}

#[tokio::test]
async fn limits_of_consumers_are_kept() {
    let fixture = Fixture::new().await;
    let config = stream::Config {
        consumer_limits: Some(stream::ConsumerLimits {
            inactive_threshold: Duration::from_secs(5),
            max_ack_pending: 10,
        }),
        max_consumers: 1,
        ..plain()
    };
    let log = fixture.create("S", &["a"], config).await;
    for _ in 0..50 {
        fixture.publish("a", "x", &[]).await;
    }
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 50).await;
    let Err(error) = log.read(Sequence::FIRST, &Scope::all()).await else {
        panic!("a second consumer")
    };
    assert_eq!(error.kind(), alluvium::ErrorKind::Unavailable);
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("maximum consumers"),
        "{error:?}"
    );
}

#[tokio::test]
async fn obligation_2_messages_as_large_as_the_server_takes_them() {
    // It stores 32 MiB with everything that comes with a message, whatever it lets through otherwise.
    const LARGE: usize = 31 << 20;
    let server = NatsServer::start_with("max_payload: 64MB").await;
    let fixture = Fixture::of(server).await;
    let log = fixture.create("S", &["a"], plain()).await;
    let payload = Bytes::from(vec![b'x'; LARGE]);
    for size in [10, LARGE, 20] {
        let sent = fixture.context.publish("a", payload.slice(..size)).await;
        sent.unwrap().await.unwrap();
    }
    let mut stream = read(&log, 1).await;
    for size in [10, LARGE, 20] {
        assert_eq!(change(&mut stream).await.value().unwrap().len(), size);
    }
    let at = log.message_at(Sequence::new(2)).await.unwrap().unwrap();
    assert_eq!(at.value().unwrap().len(), LARGE);
}
