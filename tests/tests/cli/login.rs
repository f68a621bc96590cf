//! How a server is logged in to.

use std::fs;

use alluvium_e2e::NatsServer;
use async_nats::ConnectOptions;
use async_nats::jetstream::{self, kv};
use serde_json::json;

use crate::desk::{Desk, error};

/// The pair of keys that the documentation of NATS uses.
const NKEY_SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const NKEY_PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// A server that lets in whoever this says, with a bucket `b` in it that has a key.
async fn guarded(authorization: &str, options: ConnectOptions) -> NatsServer {
    let server = NatsServer::start_with(authorization).await;
    let client = options.connect(server.url()).await.expect("the login is right");
    let config = kv::Config {
        bucket: "b".to_owned(),
        ..kv::Config::default()
    };
    let store = jetstream::new(client)
        .create_key_value(config)
        .await
        .expect("the bucket is made");
    store.put("k", "1".into()).await.expect("the put is stored");
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_login_is_told_without_the_secret_and_leaves_nothing_behind() {
    let server = guarded(
        "authorization { users = [ { user: me, password: right } ] }",
        ConnectOptions::with_user_and_password("me".to_owned(), "right".to_owned()),
    )
    .await;
    let url = server.url();
    let with_login = url.replace("//", "//me:hunter2@");
    let seed_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(seed_file.path(), NKEY_SEED).unwrap();
    for (url, wrong) in [
        (&url, &[][..]),
        (&url, &["--user", "me", "--password", "hunter2"]),
        (&url, &["--user", "hunter2"]),
        (&url, &["--nkey", seed_file.path().to_str().unwrap()]),
        (&with_login, &[]),
    ] {
        let desk = Desk::new();
        let said = error(&desk.replicate(url, "b", wrong).await);
        assert!(
            said.contains(&format!("{} refused the login", server.url())),
            "{said}"
        );
        assert!(!said.contains("hunter2") && !said.contains(NKEY_SEED), "{said}");
        assert_eq!(desk.files(), []);
    }
    let desk = Desk::new();
    let right = ["--user", "me", "--password", "right"];
    assert!(desk.replicate(&url, "b", &right).await.status.success());
    let in_url = url.replace("//", "//me:right@");
    assert!(desk.replicate(&in_url, "b", &[]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_a_user_without_a_password() {
    let server = guarded(
        "authorization { token: right }",
        ConnectOptions::with_token("right".to_owned()),
    )
    .await;
    let url = server.url();
    let in_url = url.replace("//", "//right@");
    for (url, login) in [
        (&url, &["--user", "right"][..]),
        (&url, &["--token", "right"]),
        (&in_url, &[]),
    ] {
        let done = Desk::new().replicate(url, "b", login).await;
        assert!(done.status.success(), "{login:?}: {done:?}");
    }
    error(&Desk::new().replicate(&url, "b", &["--token", "wrong"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey_is_a_seed_or_a_file() {
    let server = guarded(
        &format!("authorization {{ users = [ {{ nkey: {NKEY_PUBLIC} }} ] }}"),
        ConnectOptions::with_nkey(NKEY_SEED.to_owned()),
    )
    .await;
    let desk = Desk::new();
    let file = desk.directory.path().join("user.nk");
    fs::write(&file, format!("{NKEY_SEED}\n")).unwrap();
    for nkey in [NKEY_SEED, file.to_str().unwrap()] {
        let done = desk.replicate(&server.url(), "b", &["--nkey", nkey]).await;
        assert!(done.status.success(), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_may_not_is_told_what_the_server_said() {
    let server = guarded(
        "authorization { users = [ { user: me, password: right }, \
         { user: guest, password: right, permissions: { publish: { deny: \"$JS.API.>\" } } } ] }",
        ConnectOptions::with_user_and_password("me".to_owned(), "right".to_owned()),
    )
    .await;
    let desk = Desk::new();
    let guest = ["--user", "guest", "--password", "right", "--timeout", "1s"];
    let said = error(&desk.replicate(&server.url(), "b", &guest).await);
    assert!(said.to_lowercase().contains("permissions violation"), "{said}");
    assert_eq!(desk.files(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contexts_of_the_nats_command_are_used() {
    let server = guarded(
        "authorization { users = [ { user: me, password: right } ] }",
        ConnectOptions::with_user_and_password("me".to_owned(), "right".to_owned()),
    )
    .await;
    let desk = Desk::new();
    desk.context(
        "right",
        &json!({ "description": "", "url": server.url(), "user": "me", "password": "right", "creds": "", "nkey": "" }),
    );
    desk.context(
        "wrong",
        &json!({ "url": server.url(), "user": "me", "password": "hunter2" }),
    );
    let replicate = ["replicate", "--bucket", "b", "--until-caught-up"];
    let run = async |more: &[&str]| desk.run(&[&replicate, more].concat()).await;
    let done = run(&["--context", "right"]).await;
    assert!(done.status.success(), "{done:?}");
    let said = error(&run(&["--context", "wrong"]).await);
    assert!(
        said.contains("refused the login") && !said.contains("hunter2"),
        "{said}"
    );
    // Flags go before the context.
    assert!(
        run(&["--context", "wrong", "--password", "right"])
            .await
            .status
            .success()
    );
    desk.select_context("right");
    let prefix = ["--js-api-prefix", "$JS.API"];
    assert!(run(&prefix).await.status.success());
    // A domain that nobody serves is an error within the timeout, not a hang.
    error(&run(&["--js-domain", "nowhere", "--timeout", "1s"]).await);
    desk.select_context("gone");
    let said = error(&run(&[]).await);
    assert!(
        said.contains("gone does not exist: use one of right, wrong"),
        "{said}"
    );
}
