//! What is stored comes back, and nothing else is taken for it.

use serde_json::{Value, json};

use super::*;
use crate::artifact::SegmentInfo;
use crate::checksum::CHECKSUM;
use crate::{Digest, LogIdentity, Timestamp};

fn segment(offset: u64, keys: (&str, &str), sequences: (u64, u64)) -> SegmentRef {
    SegmentRef {
        offset,
        info: SegmentInfo {
            sha256: Digest::from_bytes([7; 32]),
            length: 1_000,
            rows: 10,
            deletes: 0,
            first_key: keys.0.to_owned().into(),
            last_key: keys.1.to_owned().into(),
            first_sequence: Sequence::new(sequences.0),
            last_sequence: Sequence::new(sequences.1),
        },
    }
}

fn pack(number: u8) -> PackId {
    PackId::new(1_700_000_000_000, [number; 10])
}

fn draft(runs: Vec<Run>, sequence: u64) -> Draft {
    let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(5));
    Draft {
        table: "routes".to_owned(),
        cursor: Cursor::start_of(log).at(Sequence::new(sequence), Timestamp::from_nanos(99)),
        scope: Scope::all(),
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        after: runs.last().map_or(Sequence::ZERO, |run| run.through),
        runs,
        level: 0,
        parent: None,
        created_ms: 1_700_000_000_000,
        exporter: "node-1".to_owned(),
    }
}

/// A base of two segments and a delta of one.
fn manifest() -> ArtifactManifest {
    let base = vec![
        segment(512, ("a", "m\u{1}%"), (3, 90)),
        segment(2_048, ("n", "z"), (1, 100)),
    ];
    let base = draft(Vec::new(), 100).complete(Some(pack(1)), base).unwrap();
    let delta = vec![segment(512, ("b", "b"), (101, 120))];
    draft(base.runs, 120).complete(Some(pack(2)), delta).unwrap()
}

/// Without its checksum, so that it can be changed.
fn loose(manifest: &ArtifactManifest) -> Value {
    let mut json: Value = serde_json::from_slice(&manifest.to_json().unwrap()).unwrap();
    assert!(json.as_object_mut().unwrap().remove(CHECKSUM).is_some());
    json
}

fn read(json: &Value) -> Result<ArtifactManifest, TransportError> {
    ArtifactManifest::from_json("here", json.to_string().as_bytes())
}

#[test]
fn a_manifest_comes_back_as_it_was() {
    let manifest = manifest();
    assert_eq!((manifest.rows(), manifest.bytes()), (30, 3_000));
    assert_eq!(manifest.packs(), [pack(1), pack(2)]);
    assert_eq!(manifest.segments().count(), 3);
    let json = manifest.to_json().unwrap();
    assert_eq!(ArtifactManifest::from_json("here", &json).unwrap(), manifest);
    assert_eq!(read(&loose(&manifest)).unwrap(), manifest);
}

#[test]
fn what_does_not_tell_of_evictions_may_have_seen_some() {
    let mut manifest = manifest();
    assert!(!manifest.has_evicted);
    let mut json = loose(&manifest);
    assert_eq!(json["has_evicted"], json!(false));
    assert!(json.as_object_mut().unwrap().remove("has_evicted").is_some());
    assert!(read(&json).unwrap().has_evicted);
    // Written again, it is the text that it was.
    manifest.has_evicted = true;
    assert_eq!(loose(&manifest), json);
}

