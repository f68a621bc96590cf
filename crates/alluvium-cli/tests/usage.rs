//! Wrong usage, help, completions, and a server that cannot be reached. No server is needed.

mod common;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::{Home, alluvium, command, failed, one_line};

#[test]
fn wrong_usage_is_exit_code_2() {
    for wrong in [
        &["fly"][..],
        &["get", "k"],
        &["get", "--state", "d"],
        &["replicate", "--state", "d"],
        &["replicate", "--bucket", "b", "--state", "granite:d"],
        &["replicate", "--bucket", "b", "--state", "fjall:"],
        &["get", "k", "--state", ""],
        &["scan", "--state", "s3:bucket"],
        &[
            "replicate",
            "--bucket",
            "b",
            "--state",
            "d",
            "--durability",
            "maybe",
        ],
        &["replicate", "--bucket", "b", "--state", "d", "--scope", "a..b"],
        &["replicate", "--bucket", "b", "--state", "d", "--timeout", "soon"],
        &[
            "replicate",
            "--bucket",
            "b",
            "--state",
            "d",
            "--js-domain",
            "a",
            "--js-api-prefix",
            "b",
        ],
        &["replicate", "--bucket", "b", "--state", "d", "--mode", "copy"],
        &[
            "replicate",
            "--bucket",
            "b",
            "--state",
            "d",
            "--bounds-every",
            "50ms",
        ],
        &["scan", "--state", "d", "--limit", "-1"],
        &["completions", "tcsh"],
    ] {
        let output = alluvium(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}: {output:?}");
    }
}

#[test]
fn a_wrong_url_is_wrong_usage_too_and_its_password_is_not_shown() {
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    let error = failed(
        &[
            "replicate",
            "--bucket",
            "b",
            "--state",
            state,
            "--server",
            "nats://me:hunter2@host:port",
        ],
        2,
    );
    assert!(
        error.contains("host:port") && !error.contains("hunter2"),
        "{error}"
    );
    assert!(!home.exists());
}

#[test]
fn a_state_that_cannot_be_is_told_what_can_and_its_password_is_not_shown() {
    for (state, part) in [
        (
            "redis://:hunter2@localhost",
            "there is no `redis:`: use `memory:`",
        ),
        ("s3://me:hunter2@bucket", "takes no login"),
        ("", "it is empty"),
    ] {
        let error = failed(&["status", "--state", state], 2);
        assert!(error.contains(part) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn help_shows_examples_and_no_values_of_variables() {
    for subcommand in ["replicate", "get", "scan", "status", "verify", "completions"] {
        let output = command()
            .args([subcommand, "--help"])
            .env("NATS_PASSWORD", "hunter2")
            .env("NATS_URL", "nats://me:hunter2@h")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Example"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = alluvium(["completions", shell]);
        assert!(output.status.success());
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("until-caught-up"),
            "{shell}"
        );
    }
}

#[test]
fn help_into_a_closed_pipe_does_not_panic() {
    for arguments in [&["--help"][..], &["completions", "bash"]] {
        let mut process = command()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(process.stdout.take());
        let output = process.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        assert!(output.status.success(), "{output:?}");
    }
}

/// A port that nothing listens on any more.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_server_that_is_not_there_is_named_at_once_and_leaves_nothing_behind() {
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    let url = format!("nats://127.0.0.1:{}", free_port());
    let begin = Instant::now();
    let error = failed(
        &["replicate", "--bucket", "b", "--state", state, "--server", &url],
        1,
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(
        error.starts_with(&format!("error: cannot connect to {url}: ")),
        "{error}"
    );
    assert!(
        error.contains("Connection refused") && error.contains("--server"),
        "{error}"
    );
    assert!(!home.exists());
}

#[test]
fn every_server_that_was_tried_is_named_and_no_password_with_it() {
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    let (first, second) = (free_port(), free_port());
    let output = command()
        .args(["replicate", "--bucket", "b", "--state", state, "-vvv"])
        .env("RUST_LOG", "trace")
        .env(
            "NATS_URL",
            format!("nats://me:hunter2@127.0.0.1:{first},127.0.0.1:{second}"),
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let error = text.lines().last().unwrap();
    assert!(
        error.contains(&format!(":{first},nats://127.0.0.1:{second}")),
        "{error}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let begin = Instant::now();
    let error = failed(
        &[
            "replicate",
            "--bucket",
            "b",
            "--state",
            state,
            "--server",
            &url,
            "--timeout",
            "300ms",
        ],
        1,
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(
        error.contains(&url) && error.contains("no answer within 0.3 s"),
        "{error}"
    );
    assert!(!home.exists());
}

#[test]
fn something_else_that_listens_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    let error = failed(
        &["replicate", "--bucket", "b", "--state", state, "--server", &url],
        1,
    );
    assert!(error.contains(&url), "{error}");
    server.join().unwrap();
}

#[test]
fn errors_are_objects_with_json() {
    let url = format!("nats://127.0.0.1:{}", free_port());
    let line = failed(
        &[
            "--json",
            "replicate",
            "--bucket",
            "b",
            "--state",
            "/nonexistent/state",
            "--server",
            &url,
        ],
        1,
    );
    let error: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(error["kind"], "unavailable");
    assert!(error["error"].as_str().unwrap().contains(&url), "{error}");
}

#[test]
fn a_context_that_is_missing_or_garbage_is_named() {
    let config = tempfile::tempdir().unwrap();
    let folder = config.path().join("nats/context");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("edge.json"), r#"{"url":"nats://127.0.0.1:1"}"#).unwrap();
    fs::write(folder.join("torn.json"), r#"{"password":"hunter2"#).unwrap();
    let home = Home::empty();
    let run = |more: &[&str]| {
        command()
            .args(["replicate", "--bucket", "b", "--state"])
            .arg(home.state())
            .args(more)
            .env("XDG_CONFIG_HOME", config.path())
            .output()
            .unwrap()
    };
    let error = one_line(&run(&["--context", "nope"]), 1);
    assert_eq!(
        error,
        "error: the context nope does not exist: use one of edge, torn"
    );
    let error = one_line(&run(&["--context", "torn"]), 1);
    assert!(
        error.contains("torn.json") && !error.contains("hunter2"),
        "{error}"
    );
    // The URL comes from the context, and a selected context needs no flag.
    for selected in [&["--context", "edge"][..], &[]] {
        fs::write(config.path().join("nats/context.txt"), "edge\n").unwrap();
        let error = one_line(&run(selected), 1);
        assert!(error.contains("nats://127.0.0.1:1"), "{error}");
    }
    assert!(!home.exists());
}

#[test]
fn a_creds_file_that_is_none_is_named_and_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.creds");
    let home = Home::empty();
    let state = home.state().to_str().unwrap();
    for content in ["hunter2", "-----BEGIN NATS USER JWT-----\nhunter2\n"] {
        fs::write(&file, content).unwrap();
        let error = failed(
            &[
                "replicate",
                "--bucket",
                "b",
                "--state",
                state,
                "--creds",
                file.to_str().unwrap(),
            ],
            1,
        );
        assert!(
            error.contains("user.creds is not a credentials file") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
