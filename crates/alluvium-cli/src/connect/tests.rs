//! What is made of flags, URLs and contexts, before anything is connected.

use super::login::credentials;
use super::*;

const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

fn args(set: impl FnOnce(&mut ConnectionArgs)) -> ConnectionArgs {
    let mut args = ConnectionArgs::default();
    set(&mut args);
    args
}

fn context(json: &str) -> Context {
    serde_json::from_str(json).unwrap()
}

fn plan(args: &ConnectionArgs, json: &str) -> Plan {
    Plan::new(args, &context(json)).unwrap()
}

fn user(user: &str, password: &str) -> Login {
    Login::User {
        user: user.into(),
        password: password.into(),
    }
}

#[test]
fn without_anything_it_is_the_local_server_without_login() {
    let plan = plan(&ConnectionArgs::default(), "{}");
    assert_eq!(plan.servers[0].as_url_str(), "nats://127.0.0.1:4222");
    assert_eq!(plan.login, Login::Nothing);
    assert_eq!(plan.timeout, Duration::from_secs(5));
}

#[test]
fn flags_go_before_the_context_and_empty_ones_count_as_not_given() {
    let json = r#"{"url":"nats://context","user":"u","password":"p","jetstream_domain":"hub","jetstream_api_prefix":""}"#;
    let from_context = plan(&args(|args| args.server = Some("".into())), json);
    assert_eq!(from_context.servers[0].host(), "context");
    assert_eq!(from_context.login, user("u", "p"));
    assert_eq!(from_context.domain.as_deref(), Some("hub"));
    let from_flags = plan(
        &args(|args| {
            args.server = Some("a:1, nats://b".into());
            args.token = Some("t".into());
            args.js_api_prefix = Some("$JS.x.API".to_owned());
        }),
        json,
    );
    assert_eq!(from_flags.servers.len(), 2);
    assert_eq!(from_flags.login, Login::Token("t".into()));
    assert_eq!(
        (from_flags.domain, from_flags.api_prefix.as_deref()),
        (None, Some("$JS.x.API"))
    );
}

#[test]
fn a_user_without_a_password_is_a_token() {
    let token = plan(&args(|args| args.user = Some("t".into())), "{}");
    assert_eq!(token.login, Login::Token("t".into()));
}

#[test]
fn a_password_completes_the_context_and_is_nothing_alone() {
    let args = args(|args| args.password = Some("p".into()));
    assert_eq!(plan(&args, r#"{"user":"u"}"#).login, user("u", "p"));
    assert!(matches!(Plan::new(&args, &context("{}")), Err(Failure::Usage(_))));
}

#[test]
fn a_login_in_a_url_is_used_and_taken_out() {
    let plan = plan(
        &args(|args| args.server = Some("nats://me:p%40ss@a:1,nats://b:2".into())),
        r#"{"token":"t"}"#,
    );
    assert_eq!(plan.login, user("me", "p@ss"));
    assert_eq!(plan.servers[0].as_url_str(), "nats://a:1");
    assert!(!format!("{plan:?}").contains("ss@"));
}

#[test]
fn a_url_that_is_none_is_named_without_its_login() {
    for (url, shown) in [
        ("nats://me:hunter2@host:port", "nats://…@host:port"),
        ("me:hunter2@h:99999", "…@h:99999"),
        ("http://h", "http://h"),
        ("ws://h", "WebSocket"),
        (",", "no server"),
    ] {
        let args = args(|args| args.server = Some(url.into()));
        let failure = Plan::new(&args, &Context::default()).unwrap_err();
        let text = format!("{failure} {failure:?}");
        assert!(matches!(failure, Failure::Usage(_)), "{failure:?}");
        assert!(text.contains(shown) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn different_logins_in_urls_are_refused() {
    let args = args(|args| args.server = Some("nats://a:x@h,nats://b:y@h".into()));
    assert!(matches!(
        Plan::new(&args, &Context::default()),
        Err(Failure::Usage(_))
    ));
}

#[test]
fn an_nkey_is_a_seed_or_a_file_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.nk");
    fs::write(
        &file,
        format!("-----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"),
    )
    .unwrap();
    for nkey in [
        SEED,
        file.to_str().unwrap(),
        &format!("file://{}", file.display()),
    ] {
        let plan = plan(&args(|args| args.nkey = Some(nkey.into())), "{}");
        assert_eq!(plan.login, Login::Nkey(SEED.into()));
    }
    fs::write(&file, "hunter2").unwrap();
    let wrong = args(|args| args.nkey = Some(file.to_str().unwrap().into()));
    let failure = Plan::new(&wrong, &Context::default()).unwrap_err().to_string();
    assert!(
        failure.contains("user.nk") && !failure.contains("hunter2"),
        "{failure}"
    );
}

#[test]
fn files_that_are_not_there_are_named() {
    for set in [
        (|args| args.creds = Some("/no/such/file".into())) as fn(&mut ConnectionArgs),
        |args| args.nkey = Some("/no/such/file".into()),
        |args| args.tlsca = Some("/no/such/file".to_owned()),
        |args| {
            args.tlscert = Some("/no/such/file".to_owned());
            args.tlskey = Some("/no/such/file".to_owned());
        },
    ] {
        let failure = Plan::new(&args(set), &Context::default()).unwrap_err();
        assert!(failure.line().contains("/no/such/file"), "{failure:?}");
        assert!(failure.line().contains("No such file"), "{}", failure.line());
    }
}

#[test]
fn a_certificate_needs_its_key() {
    let args = args(|args| args.tlscert = Some("cert.pem".to_owned()));
    assert!(matches!(
        Plan::new(&args, &Context::default()),
        Err(Failure::Usage(_))
    ));
}

#[test]
fn a_jwt_and_a_seed_make_credentials() {
    let options = ConnectOptions::new().credentials(&credentials(&"eyJ0eXAi.eyJq.c2ln".into(), &SEED.into()));
    assert!(options.is_ok());
}
