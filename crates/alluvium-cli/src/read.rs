//! `alluvium get`, `scan` and `status`: what a state directory holds, without a server.

use std::ffi::OsStr;

use alluvium::{Binding, Cursor, EngineTable, Filter, KeyRange, Mode, Sequence, Table as _, TableStats};
use serde_json::{Value, json};

use crate::args::{GetArgs, ScanArgs, StatusArgs};
use crate::error::Failure;
use crate::output::{Output, escaped, human_bytes, rfc3339};
use crate::state::{Place, with_state, with_table};

/// What a bucket's stream is named in front of the bucket's name.
const BUCKET_PREFIX: &str = "KV_";

pub(crate) fn get(args: &GetArgs, output: Output) -> Result<(), Failure> {
    let key = bytes_of(&args.key)?;
    let entry = with_table(&args.state, |table| Ok(table.get(key)?))?;
    match entry {
        Some(entry) => output.value(key, &entry),
        None => Err(Failure::NoKey {
            key: escaped(key),
            state: args.state.state.to_string(),
        }),
    }
}

pub(crate) fn scan(args: &ScanArgs, output: Output) -> Result<(), Failure> {
    let range = match &args.prefix {
        Some(prefix) => KeyRange::prefix(bytes_of(prefix)?),
        None => KeyRange::all(),
    };
    with_table(&args.state, |table| {
        let mut lines = output.lines();
        let rows = table.snapshot()?.scan(&range)?;
        for row in rows.take(args.limit.unwrap_or(usize::MAX)) {
            let (key, entry) = row?;
            lines.entry(&key, &entry)?;
        }
        lines.finish()
    })
}

pub(crate) fn status(args: &StatusArgs, output: Output) -> Result<(), Failure> {
    let facts = with_state(&args.state, |engine, table| {
        Ok(Facts {
            engine: engine.name(),
            table: table.map(|table| table.name().to_owned()),
            binding: table.and_then(EngineTable::binding),
            evicts: table.is_some_and(EngineTable::has_evicted),
            cursor: table.and_then(EngineTable::cursor),
            stats: match table {
                Some(table) => table.stats()?,
                None => TableStats {
                    disk_bytes: engine.stats()?.disk_bytes,
                    ..TableStats::default()
                },
            },
        })
    })?;
    if output.is_json() {
        output.object(&facts.for_programs(&args.state.state))
    } else {
        let mut lines = output.lines();
        for (name, value) in facts.for_people(&args.state.state) {
            lines.text(&format!("{name:<8} {value}"))?;
        }
        lines.finish()
    }
}

/// What there is to say about a state directory. One that was only just made has no table and no binding yet.
struct Facts {
    engine: &'static str,
    table: Option<String>,
    binding: Option<Binding>,
    /// Whether the table ever saw that its log can evict.
    evicts: bool,
    cursor: Option<Cursor>,
    stats: TableStats,
}

impl Facts {
    fn log(&self) -> Option<&str> {
        self.binding.as_ref().map(|binding| binding.log.as_str())
    }

    fn bucket(&self) -> Option<&str> {
        self.log()?.strip_prefix(BUCKET_PREFIX)
    }

    fn mode(&self) -> Option<Mode> {
        Some(self.binding.as_ref()?.mode)
    }

    fn scope(&self) -> Option<Vec<&str>> {
        let filters = self.binding.as_ref()?.scope.filters();
        Some(filters.iter().map(Filter::as_str).collect())
    }

    fn for_programs(&self, state: &Place) -> Value {
        let cursor = self.cursor.as_ref();
        json!({
            "state_dir": state.to_string(),
            "engine": self.engine,
            "table": self.table,
            "bucket": self.bucket(),
            "log": self.log(),
            "log_created": cursor.map(|cursor| rfc3339(cursor.log.created)),
            "scope": self.scope(),
            "mode": self.mode().map(|mode| mode.to_string()),
            "evicts": self.evicts,
            "cursor": cursor.map(|cursor| cursor.sequence.get()),
            "cursor_timestamp": cursor.map(|cursor| rfc3339(cursor.timestamp)),
            "rows": self.stats.rows,
            "disk_bytes": self.stats.disk_bytes,
            "changes_floor": self.stats.changes_floor.map(Sequence::get),
        })
    }

    fn for_people(&self, state: &Place) -> Vec<(&'static str, String)> {
        let log = match (self.bucket(), self.log()) {
            (Some(bucket), _) => ("bucket", bucket.to_owned()),
            (None, Some(log)) => ("log", log.to_owned()),
            (None, None) => ("bucket", "none yet".to_owned()),
        };
        let cursor = match &self.cursor {
            Some(cursor) => format!("{}, stored {}", cursor.sequence, rfc3339(cursor.timestamp)),
            None if self.stats.rows == 0 => "none: nothing is applied yet".to_owned(),
            None => "none: a reconcile was cut short, replicate again to finish it".to_owned(),
        };
        let changes = match self.stats.changes_floor {
            Some(floor) => format!("tracked since {floor}"),
            None => "not tracked".to_owned(),
        };
        let scope = self.scope().unwrap_or_default().join(", ");
        let mode = match self.mode() {
            Some(mode) if self.evicts => format!("{mode}, of a log that evicts or once did"),
            Some(mode) => mode.to_string(),
            None => "none yet".to_owned(),
        };
        vec![
            ("state", state.to_string()),
            ("engine", self.engine.to_owned()),
            log,
            ("scope", scope),
            ("mode", mode),
            ("cursor", cursor),
            ("rows", format!("about {}", self.stats.rows)),
            ("on disk", human_bytes(self.stats.disk_bytes)),
            ("changes", changes),
        ]
    }
}

/// The bytes of an argument: on Unix, whatever was typed.
fn bytes_of(text: &OsStr) -> Result<&[u8], Failure> {
    #[cfg(unix)]
    let bytes = Some(std::os::unix::ffi::OsStrExt::as_bytes(text));
    #[cfg(not(unix))]
    let bytes = text.to_str().map(str::as_bytes);
    bytes.ok_or_else(|| Failure::Usage(format!("{} is not a key", text.display())))
}
