//! `alluvium artifacts`: what there is, whether it is whole, and what a prune removes.

use alluvium::artifact::{ArtifactManifest, ManifestId};
use alluvium_e2e::{Files, S3Server, StoreServer};
use serde_json::{Value, json};

use crate::desk::{Desk, KEY};

/// A base of two dozen rows, and two deltas on it.
async fn filled<S: StoreServer>(server: S) -> (Desk<S>, [ArtifactManifest; 3], Vec<ManifestId>) {
    let desk = Desk::new(server).await;
    let artifacts = [
        desk.publish(0..24).await,
        desk.publish(3..6).await,
        desk.publish(40..42).await,
    ];
    let history = desk
        .transport
        .history(&Desk::<S>::key())
        .await
        .expect("a history");
    assert_eq!(history.len(), 3);
    (desk, artifacts, history)
}

async fn are_listed_shown_verified_and_pruned<S: StoreServer>(server: S) {
    let (desk, artifacts, history) = filled(server).await;
    let keys = desk.json(&["artifacts", "ls"], 0).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["key"], KEY);
    assert_eq!(keys[0]["sequence"], 29);

    let lines = desk.json(&["artifacts", "ls", "--key", KEY], 0).await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["id"], &line["newest"], &line["deltas"], &line["rows"]))
        .collect();
    let ids: Vec<Value> = history.iter().map(|id| json!(id)).collect();
    let [no, yes] = [json!(false), json!(true)];
    let numbers = [0, 1, 2, 24, 27, 29].map(|number: u64| json!(number));
    assert_eq!(
        told,
        [
            (&ids[0], &no, &numbers[0], &numbers[3]),
            (&ids[1], &no, &numbers[1], &numbers[4]),
            (&ids[2], &yes, &numbers[2], &numbers[5]),
        ]
    );
    assert_eq!(lines[1]["bytes"], artifacts[1].bytes());
    assert_eq!(lines[1]["exporter"], "node-1");

    let newest = desk.json(&["artifacts", "show", "--key", KEY], 0).await;
    assert_eq!(newest[0]["manifest"]["cursor"]["sequence"], 29);
    assert_eq!(newest[0]["newest"], true);
    let past = ["artifacts", "show", "--key", KEY, "--at", "28"];
    let past = desk.json(&past, 0).await;
    assert_eq!(past[0]["id"], ids[1]);
    assert_eq!(past[0]["manifest"]["runs"][1]["after"], 24);

    let whole = desk.json(&["artifacts", "verify"], 0).await;
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert_eq!(
        (&whole[0]["whole"], &whole[0]["artifacts"], &whole[0]["packs"]),
        (&yes, &json!(3), &json!(3))
    );
    assert_eq!(whole[0]["bytes"], artifacts[2].bytes());

    let prune = ["artifacts", "prune", "--key", KEY, "--keep", "1", "--grace", "0s"];
    let dry = [&prune[..], &["--dry-run"]].concat();
    let told = desk.json(&dry, 0).await;
    assert_eq!(told[0]["artifacts"], json!(history[..2]));
    assert_eq!(desk.json(&["artifacts", "ls", "--key", KEY], 0).await.len(), 3);
    let pruned = desk.json(&prune, 0).await;
    assert_eq!(pruned[0]["bytes"], told[0]["bytes"]);
    assert_eq!(pruned[0]["dry_run"], false);
    let left = desk.json(&["artifacts", "ls", "--key", KEY], 0).await;
    assert_eq!(left.len(), 1);
    desk.json(&["artifacts", "verify", "--key", KEY], 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_in_files_are_listed_shown_verified_and_pruned() {
    are_listed_shown_verified_and_pruned(Files::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_on_s3_are_listed_shown_verified_and_pruned() {
    are_listed_shown_verified_and_pruned(S3Server::start()).await;
}

/// Verifies after something was damaged. Gives what is told, which is at least one thing.
async fn damage_of(desk: &Desk<Files>) -> Vec<Value> {
    let mut lines = desk.json(&["artifacts", "verify", "--key", KEY], 1).await;
    let end = lines.pop().expect("a last line");
    assert_eq!((&end["event"], &end["whole"]), (&json!("end"), &json!(false)));
    let damage: Vec<Value> = lines
        .into_iter()
        .filter(|line| line["event"] == "damage")
        .collect();
    assert!(!damage.is_empty());
    damage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_is_found_and_so_is_what_comes_after_it() {
    let (desk, artifacts, history) = filled(Files::start()).await;
    let key = Desk::<Files>::key();
    let packs: Vec<_> = artifacts[2].runs.iter().filter_map(|run| run.pack).collect();
    let all = json!(history);

    // A bit of a segment.
    let base = key.pack(packs[0]);
    let whole = desk.stored(&base).await;
    let segment = &artifacts[0].runs[0].segments[2];
    let mut bytes = whole.clone();
    let at = usize::try_from(segment.offset + segment.info.length / 2).expect("it is small");
    bytes[at] ^= 1;
    desk.damage(&base, Some(bytes)).await;
    let found = damage_of(&desk).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["needed_by"], all);
    let path = found[0]["path"].as_str().expect("a path");
    assert!(path.contains(&segment.info.sha256.to_string()), "{path}");

    // A second one, in another pack: the first does not hide it.
    let delta = key.pack(packs[1]);
    let kept = desk.stored(&delta).await;
    desk.damage(&delta, None).await;
    let found = damage_of(&desk).await;
    assert!(found.len() > 1, "{found:?}");
    let named = |part: &str| {
        let paths = found.iter().filter_map(|line| line["path"].as_str());
        paths.filter(|path| path.contains(part)).count()
    };
    assert!(named(&base) == 1 && named(&delta) > 0, "{found:?}");
    let lost = found
        .iter()
        .find(|line| line["path"].as_str().is_some_and(|path| path.contains(&delta)));
    assert_eq!(lost.expect("it is named")["needed_by"], json!(history[1..]));
    desk.damage(&delta, Some(kept)).await;

    // A pack that ends too soon.
    desk.damage(&base, Some(whole[..whole.len() / 2].to_vec())).await;
    assert!(!damage_of(&desk).await.is_empty());
    desk.damage(&base, Some(whole.clone())).await;
    desk.json(&["artifacts", "verify"], 0).await;
    let kept_base = whole;

    // A tar that is not ours: its first header says another mode, and so has another checksum than it tells.
    let mut bytes = kept_base.clone();
    bytes[100] ^= 1;
    desk.damage(&base, Some(bytes)).await;
    let found = damage_of(&desk).await;
    assert_eq!(found[0]["path"], json!(base), "{found:?}");

    // One that goes on after its end.
    let mut bytes = kept_base.clone();
    bytes.extend_from_slice(&[0; 512]);
    desk.damage(&base, Some(bytes)).await;
    let found = damage_of(&desk).await;
    assert_eq!((found.len(), &found[0]["path"]), (1, &json!(base)), "{found:?}");
    desk.damage(&base, Some(kept_base)).await;
    desk.json(&["artifacts", "verify"], 0).await;

    // A manifest of the history.
    let past = key.manifest(history[0]);
    let manifest = desk.stored(&past).await;
    desk.damage(&past, Some(b"{}".to_vec())).await;
    let found = damage_of(&desk).await;
    assert_eq!(
        (&found[0]["path"], &found[0]["needed_by"]),
        (&json!(past), &json!([history[0]]))
    );
    let listed = desk.json(&["artifacts", "ls", "--key", KEY], 1).await;
    assert!(
        listed[0]["damage"].is_string() && listed[1]["damage"].is_null(),
        "{listed:?}"
    );
    desk.damage(&past, Some(manifest)).await;

    // The pointer: the history can be read all the same.
    desk.damage(&key.pointer(), Some(b"nonsense".to_vec())).await;
    let found = damage_of(&desk).await;
    assert_eq!(
        (&found[0]["path"], &found[0]["needed_by"]),
        (&json!(key.pointer()), &json!([]))
    );
    let keys = desk.json(&["artifacts", "ls"], 1).await;
    assert!(keys[0]["damage"].is_string(), "{keys:?}");
    let error = desk.error(&["artifacts", "show", "--key", KEY]).await;
    assert_eq!(error["kind"], "corrupt");
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|error| error.contains("--at")),
        "{error}"
    );
    desk.json(&["artifacts", "show", "--key", KEY, "--at", "24"], 0)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_not_what_is_told_of_it_is_found() {
    let desk = Desk::new(Files::start()).await;
    desk.publish_a_lie().await;
    let found = damage_of(&desk).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let why = found[0]["reason"].as_str().expect("a reason");
    assert!(why.contains("1 rows") && why.contains("tells of 2 rows"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_that_nothing_needs_is_told_and_is_no_damage() {
    let (desk, artifacts, _) = filled(Files::start()).await;
    let key = Desk::<Files>::key();
    let pack = artifacts[0].runs[0].pack.expect("a pack");
    let bytes = desk.stored(&key.pack(pack)).await;
    let stray = alluvium::artifact::PackId::new(1_700_000_000_000, [7; 10]);
    let length = bytes.len();
    desk.damage(&key.pack(stray), Some(bytes)).await;
    let lines = desk.json(&["artifacts", "verify"], 0).await;
    assert_eq!(
        (&lines[0]["event"], &lines[0]["path"]),
        (&json!("garbage"), &json!(key.pack(stray)))
    );
    assert_eq!(lines[1]["garbage_bytes"], length);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said() {
    let (desk, _, _) = filled(Files::start()).await;
    for arguments in [
        &["artifacts", "ls", "--key", "other"][..],
        &["artifacts", "show", "--key", "other"],
        &["artifacts", "show", "--key", KEY, "--at", "3"],
        &["artifacts", "verify", "--key", "other"],
        &["artifacts", "verify", "--key", KEY, "--at", "3"],
        &["artifacts", "prune", "--key", "other"],
    ] {
        let error = desk.error(arguments).await;
        assert_eq!(error["kind"], "not_found", "{arguments:?}: {error}");
        let text = error["error"].as_str().expect("text");
        assert!(text.contains("alluvium artifacts ls"), "{text}");
    }
    let wrong = desk
        .run(&["artifacts", "ls", "--store", "fjall:./x", "--json"])
        .await;
    let error = crate::desk::error_of(&wrong);
    let text = error["error"].as_str().expect("text");
    assert!(
        text.contains("keeps no artifacts: they are in `file:///DIR`"),
        "{text}"
    );
    let nowhere = desk.path("nowhere");
    let url = format!("file://{}", nowhere.display());
    let wrong = desk.run(&["artifacts", "ls", "--store", &url, "--json"]).await;
    assert_eq!(crate::desk::error_of(&wrong)["kind"], "not_found");
    assert!(!nowhere.exists());
}
