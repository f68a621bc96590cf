//! Stores of services: which requests they would send, and that nothing shows what they were opened with.

use std::time::Duration;

use object_store::signer::Signer;
use reqwest::Method;

use super::*;
use crate::open::settings::{Known, Settings};

/// As a key of Azure's, it is base64.
const SECRET: &str = "c2VjcmV0LW9mLW1pbmUtYW5kLW5vYm9keS1lbHNl";

fn options(pairs: &[(&str, &str)]) -> StoreOptions {
    pairs.iter().copied().collect::<StoreOptions>().environment(false)
}

fn variables(pairs: &'static [(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

/// Where a request for this key would go.
async fn address(store: &impl Signer) -> String {
    let key = Path::from("prefix/key");
    let signed = store.signed_url(Method::GET, &key, Duration::from_mins(1)).await;
    signed.unwrap().to_string()
}

/// Everything that an error can be made to say.
fn shown(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let shown: Vec<String> = chain
        .map(|error| format!("{error} {error:?} {error:#?}"))
        .collect();
    shown.join(" ")
}

#[tokio::test]
async fn s3_is_addressed_as_the_options_say() {
    let credentials = [("access_key_id", "me"), ("secret_access_key", SECRET)];
    for (more, expected) in [
        (&[][..], "https://s3.us-east-1.amazonaws.com/bucket/prefix/key?"),
        (
            &[
                ("aws_region", "eu-west-1"),
                ("virtual_hosted_style_request", "true"),
            ],
            "https://bucket.s3.eu-west-1.amazonaws.com/prefix/key?",
        ),
        (
            &[("Endpoint", "http://127.0.0.1:9000"), ("allow_http", "true")],
            "http://127.0.0.1:9000/bucket/prefix/key?",
        ),
        (
            &[
                ("endpoint", "https://bucket.example.com:8443"),
                ("virtual_hosted_style_request", "true"),
            ],
            "https://bucket.example.com:8443/prefix/key?",
        ),
    ] {
        let options = options(&[&credentials[..], more].concat());
        let store = aws::build("bucket", &options, std::iter::empty()).unwrap();
        let address = address(&store).await;
        assert!(address.starts_with(expected), "{address}");
    }
}

#[tokio::test]
async fn azurite_is_reached_on_any_port() {
    let options = options(&[
        ("endpoint", "http://127.0.0.1:4711/devstoreaccount1"),
        ("account_name", "devstoreaccount1"),
        ("account_key", SECRET),
        ("allow_http", "true"),
    ]);
    let store = azure::build("container", &options, std::iter::empty()).unwrap();
    let address = address(&store).await;
    let expected = "http://127.0.0.1:4711/devstoreaccount1/container/prefix/key?";
    assert!(address.starts_with(expected), "{address}");
}

#[test]
fn what_is_given_wins_over_the_environment_and_is_not_mixed_with_it() {
    let environment = || {
        variables(&[
            ("AWS_REGION", "from-environment"),
            ("AWS_ACCESS_KEY_ID", "theirs"),
            ("AWS_SESSION_TOKEN", "their-token"),
            ("AWS_ENDPOINT_URL_S3", "https://theirs"),
            ("AWS_CONDITIONAL_PUT", "disabled"),
            ("AWS_BUCKET", "theirs"),
            ("AWS_NO_SUCH_THING", "x"),
            ("PATH", "/bin"),
        ])
    };
    let read = |options: StoreOptions| {
        let settings = Settings::new(&aws::KNOWN, &options, environment()).unwrap();
        let values = settings
            .values
            .iter()
            .map(|(key, value)| (key.as_ref().to_owned(), value.clone()));
        values.collect::<std::collections::BTreeMap<_, _>>()
    };
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        read(StoreOptions::default().set("connect_timeout", "1s")),
        pairs(&[
            ("aws_access_key_id", "theirs"),
            ("aws_endpoint_url_s3", "https://theirs"),
            ("aws_region", "from-environment"),
            ("aws_session_token", "their-token"),
            ("connect_timeout", "1s"),
            ("timeout", "30s"),
        ])
    );
    let given = StoreOptions::default()
        .set("access_key_id", "ours")
        .set("secret_access_key", SECRET)
        .set("endpoint", "https://ours")
        .set("region", "ours");
    assert_eq!(
        read(given),
        pairs(&[
            ("aws_access_key_id", "ours"),
            ("aws_endpoint", "https://ours"),
            ("aws_region", "ours"),
            ("aws_secret_access_key", SECRET),
            ("connect_timeout", "5s"),
            ("timeout", "30s"),
        ])
    );
    assert_eq!(
        read(StoreOptions::default().environment(false)),
        pairs(&[("connect_timeout", "5s"), ("timeout", "30s")])
    );
}

