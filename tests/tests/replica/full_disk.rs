//! A disk that fills up under a replica: a small tmpfs. One clear error, the state as it was, and on it goes once there
//! is room.

use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::command::{alluvium, stored_cursor};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::state::{open_table, rows};
use alluvium_e2e::{NatsServer, SmallDisk};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_one_clear_error_and_loses_nothing() {
    let server = NatsServer::start().await;
    let bucket = Bucket::create(&server, "b").await;
    let mut random = Random(23);
    // 64 MiB that no compression shrinks, for a disk of 32.
    for key in 0..256 {
        let value: Vec<u8> = (0..32_768).flat_map(|_| random.number().to_le_bytes()).collect();
        bucket
            .context
            .publish(format!("$KV.b.key.{key}"), value.into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    for engine in EngineKind::ALL {
        let disk = SmallDisk::of("32m");
        let state = disk.path().join("state");
        let replicate = || async {
            let (url, state) = (server.url(), engine.url(&state));
            let arguments = [
                "replicate",
                "--until-caught-up",
                "--server",
                &url,
                "--bucket",
                "b",
                "--state",
                &state,
            ];
            alluvium(arguments).await.unwrap()
        };
        let output = replicate().await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{engine}: {said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(errors.len(), 1, "{engine}: {said}");
        assert!(
            errors[0].contains("No space left on device") || errors[0].contains("free disk space"),
            "{engine}: {said}"
        );
        assert!(
            errors[0].contains(&state.display().to_string()),
            "{engine} does not say where: {said}"
        );

        // What was committed before is still there, exactly at its cursor.
        disk.resize("512m");
        let cursor = stored_cursor(&state).await.unwrap().unwrap_or(0);
        let truth = bucket.truth().await;
        {
            let (_open, table) = open_table(&state, engine).await;
            let mut expected = truth.clone();
            expected.retain(|_, (_, sequence)| *sequence <= cursor);
            assert!(
                rows(table.as_ref()) == expected,
                "{engine}: the table is not the log at {cursor}"
            );
        }
        let output = replicate().await;
        assert!(
            output.status.success(),
            "{engine}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let (_open, table) = open_table(&state, engine).await;
        assert!(
            rows(table.as_ref()) == truth,
            "{engine}: the table differs from the bucket"
        );
    }
}
