//! `alluvium tail --exec`: batches to a command, whose exit code decides.

use std::fs;
use std::path::Path;

use alluvium_e2e::nats_server::signal;
use alluvium_e2e::wait;
use serde_json::Value;

use crate::desk::{Desk, PATIENCE, said};

/// The sequences of the lines in a file.
fn sequences(file: &Path) -> Vec<u64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let sequence = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["sequence"].as_u64();
    text.lines()
        .map(|line| sequence(line).expect("a sequence"))
        .collect()
}

/// Waits until a file has something in it.
async fn written(file: &Path) -> String {
    wait::until(PATIENCE, &format!("{} is written", file.display()), || {
        fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'))
    })
    .await;
    fs::read_to_string(file).expect("it is there").trim().to_owned()
}

fn is_running(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// What fails is given again, whole and in order, and what is done is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_fails_on_is_given_again() {
    let desk = Desk::new().await;
    desk.stream("AGAIN", 10).await;
    // Fails on the second batch, twice.
    let command = "cat >> out; [ $ALLUVIUM_FIRST -ne 5 ] || [ $ALLUVIUM_ATTEMPT -ge 3 ]";
    let tail = desk.tail(&[
        "AGAIN",
        "--cursor",
        "mailer",
        "--state",
        &desk.state(),
        "--batch",
        "4",
        "--exec",
        command,
    ]);
    desk.wait_for_cursor("mailer", 10).await;
    let told = tail.finish().await;
    assert_eq!(
        sequences(&desk.path("out")),
        [1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 9, 10]
    );
    assert_eq!(
        told.matches("5 to 8: the command ended with exit status: 1; again in")
            .count(),
        2,
        "{told}"
    );
    assert!(told.contains("stopped at 10: 10 messages in 3 batches"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_too_often_ends_it_at_the_last_commit() {
    let desk = Desk::new().await;
    desk.stream("POISON", 7).await;
    let command = "cat >> out; [ $ALLUVIUM_FIRST -ne 5 ] || exit 3";
    let state = desk.state();
    let arguments = [
        "tail",
        "POISON",
        "--cursor",
        "mailer",
        "--state",
        &state,
        "--batch",
        "1",
        "--max-restarts",
        "2",
        "--exec",
        command,
    ];
    let told = desk.fails(&arguments, 1).await;
    let error = told.lines().last().expect("a line");
    assert!(
        error.starts_with("error: the command failed on 5 to 5 of POISON, and was run again 2 times before"),
        "{error}"
    );
    assert!(error.contains("what comes after 4 is not done"), "{error}");
    assert!(error.ends_with("exit status: 3"), "{error}");
    assert_eq!(sequences(&desk.path("out")), [1, 2, 3, 4, 5, 5, 5]);
    assert_eq!(desk.stored("mailer").await, 4);
    let told = desk.fails(&[&arguments[..], &["--json"]].concat(), 1).await;
    let error: Value = serde_json::from_str(told.lines().last().expect("a line")).unwrap();
    assert_eq!(error["kind"], "unavailable", "{error}");

    for command in ["kill -9 $$", "/nowhere/to/be/found"] {
        let arguments = ["tail", "POISON", "--max-restarts", "0", "--exec", command];
        let told = desk.fails(&arguments, 1).await;
        assert!(
            told.contains("signal: 9") || told.contains("exit status: 127"),
            "{told}"
        );
    }
}

/// Killed while its command is at work: everything is given at least once, in order from where it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_sigkill_everything_is_given_to_the_command() {
    let desk = Desk::new().await;
    desk.stream("EXECKILL", 400).await;
    let state = desk.state();
    let arguments = [
        "EXECKILL",
        "--cursor",
        "mailer",
        "--state",
        &state,
        "--batch",
        "10",
        "--exec",
        "cat >> out; echo x >> runs",
    ];
    let runs = || fs::read_to_string(desk.path("runs")).unwrap_or_default().len();
    for _ in 0..3 {
        let (tail, before) = (desk.tail(&arguments), runs());
        wait::until(PATIENCE, "the command has run", || runs() > before + 4).await;
        tail.signal("KILL");
        let _ = tail.ended().await;
    }
    let tail = desk.tail(&arguments);
    desk.wait_for_cursor("mailer", 400).await;
    tail.finish().await;
    let given = sequences(&desk.path("out"));
    let mut reached = 0;
    let mut again = 0;
    for pair in given.windows(2) {
        reached = reached.max(pair[0]);
        if pair[1] != pair[0] + 1 {
            again += 1;
            assert!(pair[1] <= reached + 1, "{} was left out", reached + 1);
            assert!(reached - pair[1] < 20, "{} comes again after {reached}", pair[1]);
        }
    }
    assert!(again <= 3, "{again}");
    assert_eq!((given[0], given[given.len() - 1]), (1, 400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_batch_in_hand_is_finished() {
    let desk = Desk::new().await;
    desk.stream("HAND", 3).await;
    let command = "echo x > started; while [ ! -e go ]; do sleep 0.02; done; cat > out";
    for name in ["INT", "TERM"] {
        for file in ["started", "go", "out"] {
            let _ = fs::remove_file(desk.path(file));
        }
        let tail = desk.tail(&[
            "HAND",
            "--cursor",
            name,
            "--state",
            &desk.state(),
            "--exec",
            command,
        ]);
        written(&desk.path("started")).await;
        tail.signal(name);
        // It ends only after this.
        fs::write(desk.path("go"), "").unwrap();
        let (output, _) = tail.ended().await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(sequences(&desk.path("out")), [1, 2, 3]);
        assert_eq!(desk.stored(name).await, 3);
    }
}

/// What does not end in time is killed, with what it has started, and is not done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_end_is_killed() {
    let desk = Desk::new().await;
    desk.stream("ENDLESS", 3).await;
    let command = "sh -c 'echo $$ > inner; sleep 600' & echo $$ > outer; wait";
    let state = desk.state();
    let base = [
        "ENDLESS", "--cursor", "mailer", "--state", &state, "--exec", command,
    ];
    let by_signal = async {
        let tail = desk.tail(&[&base[..], &["--deadline", "300ms"]].concat());
        let pids = [
            written(&desk.path("inner")).await,
            written(&desk.path("outer")).await,
        ];
        tail.signal("TERM");
        let (output, _) = tail.ended().await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("was not done within 300ms"), "{told}");
        pids
    };
    let pids = by_signal.await;
    wait::until(PATIENCE, "both are killed", || {
        !pids.iter().any(|pid| is_running(pid))
    })
    .await;
    assert_eq!(desk.stored("mailer").await, 0);

    for file in ["inner", "outer"] {
        fs::remove_file(desk.path(file)).unwrap();
    }
    let timed = ["--exec-timeout", "1s", "--max-restarts", "0"];
    let told = desk.fails(&[&["tail"], &base[..], &timed].concat(), 1).await;
    assert!(told.contains("the handler was cancelled after 1s"), "{told}");
    let pids = [
        written(&desk.path("inner")).await,
        written(&desk.path("outer")).await,
    ];
    wait::until(PATIENCE, "both are killed", || {
        !pids.iter().any(|pid| is_running(pid))
    })
    .await;
    assert_eq!(desk.stored("mailer").await, 0);
}

/// Its exit code counts, whatever it has read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_need_not_read() {
    let desk = Desk::new().await;
    desk.stream("UNREAD", 0).await;
    for _ in 0..20 {
        let large = vec![b'x'; 100 << 10];
        desk.context
            .publish("unread.x", large.into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    // What it leaves behind holds its input open and does not read either.
    let command = "sleep 600 > sleeps 2>&1 & echo $! >> left; [ $ALLUVIUM_LAST -gt 0 ]";
    let tail = desk.tail(&[
        "UNREAD",
        "--cursor",
        "a",
        "--state",
        &desk.state(),
        "--exec",
        command,
    ]);
    desk.wait_for_cursor("a", 20).await;
    tail.finish().await;
    for left in written(&desk.path("left")).await.lines() {
        assert!(
            is_running(left),
            "what a command that ended well leaves behind is left alone"
        );
        signal(left.parse().unwrap(), "KILL");
    }
}