#[test]
fn how_often_and_how_long_is_repeated_is_bounded() {
    let retry =
        |options| Settings::new(&aws::KNOWN, &options, std::iter::empty()).map(|settings| settings.retry);
    let default = retry(options(&[])).unwrap();
    assert_eq!(
        (default.max_retries, default.retry_timeout),
        (5, Duration::from_mins(1))
    );
    let chosen = retry(options(&[("max_retries", "0"), ("retry_timeout", "1500ms")])).unwrap();
    assert_eq!(
        (chosen.max_retries, chosen.retry_timeout),
        (0, Duration::from_millis(1500))
    );
    for wrong in [("max_retries", "many"), ("retry_timeout", "later")] {
        let Err(error) = retry(options(&[wrong])) else {
            panic!("{wrong:?}")
        };
        assert!(
            error.to_string().contains(wrong.0) && !shown(&error).contains(wrong.1),
            "{error}"
        );
    }
}

#[test]
fn every_option_that_is_said_to_exist_does() {
    fn check<K: std::str::FromStr + Copy>(known: &Known<K>) {
        for name in known.options {
            assert!(name.parse::<K>().is_ok(), "{name} of {}", known.name);
        }
        let none = options(&[("no_such_option", SECRET)]);
        let Err(error) = Settings::new(known, &none, std::iter::empty()) else {
            panic!("{}", known.name);
        };
        let message = error.to_string();
        for name in ["`no_such_option`", known.options[0], "max_retries", "timeout"] {
            assert!(message.contains(name), "{message}");
        }
        assert!(!shown(&error).contains(SECRET));
        // What is listed for every service is taken by every service.
        let listed = message.split_once("it has ").unwrap().1.split(", ");
        for name in listed.filter(|name| !["max_retries", "retry_timeout"].contains(name)) {
            assert!(name.parse::<K>().is_ok(), "{name} of {}", known.name);
        }
    }
    check(&aws::KNOWN);
    check(&azure::KNOWN);
    check(&gcp::KNOWN);
}

