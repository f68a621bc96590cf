//! The command on state directories: reading what a program left there, and every way in which there may be nothing
//! to read. No server is needed.

mod common;

use std::fs;
use std::process::Stdio;

use common::{ENGINES, Home, alluvium, failed, in_json};
use serde_json::json;

#[test]
fn get_prints_the_exact_bytes() {
    for &engine in ENGINES {
        let home = Home::filled(engine);
        for (key, value) in [
            ("a", &b"1"[..]),
            ("b.c", b"two\n"),
            ("empty", b""),
            ("raw", b"\0\xff\n\t"),
        ] {
            let output = alluvium(["get".as_ref(), key.as_ref(), "--state".as_ref(), home.state()]);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(output.stdout, value, "{engine} {key}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let home = Home::filled("fjall");
    let state = home.state().to_str().unwrap();
    let error = failed(&["get", "nope", "--state", state], 1);
    assert!(error.starts_with("error: no key nope in "), "{error}");
    let error: serde_json::Value =
        serde_json::from_str(&failed(&["get", "nope", "--state", state, "--json"], 1)).unwrap();
    assert_eq!(error["kind"], "not_found");
}

#[test]
fn entries_in_json_are_text_where_they_can_be() {
    for &engine in ENGINES {
        let home = Home::filled(engine);
        let lines = in_json([
            "scan".as_ref(),
            "--json".as_ref(),
            "--state".as_ref(),
            home.state(),
        ]);
        assert_eq!(
            lines,
            [
                json!({ "key": "a", "value": "1", "sequence": 1, "timestamp": "2023-11-14T22:13:20.000000001Z" }),
                json!({ "key": "b.c", "value": "two\n", "sequence": 2, "timestamp": "2023-11-14T22:13:20.000000002Z" }),
                json!({ "key": "empty", "value": "", "sequence": 3, "timestamp": "2023-11-14T22:13:20.000000003Z" }),
                json!({ "key": "raw", "value_base64": "AP8KCQ==", "sequence": 4,
                        "timestamp": "2023-11-14T22:13:20.000000004Z" }),
                json!({ "key_base64": "/wE=", "value": "odd", "sequence": 5,
                        "timestamp": "2023-11-14T22:13:20.000000005Z" }),
            ],
            "{engine}"
        );
    }
}

#[test]
fn scan_takes_a_prefix_and_a_limit_and_escapes_for_people() {
    let home = Home::filled("fjall");
    let state = home.state().to_str().unwrap();
    let scan = |more: &[&str]| {
        let output = alluvium(["scan", "--state", state].iter().chain(more));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        scan(&[]),
        "a\t1\nb.c\ttwo\\n\nempty\t\nraw\t\\u{0}\\xff\\n\\t\n\\xff\\u{1}\todd\n"
    );
    assert_eq!(scan(&["b."]), "b.c\ttwo\\n\n");
    assert_eq!(scan(&["nothing"]), "");
    assert_eq!(scan(&["--limit", "1"]), "a\t1\n");
    assert_eq!(scan(&["--limit", "0"]), "");
}

#[cfg(unix)]
#[test]
fn a_key_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let home = Home::filled("memory");
    let key = OsStr::from_bytes(b"\xff\x01");
    let output = alluvium(["get".as_ref(), key, "--state".as_ref(), home.state()]);
    assert_eq!(output.stdout, b"odd");
    let absent = OsStr::from_bytes(b"\xff\x02");
    let output = alluvium(["get".as_ref(), absent, "--state".as_ref(), home.state()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no key \\xff"));
}

#[test]
fn status_says_what_the_directory_holds() {
    for &engine in ENGINES {
        let home = Home::filled(engine);
        let status = in_json([
            "status".as_ref(),
            "--json".as_ref(),
            "--state".as_ref(),
            home.state(),
        ]);
        let [status] = &status[..] else {
            panic!("one line, not {status:?}")
        };
        assert_eq!(status["engine"], engine);
        assert_eq!(status["table"], "kv");
        assert_eq!(status["bucket"], "routes");
        assert_eq!(status["log"], "KV_routes");
        assert_eq!(status["scope"], json!([">"]));
        assert_eq!(status["cursor"], 5);
        assert_eq!(status["cursor_timestamp"], "2023-11-14T22:13:20.000000005Z");
        assert!(
            status["disk_bytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{status}"
        );
        let output = alluvium(["status".as_ref(), "--state".as_ref(), home.state()]);
        let text = String::from_utf8(output.stdout).unwrap();
        for line in ["bucket   routes", "scope    >", "cursor   5, stored 2023-"] {
            assert!(text.contains(line), "{text}");
        }
    }
}

#[test]
fn a_directory_that_was_only_just_made_has_a_status_and_nothing_to_read() {
    let home = Home::empty();
    let engine = home.open("fjall");
    engine.close().unwrap();
    drop(engine);
    let state = home.state().to_str().unwrap();
    let status = in_json(["status", "--json", "--state", state]);
    assert_eq!(status[0]["cursor"], json!(null));
    assert_eq!(status[0]["table"], json!(null));
    for command in ["get", "scan"] {
        let error = failed(&[command, "--state", state, "k"], 1);
        assert!(error.contains("holds no table yet"), "{error}");
    }
}

#[test]
fn a_program_may_name_its_table_as_it_likes() {
    let home = Home::empty();
    home.fill("fjall", "routes.eu");
    let state = home.state().to_str().unwrap();
    assert_eq!(alluvium(["get", "a", "--state", state]).stdout, b"1");
    home.fill("fjall", "other");
    let error = failed(&["get", "a", "--state", state], 1);
    assert!(
        error.contains("choose with --table one of other, routes.eu"),
        "{error}"
    );
    assert_eq!(
        alluvium(["get", "a", "--state", state, "--table", "other"]).stdout,
        b"1"
    );
    let error = failed(&["get", "a", "--state", state, "--table", "nope"], 1);
    assert!(error.contains("it holds other, routes.eu"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_named_and_not_made() {
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    for command in [
        &["get", "k"][..],
        &["scan"],
        &["status"],
        &["verify", "--bucket", "b"],
    ] {
        let error = failed(&[command, &["--state", state]].concat(), 1);
        assert!(
            error.contains(state) && error.contains("holds no state yet"),
            "{error}"
        );
        assert!(!home.exists(), "{command:?} made something");
    }
}

#[test]
fn a_directory_that_is_not_ours_is_left_alone() {
    let home = Home::empty();
    fs::create_dir(home.state()).unwrap();
    fs::write(home.file("letter.txt"), "dear all").unwrap();
    let state = home.state().to_str().unwrap();
    for command in [
        &["get", "k"][..],
        &["scan"],
        &["status"],
        &["verify", "--bucket", "b"],
        &["replicate", "--bucket", "b"],
    ] {
        let error = failed(&[command, &["--state", state]].concat(), 1);
        assert!(error.contains("not a state directory of Alluvium"), "{error}");
    }
    assert_eq!(home.listing(), ["letter.txt"]);
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let home = Home::empty();
    fs::write(home.state(), "dear all").unwrap();
    let state = home.state().to_str().unwrap();
    for command in [&["scan"][..], &["replicate", "--bucket", "b"]] {
        let error = failed(&[command, &["--state", state]].concat(), 1);
        assert!(error.contains(state), "{error}");
    }
}

#[test]
fn another_engine_is_refused_before_any_server_is_asked() {
    let home = Home::filled("memory");
    let state = home.url("fjall");
    for command in [
        &["replicate", "--bucket", "b"][..],
        &["get", "a"],
        &["scan"],
        &["status"],
        &["verify", "--bucket", "b"],
    ] {
        let error = failed(&[command, &["--state", &state]].concat(), 1);
        assert!(
            error.contains("belongs to the engine memory, not fjall"),
            "{error}"
        );
    }
}

#[test]
fn a_scheme_names_the_engine_that_the_directory_has_anyway() {
    for &engine in ENGINES {
        let home = Home::filled(engine);
        let state = home.url(engine);
        assert_eq!(alluvium(["get", "a", "--state", &state]).stdout, b"1");
        let status = &in_json(["status", "--json", "--state", &state])[0];
        assert_eq!(status["engine"], engine);
        assert_eq!(status["state_dir"].as_str(), home.state().to_str());
    }
}

#[test]
fn what_has_no_tables_says_what_has() {
    for command in [
        &["replicate", "--bucket", "b"][..],
        &["get", "a"],
        &["scan"],
        &["status"],
        &["verify", "--bucket", "b"],
    ] {
        for store in [
            "s3://bucket/prefix",
            "az://container",
            "gs://bucket",
            "file:///srv/state",
        ] {
            let error = failed(&[command, &["--state", store]].concat(), 1);
            assert!(error.contains("use `fjall:DIR`"), "{error}");
        }
    }
    // Nothing is ever left in RAM for a later command.
    let error = failed(&["get", "a", "--state", "memory:"], 1);
    assert!(error.contains("gone when it is closed"), "{error}");
}

#[test]
fn another_format_and_an_unknown_engine_are_told_apart_from_damage() {
    let home = Home::filled("fjall");
    let state = home.state().to_str().unwrap();
    for (record, said) in [
        (
            r#"{"format":99,"engine":"fjall"}"#,
            "has format 99, this Alluvium reads format 1",
        ),
        (
            r#"{"format":1,"engine":"granite"}"#,
            "belongs to the engine granite",
        ),
        (r#"{"format":1,"#, "alluvium.json is damaged"),
        ("", "alluvium.json is damaged"),
    ] {
        fs::write(home.file("alluvium.json"), record).unwrap();
        for command in [&["get", "k"][..], &["status"], &["replicate", "--bucket", "b"]] {
            let error = failed(&[command, &["--state", state]].concat(), 1);
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(fs::read_to_string(home.file("alluvium.json")).unwrap(), record);
    }
}

#[test]
fn a_damaged_file_is_named_and_never_a_panic() {
    for &engine in ENGINES {
        let home = Home::empty();
        home.fill_many(engine, 20_000);
        let damaged = home.damage_largest_file();
        let output = alluvium(["scan".as_ref(), "--state".as_ref(), home.state()]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{engine}, {damaged:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{engine}: {error}");
        assert!(
            error.contains("is damaged: move"),
            "{engine}, {damaged:?}: {error}"
        );
    }
}

#[test]
fn a_directory_that_is_in_use_says_so() {
    for &engine in ENGINES {
        let home = Home::filled(engine);
        let open = home.open(engine);
        let state = home.state().to_str().unwrap();
        for command in [
            &["get", "k"][..],
            &["scan"],
            &["status"],
            &["verify", "--bucket", "b"],
        ] {
            let error = failed(&[command, &["--state", state]].concat(), 1);
            assert!(error.contains("is in use by another process"), "{error}");
        }
        open.close().unwrap();
        drop(open);
        assert_eq!(alluvium(["get", "a", "--state", state]).stdout, b"1");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::empty();
    // More than any pipe holds.
    home.fill_many("fjall", 20_000);
    for more in [&[][..], &["--json"]] {
        let mut scan = std::process::Command::new(env!("CARGO_BIN_EXE_alluvium"))
            .args(["scan".as_ref(), "--state".as_ref(), home.state()])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(scan.stdout.take());
        let output = scan.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}
