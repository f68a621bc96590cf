//! Opening state in every build: what is compiled in opens, what is not says which feature to turn on.

use std::path::Path;
use std::sync::Arc;

use alluvium::{
    BackendError, Cursor, ErrorKind, InstanceId, LogIdentity, OpenError, StateBackend, StateConfig, StateDir,
    StateDirError, StateUrl, Timestamp, VnodeCount, open, open_checkpointer, open_transport,
};
use serde_json::json;

/// The engines by their scheme, and whether this build has them.
const ENGINES: [(&str, bool); 3] = [
    ("memory", cfg!(feature = "memory")),
    ("fjall", cfg!(feature = "fjall")),
    ("rocksdb", cfg!(feature = "rocksdb")),
];

fn built_in() -> impl Iterator<Item = &'static str> {
    ENGINES
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(engine, _)| engine)
}

fn failed<T>(result: Result<T, OpenError>) -> OpenError {
    match result {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// An error and its sources.
fn said(error: &OpenError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn url(engine: &str, path: &Path) -> String {
    format!("{engine}:{}", path.display())
}

async fn put_a_cursor(state: &Arc<dyn StateBackend>) {
    let table = state.open_table("routes").await.unwrap();
    table
        .apply(
            &[],
            &Cursor::start_of(LogIdentity::new("KV_routes", Timestamp::default())),
        )
        .unwrap();
}

#[tokio::test]
async fn what_an_engine_holds_is_there_again_under_its_scheme_and_as_a_bare_directory() {
    for engine in built_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = open(&url(engine, &path)).await.unwrap();
        put_a_cursor(&state).await;
        state.close().await.unwrap();
        drop(state);
        for again in [url(engine, &path), path.display().to_string()] {
            let config = StateConfig::new(&again).unwrap().existing(true);
            assert_eq!(config.engine_name().unwrap(), engine);
            let state = config.open().await.unwrap();
            let table = state.open_table("routes").await.unwrap();
            assert!(table.cursor().is_some(), "{again}");
            state.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_not_compiled_in_says_which_feature_to_turn_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let engines = ENGINES.map(|(engine, on)| (url(engine, &path), engine, on));
    let stores = [
        (
            format!("file://{}", path.display()),
            "object-store",
            cfg!(feature = "object-store"),
        ),
        ("s3://bucket/prefix".to_owned(), "s3", cfg!(feature = "s3")),
        (
            "az://container/prefix".to_owned(),
            "azure",
            cfg!(feature = "azure"),
        ),
        ("gs://bucket/prefix".to_owned(), "gcs", cfg!(feature = "gcs")),
        ("memory:".to_owned(), "memory", cfg!(feature = "memory")),
        // A new directory is fjall's.
        (path.display().to_string(), "fjall", cfg!(feature = "fjall")),
    ];
    for (url, feature, on) in engines.into_iter().chain(stores) {
        if on {
            continue;
        }
        let error = failed(open(&url).await);
        if url.contains("//") {
            let checkpoints = failed(open_checkpointer(&url).await);
            assert_eq!(checkpoints.to_string(), error.to_string());
            let artifacts = failed(open_transport(&url).await);
            assert_eq!(artifacts.to_string(), error.to_string());
        }
        assert!(
            matches!(error, OpenError::FeatureOff { feature: named, .. } if named == feature),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("needs the feature `{feature}`")),
            "{error}"
        );
        assert!(error.to_string().starts_with(&url), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!path.exists(), "{url} made something");
    }
}

#[tokio::test]
async fn a_scheme_that_contradicts_the_directory_is_refused_in_every_build() {
    for (made_by, _) in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        drop(StateDir::open_or_create(dir.path(), made_by).unwrap());
        for (asked, _) in ENGINES.into_iter().filter(|(asked, _)| *asked != made_by) {
            let error = failed(open(&url(asked, dir.path())).await);
            assert!(
                matches!(&error, OpenError::StateDir(StateDirError::OtherEngine { stored, expected, .. })
                    if stored == made_by && expected == asked),
                "{error:?}"
            );
        }
    }
    let dir = tempfile::tempdir().unwrap();
    drop(StateDir::open_or_create(dir.path(), "granite").unwrap());
    let error = failed(open(&dir.path().display().to_string()).await);
    assert!(
        matches!(&error, OpenError::UnknownEngine { stored, .. } if stored == "granite"),
        "{error:?}"
    );
    let error = failed(open(&url("fjall", dir.path())).await);
    assert!(
        error
            .to_string()
            .contains("belongs to the engine granite, not fjall"),
        "{error}"
    );
}

#[tokio::test]
async fn what_has_to_exist_is_never_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    for place in ["", "memory:", "fjall:", "rocksdb:"] {
        let config = StateConfig::new(&format!("{place}{}", path.display())).unwrap();
        let error = failed(config.existing(true).open().await);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(!path.exists());
    }
    let error = failed(StateConfig::new("memory:").unwrap().existing(true).open().await);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[cfg(feature = "object-store")]
#[tokio::test]
async fn a_directory_of_objects_is_none_of_an_engine_and_is_not_made_if_it_has_to_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let config = StateConfig::new(&format!("file://{}", path.display())).unwrap();
    let error = failed(config.clone().existing(true).open().await);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(!path.exists());
    drop(StateDir::open_or_create(&path, "fjall").unwrap());
    let error = failed(config.open().await);
    assert!(
        error
            .to_string()
            .contains("belongs to the engine fjall, not file"),
        "{error}"
    );
}

#[tokio::test]
async fn an_engine_keeps_no_checkpoints_and_no_artifacts_and_says_what_does() {
    for place in ["memory:", "fjall:/nonexistent/state", "/nonexistent/state"] {
        let checkpoints = failed(open_checkpointer(place).await);
        let artifacts = failed(open_transport(place).await);
        for (error, what) in [(checkpoints, "checkpoints"), (artifacts, "artifacts")] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{place} keeps no {what}: they are in `file:///DIR`")),
                "{error}"
            );
        }
    }
}