#[test]
fn what_is_not_to_be_chosen_is_refused() {
    for (url, name, value) in [
        ("s3://bucket", "bucket", "other"),
        ("s3://bucket", "aws_conditional_put", "disabled"),
        ("az://container", "container_name", "other"),
        ("az://container", "use_emulator", "true"),
        ("gs://bucket", "google_bucket", "other"),
        ("s3://bucket", "endpoint", "127.0.0.1:9000"),
        ("s3://bucket", "endpoint", "data:x"),
    ] {
        let error = open_store(url, &options(&[(name, value)])).unwrap_err();
        assert!(matches!(error, OpenStoreError::Option { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn no_error_shows_the_value_of_an_option() {
    let with_user = &*format!("https://user:{SECRET}@host");
    let with_token = &*format!("https://host/?sv=1&sig={SECRET}");
    let not_a_key = &*format!("{SECRET}!");
    for (url, pairs) in [
        // In the wrong place, all of them.
        ("s3://bucket", &[("allow_http", SECRET)][..]),
        ("s3://bucket", &[("timeout", SECRET)]),
        ("s3://bucket", &[("checksum_algorithm", SECRET)]),
        ("s3://bucket", &[("server_side_encryption", SECRET)]),
        (
            "s3://bucket",
            &[("user_agent", "agent\nc2VjcmV0LW9mLW1pbmUtYW5kLW5vYm9keS1lbHNl")],
        ),
        ("s3://bucket", &[("proxy_url", with_user), ("http1_only", SECRET)]),
        ("s3://bucket", &[("endpoint", with_user)]),
        ("s3://bucket", &[("endpoint", with_token)]),
        ("s3://bucket", &[("secret_access_key", SECRET)]),
        (
            "az://container",
            &[("account_name", "me"), ("account_key", not_a_key)],
        ),
        ("az://container", &[("account_name", "me"), ("sas_token", SECRET)]),
        (
            "az://container",
            &[("account_name", "me"), ("credential_type", SECRET)],
        ),
        (
            "az://container",
            &[("account_name", "me"), ("endpoint", with_token)],
        ),
        (
            "az://container",
            &[("account_name", "me"), ("endpoint", with_user)],
        ),
        (
            "az://container",
            &[("account_name", SECRET), ("use_azure_cli", SECRET)],
        ),
        ("gs://bucket", &[("service_account", SECRET)]),
        ("gs://bucket", &[("service_account_key", SECRET)]),
        ("gs://bucket", &[("application_credentials", SECRET)]),
        (
            "gs://bucket",
            &[("base_url", with_user), ("bearer_token", SECRET)],
        ),
        ("gs://bucket", &[("allow_http", SECRET)]),
    ] {
        let options = options(pairs);
        assert!(!format!("{options:?} {options:#?}").contains(SECRET));
        match open_store(url, &options) {
            Ok((store, _)) => assert!(!format!("{store} {store:?} {store:#?}").contains(SECRET)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Invalid);
                let shown = shown(&error);
                assert!(!shown.contains(SECRET) && !shown.contains("user:"), "{shown}");
            }
        }
    }
    // The client's errors say why in their sources only.
    let error = open_store("s3://bucket", &options(&[("proxy_url", "http://[")])).unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("builder error: "), "{reason}");
    let error = open_store("s3://bucket", &options(&[("allow_http", SECRET)])).unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("the value of `allow_http`"), "{reason}");
}

/// A server that is not there, and credentials of every kind.
#[tokio::test]
async fn no_store_and_no_error_of_a_request_shows_a_credential() {
    let token = &*format!("sv=2024-01-01&sig={SECRET}");
    let gone = [
        ("endpoint", "http://127.0.0.1:1/account"),
        ("disable_system_certificates", "true"),
        ("allow_http", "true"),
        ("max_retries", "0"),
    ];
    let proxy = &*format!("http://user:{SECRET}@127.0.0.1:1");
    for (url, pairs) in [
        (
            "s3://bucket/prefix",
            &[
                ("access_key_id", "me"),
                ("secret_access_key", SECRET),
                ("session_token", SECRET),
            ][..],
        ),
        (
            "s3://bucket/prefix",
            &[
                ("access_key_id", "me"),
                ("secret_access_key", SECRET),
                ("proxy_url", proxy),
            ],
        ),
        (
            "az://container/prefix",
            &[("account_name", "me"), ("account_key", SECRET)],
        ),
        (
            "az://container/prefix",
            &[("account_name", "me"), ("sas_token", token)],
        ),
        (
            "az://container/prefix",
            &[("account_name", "me"), ("bearer_token", SECRET)],
        ),
    ] {
        let options = options(&[pairs, &gone[..]].concat());
        let (store, prefix) = open_store(url, &options).unwrap();
        assert_eq!(prefix.as_ref(), "prefix");
        let names = format!("{store} {store:?} {store:#?} {options:?}");
        assert!(!names.contains(SECRET), "{names}");
        let key = prefix.join("key");
        let errors = [
            store.put(&key, "x".into()).await.unwrap_err(),
            store
                .put_opts(&key, "x".into(), PutMode::Create.into())
                .await
                .unwrap_err(),
            store.get(&key).await.unwrap_err(),
            store.delete(&key).await.unwrap_err(),
            store.list_with_delimiter(None).await.unwrap_err(),
            store.copy(&key, &key).await.unwrap_err(),
        ];
        for error in errors {
            let shown = shown(&error);
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
}