#[test]
fn no_byte_of_a_manifest_changes_unseen() {
    let manifest = manifest();
    let json = manifest.to_json().unwrap();
    for place in 0..json.len() {
        let mut damaged = json.clone();
        damaged[place] ^= 1;
        // Where it is the name of the checksum, everything else is as it was.
        if let Ok(read) = ArtifactManifest::from_json("here", &damaged) {
            assert_eq!(read, manifest, "byte {place}");
        }
    }
    for length in 0..json.len() {
        assert!(ArtifactManifest::from_json("here", &json[..length]).is_err());
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let changes: &[(&str, Value)] = &[
        ("/rows", json!(31)),
        ("/bytes", json!(1)),
        ("/runs", json!([])),
        ("/cursor/sequence", json!(121)),
        ("/runs/0/after", json!(1)),
        ("/runs/0/through", json!(99)),
        ("/runs/0/pack", Value::Null),
        ("/runs/0/pack", json!("../../elsewhere")),
        ("/runs/1/after", json!(0)),
        ("/runs/1/after", json!(120)),
        ("/runs/0/segments/0/deletes", json!(1)),
        ("/runs/1/segments/0/deletes", json!(11)),
        ("/runs/0/segments/0/rows", json!(0)),
        ("/runs/0/segments/0/rows", json!(u64::MAX)),
        ("/runs/0/segments/0/length", json!(0)),
        ("/runs/0/segments/0/length", json!(MAX_SEGMENT_BYTES + 1)),
        ("/runs/0/segments/0/offset", json!(u64::MAX)),
        ("/runs/0/segments/0/offset", json!(2_000)),
        ("/runs/0/segments/0/last_key", json!("n")),
        ("/runs/0/segments/0/last_key", json!("%zz")),
        ("/runs/0/segments/0/last_key", json!("%6d")),
        ("/runs/0/segments/0/last_key", Value::Null),
        ("/runs/0/segments/0/first_key", json!("n")),
        ("/runs/0/segments/0/sha256", json!("abc")),
        ("/runs/0/segments/1/first_sequence", json!(101)),
        ("/runs/0/segments/1/last_sequence", json!(101)),
        ("/runs/1/segments/0/first_sequence", json!(100)),
        ("/runs/1/segments/0/last_sequence", json!(121)),
        ("/format", json!("one")),
        ("/mode", json!("other")),
        ("/scope", json!(["a..b"])),
    ];
    for (place, value) in changes {
        let mut json = loose(&manifest());
        *json.pointer_mut(place).unwrap() = value.clone();
        let error = read(&json).expect_err(place);
        assert!(
            matches!(error, TransportError::Corrupt { .. }),
            "{place}: {error:?}"
        );
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut json = loose(&manifest());
    json["format"] = json!(2);
    json["runs"] = json!("whatever that will be");
    assert!(matches!(
        read(&json).unwrap_err(),
        TransportError::Newer {
            found: 2,
            supported: 1,
            ..
        }
    ));
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read_and_before_it_is_written() {
    let huge = vec![b' '; usize::try_from(MAX_ARTIFACT_MANIFEST_BYTES).unwrap() + 1];
    let error = ArtifactManifest::from_json("here", &huge).unwrap_err();
    assert!(matches!(error, TransportError::Corrupt { .. }), "{error:?}");
    let mut long = draft(Vec::new(), 100).complete(None, Vec::new()).unwrap();
    long.exporter = "x".repeat(1 << 20);
    assert!(matches!(long.to_json().unwrap_err(), TransportError::Invalid(_)));
}

#[test]
fn three_thousand_segments_have_room() {
    let key = |number: u64| format!("routes.region-{number:08}.service");
    let segments = (0..3_000)
        .map(|number| {
            let mut segment = segment(number * 16_777_216, ("", ""), (1_000_000_000, 2_000_000_000));
            (segment.info.length, segment.info.rows) = (16_700_000, 65_536);
            segment.info.first_key = key(2 * number).into();
            segment.info.last_key = key(2 * number + 1).into();
            segment
        })
        .collect();
    let manifest = draft(Vec::new(), 2_000_000_000).complete(Some(pack(1)), segments);
    assert!(manifest.unwrap().to_json().is_ok());
}

#[test]
fn where_nothing_changed_the_last_run_reaches_further() {
    let before = manifest();
    let after = draft(before.runs.clone(), 130).complete(Some(pack(3)), Vec::new());
    let after = after.unwrap();
    assert_eq!(after.runs.len(), 2);
    assert_eq!(after.runs[1].through, Sequence::new(130));
    assert_eq!(after.packs(), before.packs());
    // An empty table is an artifact too.
    let empty = draft(Vec::new(), 0).complete(None, Vec::new()).unwrap();
    assert_eq!((empty.runs.len(), empty.packs().len()), (1, 0));
    assert_eq!(
        ArtifactManifest::from_json("here", &empty.to_json().unwrap()).unwrap(),
        empty
    );
}
