//! Context files, as the `nats` command writes them and as people break them.

use super::*;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("context")).unwrap();
    folder
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).unwrap();
}

#[test]
fn a_file_of_the_nats_command_is_read() {
    let folder = folder();
    write(
        &folder,
        "context/edge.json",
        r#"{"description":"","url":"nats://a:4222,nats://b:4222","socks_proxy":"","token":"","user":"u","password":"p",
            "creds":"","nkey":"","cert":"","key":"","ca":"~/ca.pem","nsc":"","jetstream_domain":"hub",
            "jetstream_api_prefix":"","jetstream_event_prefix":"","inbox_prefix":"_IN","user_jwt":"","color_scheme":"",
            "tls_first":true,"something_new":[1,2]}"#,
    );
    let context = load_from(folder.path(), Some("edge")).unwrap();
    assert_eq!(context.url.unwrap().expose(), "nats://a:4222,nats://b:4222");
    assert_eq!(context.user.unwrap().expose(), "u");
    assert_eq!(context.jetstream_domain.unwrap(), "hub");
    assert_eq!(context.inbox_prefix.unwrap(), "_IN");
    assert_eq!(context.tls_first, Some(true));
}

#[test]
fn without_a_name_the_selected_context_is_taken_and_none_is_fine() {
    let folder = folder();
    assert!(load_from(folder.path(), None).unwrap().url.is_none());
    write(&folder, "context/edge.json", r#"{"url":"nats://a:4222"}"#);
    assert!(load_from(folder.path(), None).unwrap().url.is_none());
    write(&folder, "context.txt", "edge\n");
    assert!(load_from(folder.path(), None).unwrap().url.is_some());
}

#[test]
fn an_unknown_context_lists_the_known_ones() {
    let folder = folder();
    write(&folder, "context/edge.json", "{}");
    write(&folder, "context/hub.json", "{}");
    let error = load_from(folder.path(), Some("nope")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the context nope does not exist: use one of edge, hub"
    );
}

#[test]
fn a_selected_context_that_is_gone_is_an_error_too() {
    let folder = folder();
    write(&folder, "context.txt", "gone");
    let error = load_from(folder.path(), None).unwrap_err();
    assert!(matches!(error, ContextError::Unknown { .. }), "{error:?}");
}

#[test]
fn garbage_is_named_and_not_quoted() {
    let folder = folder();
    for garbage in [
        "hunter2",
        "{\"tls_first\": \"hunter2\"}",
        "{\"password\": \"hunter2",
        "[]",
        "\u{fffd}",
    ] {
        write(&folder, "context/edge.json", garbage);
        let error = load_from(folder.path(), Some("edge")).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("edge.json") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_name_cannot_leave_the_folder() {
    let folder = folder();
    for name in ["../edge", "a/b", "..", "/etc/passwd"] {
        let error = load_from(folder.path(), Some(name)).unwrap_err();
        assert!(matches!(error, ContextError::Name { .. }), "{name}: {error:?}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let folder = folder();
    for (field, word) in [
        ("nsc", "nsc"),
        ("socks_proxy", "SOCKS"),
        ("windows_cert_store", "Windows"),
    ] {
        write(&folder, "context/edge.json", &format!(r#"{{"{field}":"x"}}"#));
        let error = load_from(folder.path(), Some("edge")).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("edge.json"), "{error}");
    }
}

#[test]
fn paths_may_have_variables() {
    let home = env::var("HOME").unwrap();
    assert_eq!(expand_path("~/x.creds"), Path::new(&home).join("x.creds"));
    assert_eq!(expand_path("file://$HOME/x"), Path::new(&home).join("x"));
    assert_eq!(expand_path("${HOME}/x"), Path::new(&home).join("x"));
    assert_eq!(expand_path("/a/b$/c"), Path::new("/a/b$/c"));
    assert_eq!(expand_path("/a${"), Path::new("/a${"));
}

#[test]
fn references_are_resolved() {
    let resolve = |text: &str| super::resolve("token", &text.into());
    assert_eq!(resolve("s3cr3t").unwrap(), Resolved::Bare("s3cr3t".into()));
    assert_eq!(
        resolve("data:;base64,czNjcjN0").unwrap(),
        Resolved::Text("s3cr3t".into())
    );
    assert_eq!(resolve("file:///a/b").unwrap(), Resolved::File("/a/b".into()));
    for wrong in [
        "env://ALLUVIUM_NO_SUCH_VARIABLE",
        "data:,x",
        "data:;base64,***",
        "op://a/b",
        "nsc://a/b/c",
    ] {
        let error = resolve(wrong).unwrap_err().to_string();
        assert!(error.starts_with("cannot resolve token: "), "{error}");
    }
}