#[cfg(feature = "object-store")]
#[tokio::test]
async fn a_directory_of_checkpoints_is_none_of_an_engine_and_is_not_made_if_it_has_to_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoints");
    let config = StateConfig::new(&format!("file://{}", path.display())).unwrap();
    let error = failed(config.clone().existing(true).open_checkpointer().await);
    assert!(matches!(error, OpenError::NoDirectory { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(!path.exists());
    // One that is empty is there.
    for existing in [false, true] {
        let checkpointer = config
            .clone()
            .existing(existing)
            .open_checkpointer()
            .await
            .unwrap();
        assert_eq!(checkpointer.list_checkpoints().await.unwrap(), []);
    }
    std::fs::remove_dir_all(&path).unwrap();
    drop(StateDir::open_or_create(&path, "fjall").unwrap());
    let error = failed(config.open_checkpointer().await);
    assert!(
        error
            .to_string()
            .contains("belongs to the engine fjall, not file"),
        "{error}"
    );
}

#[tokio::test]
async fn an_engine_takes_no_options_and_names_the_one_it_was_given() {
    for place in ["memory:", "fjall:/nonexistent/state"] {
        let config = StateConfig::new(place)
            .unwrap()
            .option("secret_access_key", "hunter2");
        let error = failed(config.open().await);
        assert!(
            matches!(&error, OpenError::NoSuchOption { name } if name == "secret_access_key"),
            "{error:?}"
        );
        assert!(!format!("{} {error:?}", said(&error)).contains("hunter2"));
    }
}

#[tokio::test]
async fn instance_and_vnodes_get_to_the_backend() {
    for engine in built_in() {
        let dir = tempfile::tempdir().unwrap();
        let config = StateConfig::new(&url(engine, &dir.path().join("state"))).unwrap();
        let state = config.open().await.unwrap();
        assert_eq!(
            (state.instance().as_str(), state.vnode_count().get()),
            ("local", 256)
        );
        state.close().await.unwrap();
        drop(state);
        let config = config
            .instance(InstanceId::new("node-1").unwrap())
            .vnodes(VnodeCount::new(8).unwrap());
        let state = config.open().await.unwrap();
        assert_eq!(
            (state.instance().as_str(), state.vnode_count().get()),
            ("node-1", 8)
        );
        state.close().await.unwrap();
    }
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state").display().to_string();
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    let mut opening = std::pin::pin!(open(&state));
    match opening.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(OpenError::NoRuntime)) => {}
        other => panic!("{:?}", other.map(|result| result.map(|_| ()))),
    }
}

#[test]
fn an_object_store_has_no_engine() {
    for store in [
        "file:///srv/state",
        "s3://bucket",
        "az://container",
        "gs://bucket",
    ] {
        let config = StateConfig::new(store).unwrap();
        for error in [failed(config.open_engine()), failed(config.engine_name())] {
            assert!(error.to_string().contains("use `fjall:DIR`"), "{error}");
        }
    }
}

#[test]
fn a_configuration_is_read_with_defaults_and_written_without_secrets() {
    let least: StateConfig = serde_json::from_value(json!({ "url": "fjall:./state" })).unwrap();
    assert_eq!(least, StateConfig::new("fjall:./state").unwrap());
    assert_eq!(
        least,
        StateConfig::from("fjall:./state".parse::<StateUrl>().unwrap())
    );

    let given = json!({
        "url": "s3://bucket/state", "instance": "node-1", "vnodes": 8, "durability": "fsync", "existing": true,
        "options": { "secret_access_key": "hunter2", "allow_http": true, "port": 9000 },
    });
    let config: StateConfig = serde_json::from_value(given.clone()).unwrap();
    assert_eq!(config.vnodes.get(), 8);
    assert!(config.existing);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(format!("{config:?}").contains("secret_access_key"));
    let mut expected = given;
    expected.as_object_mut().unwrap().remove("options");
    assert_eq!(serde_json::to_value(&config).unwrap(), expected);
}

#[test]
fn a_configuration_that_is_wrong_says_where_and_shows_no_secret() {
    for (wrong, part) in [
        (json!({}), "url"),
        (json!({ "url": "redis://localhost" }), "there is no `redis:`"),
        (json!({ "url": "memory:", "vnode": 8 }), "vnode"),
        (
            json!({ "url": "memory:", "vnodes": 0 }),
            "there cannot be 0 vnodes",
        ),
        (
            json!({ "url": "memory:", "instance": "a b" }),
            "cannot name an instance",
        ),
        (json!({ "url": "s3://me:hunter2@bucket" }), "no login"),
        (
            json!({ "url": "s3://bucket", "options": { "key": ["hunter2"] } }),
            "an option's value is text",
        ),
    ] {
        let error = serde_json::from_value::<StateConfig>(wrong)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// Errors go through `?` of whoever opens and then uses.
#[allow(dead_code, reason = "it compiles")]
async fn errors_are_of_one_kind_for_callers() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let state = open("memory:").await?;
    let table: Result<_, BackendError> = state.open_table("routes").await;
    table?;
    Ok(())
}
