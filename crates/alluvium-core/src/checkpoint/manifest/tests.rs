//! What is stored comes back, and nothing else is taken for it.

use super::*;

fn id(millis: u64) -> CheckpointId {
    CheckpointId::after(None, millis, [7; 10])
}

fn file(partition: u32, kind: FileKind) -> PartitionFile {
    PartitionFile::new(id(2), "count", partition, kind, 10, Digest::from_bytes([1; 32])).unwrap()
}

fn manifest() -> Manifest {
    Manifest::new(id(2), Epoch::new(7).unwrap(), 1_700_000_000_000)
        .parent(id(1))
        .watermark(-5)
        .operator(
            "count",
            vec![file(1, FileKind::Delta), file(0, FileKind::Snapshot)],
        )
        .source(
            "orders",
            SourceState::new("queue", BTreeMap::from([("at".to_owned(), "9".to_owned())])),
        )
}

/// Without its checksum, so that it can be changed.
fn json() -> Value {
    without_checksum(&manifest().to_json().unwrap())
}

fn without_checksum(json: &[u8]) -> Value {
    let mut json: Value = serde_json::from_slice(json).unwrap();
    assert!(json.as_object_mut().unwrap().remove(CHECKSUM).is_some());
    json
}

fn read(json: &Value) -> Result<Manifest, CheckpointError> {
    Manifest::from_json(id(2), json.to_string().as_bytes())
}

#[test]
fn a_manifest_comes_back_as_it_was() {
    let manifest = manifest();
    assert_eq!(manifest.total_size(), 20);
    assert!(!manifest.is_full());
    assert_eq!(manifest.operators["count"].partitions[0].partition, 0);
    let json = manifest.to_json().unwrap();
    assert_eq!(Manifest::from_json(id(2), &json).unwrap(), manifest);
}

#[test]
fn what_this_version_does_not_know_survives() {
    let mut written = json();
    written["later"] = 1.into();
    written["operators"]["count"]["later"] = 2.into();
    written["operators"]["count"]["partitions"][0]["later"] = 3.into();
    written["sources"]["orders"]["later"] = serde_json::json!({ "deep": [4] });
    let again = read(&written).unwrap().to_json().unwrap();
    assert_eq!(without_checksum(&again), written);
}

#[test]
fn a_newer_version_is_told_before_anything_else() {
    let newer = serde_json::json!({ "version": 3, "all": "different" });
    let error = read(&newer).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Newer { found: 3, .. }),
        "{error}"
    );
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert!(error.to_string().contains("newer Alluvium"), "{error}");
}

#[test]
fn no_byte_of_it_changes_unseen() {
    let mut whole = manifest().operator("\"checksum\": \"00000000\"", Vec::new());
    whole.unknown.insert("zzz".to_owned(), CHECKSUM.into());
    let json = whole.to_json().unwrap();
    assert_eq!(Manifest::from_json(id(2), &json).unwrap(), whole);
    let text = String::from_utf8(json.clone()).unwrap();
    let name = text.find(CHECKSUM).unwrap();
    for at in 0..json.len() {
        for bit in 0..8 {
            let mut damaged = json.clone();
            damaged[at] ^= 1 << bit;
            match Manifest::from_json(id(2), &damaged) {
                Err(CheckpointError::Corrupt { .. }) => {}
                // It is a field that is not known then, and nothing else is another.
                Ok(mut read) if (name..name + CHECKSUM.len()).contains(&at) => {
                    assert_eq!(read.unknown.len(), 2);
                    read.unknown = whole.unknown.clone();
                    assert_eq!(read, whole);
                }
                other => panic!("bit {bit} of byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn damage_is_not_taken_for_a_newer_version() {
    let json = String::from_utf8(manifest().to_json().unwrap()).unwrap();
    let newer = json.replace("\"version\": 2", "\"version\": 3");
    let error = Manifest::from_json(id(2), newer.as_bytes()).unwrap_err();
    assert!(matches!(error, CheckpointError::Corrupt { .. }), "{error}");
}

#[test]
fn what_a_prune_left_is_told() {
    let error = Manifest::from_json(id(2), &Manifest::abandoned(id(2))).unwrap_err();
    assert!(matches!(error, CheckpointError::Abandoned { .. }), "{error}");
}

#[test]
fn a_manifest_names_nothing_but_what_belongs_to_it() {
    type Damage = fn(&mut Value);
    let damaged: [(&str, Damage); 9] = [
        ("another checkpoint's", |json| {
            json["id"] = id(3).to_string().into();
        }),
        ("its own parent", |json| json["parent_id"] = json["id"].clone()),
        ("no parent", |json| {
            drop(json.as_object_mut().unwrap().remove("parent_id"));
        }),
        ("a path outside", |json| {
            json["operators"]["count"]["partitions"][0]["path"] = "../../secret".into();
        }),
        ("another file of its own", |json| {
            let other = json["operators"]["count"]["partitions"][1]["path"].clone();
            json["operators"]["count"]["partitions"][0]["path"] = other;
        }),
        ("a partition twice", |json| {
            let other = json["operators"]["count"]["partitions"][1].clone();
            json["operators"]["count"]["partitions"][0] = other;
        }),
        ("another total", |json| json["total_size"] = 21.into()),
        ("a short digest", |json| {
            json["operators"]["count"]["partitions"][0]["sha256"] = "00".into();
        }),
        ("epoch 0", |json| json["epoch"] = 0.into()),
    ];
    for (what, damage) in damaged {
        let mut json = json();
        damage(&mut json);
        let error = read(&json).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Corrupt { .. }),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_manifest_that_is_cut_off_or_something_else_is_corrupt() {
    let whole = manifest().to_json().unwrap();
    for length in 0..whole.len() {
        let error = Manifest::from_json(id(2), &whole[..length]).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Corrupt { .. }),
            "{length}: {error}"
        );
    }
    for wrong in [
        &b"null"[..],
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{\"version\":-1}",
        b"{\"version\":2}",
    ] {
        assert!(Manifest::from_json(id(2), wrong).is_err());
    }
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let other = PartitionFile::new(
        id(3),
        "count",
        0,
        FileKind::Snapshot,
        1,
        Digest::from_bytes([0; 32]),
    );
    let wrong = manifest().operator("count", vec![other.unwrap()]);
    assert!(matches!(wrong.to_json(), Err(CheckpointError::Invalid(_))));
    let mut orphan = manifest();
    orphan.parent_id = None;
    assert!(matches!(orphan.to_json(), Err(CheckpointError::Invalid(_))));
}
