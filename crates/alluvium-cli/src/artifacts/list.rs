//! `alluvium artifacts ls`: every key on a line, or every artifact of a key.

use alluvium::artifact::{ArtifactManifest, ManifestId};
use alluvium::{ArtifactKey, Timestamp, Transport};
use serde_json::{Map, Value, json};

use super::catalog::{Artifact, History, Pointer, pointer};
use super::open;
use crate::args::LsArtifactsArgs;
use crate::error::Failure;
use crate::human::{age, count, human_time, instant};
use crate::listing;
use crate::output::{Output, escaped, human_bytes, rfc3339, say};

const HEADINGS: [&str; 7] = ["", "SEQUENCE", "AGE", "ROWS", "SIZE", "RUNS", "NOTE"];

pub(super) async fn run(args: &LsArtifactsArgs, now: Timestamp, output: Output) -> Result<(), Failure> {
    let transport = open(&args.store).await?;
    match &args.key {
        None => keys(transport.as_ref(), args, now, output).await,
        Some(key) => history(transport.as_ref(), args, key, now, output).await,
    }
}

async fn keys(
    transport: &dyn Transport,
    args: &LsArtifactsArgs,
    now: Timestamp,
    output: Output,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for key in transport.keys().await? {
        let what = match pointer(transport, &key).await? {
            Pointer::Names(manifest) => Ok(*manifest),
            Pointer::Damaged(why) => Err(why),
            // It was listed, and is gone.
            Pointer::None => continue,
        };
        rows.push(Row {
            name: escaped(key.as_str().as_bytes()),
            fields: Map::from_iter([("key".to_owned(), json!(key.as_str()))]),
            sequence: None,
            note: String::new(),
            what,
        });
    }
    tell(&rows, "KEY", now, output)?;
    let store = args.store.store.to_string();
    if rows.is_empty() && !output.is_json() {
        say(&format!("no artifacts in {store}"));
    }
    conclude(&rows, "key", "keys", None, &store)
}

async fn history(
    transport: &dyn Transport,
    args: &LsArtifactsArgs,
    key: &ArtifactKey,
    now: Timestamp,
    output: Output,
) -> Result<(), Failure> {
    let history = History::read(transport, key).await?;
    if history.is_empty() {
        return Err(super::catalog::none(&args.store.store, key, None));
    }
    let pointer = history.damage().map(str::to_owned);
    let rows: Vec<Row> = history
        .artifacts
        .into_iter()
        .map(|artifact| row(key, artifact))
        .collect();
    tell(&rows, "ID", now, output)?;
    let of = format!("{} in {}", escaped(key.as_str().as_bytes()), args.store.store);
    conclude(&rows, "artifact", "artifacts", pointer, &of)
}

fn row(key: &ArtifactKey, artifact: Artifact) -> Row {
    let Artifact {
        id,
        is_newest,
        manifest,
    } = artifact;
    let mut fields = Map::from_iter([
        ("key".to_owned(), json!(key.as_str())),
        ("id".to_owned(), json!(id)),
        ("newest".to_owned(), json!(is_newest)),
    ]);
    if let Ok(manifest) = &manifest {
        fields.insert("parent".to_owned(), json!(manifest.parent));
        fields.insert("exporter".to_owned(), json!(manifest.exporter));
    }
    Row {
        name: id.to_string(),
        fields,
        sequence: Some(id),
        note: if is_newest {
            "newest".to_owned()
        } else {
            String::new()
        },
        what: manifest,
    }
}

/// A key or an artifact.
struct Row {
    name: String,
    /// What JSON has beside what every row has.
    fields: Map<String, Value>,
    /// Of an artifact that cannot be read its name is known all the same.
    sequence: Option<ManifestId>,
    note: String,
    what: Result<ArtifactManifest, String>,
}

impl Row {
    fn for_programs(&self, now: Timestamp) -> Value {
        let mut line = self.fields.clone();
        let sequence = match &self.what {
            Ok(manifest) => Some(manifest.cursor.sequence),
            Err(_) => self.sequence.map(ManifestId::sequence),
        };
        line.insert("sequence".to_owned(), json!(sequence));
        line.insert("damage".to_owned(), json!(self.what.as_ref().err()));
        if let Ok(manifest) = &self.what {
            let made = instant(manifest.created_ms);
            for (name, value) in [
                ("table", json!(manifest.table)),
                ("log", json!(manifest.cursor.log.name)),
                ("created", json!(rfc3339(made))),
                ("age_seconds", json!(age(made, now).as_secs())),
                ("rows", json!(manifest.rows())),
                ("bytes", json!(manifest.bytes())),
                ("deltas", json!(manifest.deltas().len())),
                ("segments", json!(manifest.segments().count())),
            ] {
                line.insert(name.to_owned(), value);
            }
        }
        Value::Object(line)
    }

    fn cells(&self, now: Timestamp) -> [String; 7] {
        let Self { name, note, .. } = self;
        match &self.what {
            Ok(manifest) => [
                name.clone(),
                manifest.cursor.sequence.to_string(),
                human_time(age(instant(manifest.created_ms), now)),
                manifest.rows().to_string(),
                human_bytes(manifest.bytes()),
                runs(manifest),
                note.clone(),
            ],
            Err(why) => {
                let sequence = self.sequence.map(|id| id.sequence().to_string());
                let none = || "-".to_owned();
                let sequence = sequence.unwrap_or_else(none);
                [
                    name.clone(),
                    sequence,
                    none(),
                    none(),
                    none(),
                    none(),
                    format!("damaged: {why}"),
                ]
            }
        }
    }
}

/// The base, and how many deltas.
pub(super) fn runs(manifest: &ArtifactManifest) -> String {
    match manifest.deltas().len() {
        0 => "base".to_owned(),
        deltas => format!("base + {}", count(deltas, "delta", "deltas")),
    }
}

fn tell(rows: &[Row], first: &'static str, now: Timestamp, output: Output) -> Result<(), Failure> {
    let mut headings = HEADINGS;
    headings[0] = first;
    let for_programs = |row: &Row| row.for_programs(now);
    listing::print(rows, headings, output, for_programs, |row| row.cells(now))
}

/// An error if anything is damaged.
fn conclude(rows: &[Row], one: &str, many: &str, pointer: Option<String>, of: &str) -> Result<(), Failure> {
    let damaged = rows.iter().filter(|row| row.what.is_err()).count();
    let all = count(rows.len(), one, many);
    let damage = (damaged > 0).then(|| format!("{damaged} of {all} cannot be read"));
    listing::conclude(of, [damage, pointer])
}
