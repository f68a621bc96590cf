//! `alluvium cursors ls`: every cursor on a line.

use alluvium::{CursorRecord, Filter, Timestamp};
use serde_json::{Value, json};

use super::standing::{Logs, Standing};
use super::{Desk, Server, unreadable};
use crate::args::LsCursorsArgs;
use crate::error::Failure;
use crate::human::{age, count, human_time};
use crate::listing;
use crate::output::{Output, escaped, rfc3339, say};

const HEADINGS: [&str; 6] = ["NAME", "LOG", "SEQUENCE", "STORED", "LAG", "SCOPE"];

pub(super) async fn run(args: &LsCursorsArgs, now: Timestamp, output: Output) -> Result<(), Failure> {
    let desk = Desk::open(&args.place, &args.connection, Server::unless(args.offline)).await?;
    let mut logs = Logs::new(desk.connection.as_ref());
    let mut rows = Vec::new();
    for name in desk.store.list().await? {
        let what = match desk.store.load(&name).await {
            Ok(Some(record)) => {
                let standing = logs.standing(&record.cursor).await;
                Ok((record, standing))
            }
            // It was listed, and is gone.
            Ok(None) => continue,
            Err(error) => Err(unreadable(&error).ok_or(error)?),
        };
        rows.push(Row { name, what });
    }
    let for_programs = |row: &Row| row.for_programs(now);
    listing::print(&rows, HEADINGS, output, for_programs, |row| row.cells(now))?;
    if rows.is_empty() && !output.is_json() {
        say(&format!("no cursors in {}", desk.place));
    }
    let damaged = rows.iter().filter(|row| row.what.is_err()).count();
    let all = count(rows.len(), "cursor", "cursors");
    let damage = (damaged > 0).then(|| format!("{damaged} of {all} cannot be read"));
    listing::conclude(&desk.place, [damage])
}

/// One cursor.
struct Row {
    name: String,
    /// Or why it cannot be read.
    what: Result<(CursorRecord, Standing), String>,
}

impl Row {
    fn for_programs(&self, now: Timestamp) -> Value {
        match &self.what {
            Ok((record, standing)) => for_programs(&self.name, record, standing, now),
            Err(why) => json!({ "name": self.name, "damage": why }),
        }
    }

    /// The cells of the table, the last of any length.
    fn cells(&self, now: Timestamp) -> [String; 6] {
        let name = escaped(self.name.as_bytes());
        let (record, standing) = match &self.what {
            Ok(what) => what,
            Err(why) => {
                let none = || "-".to_owned();
                return [name, none(), none(), none(), none(), format!("unreadable: {why}")];
            }
        };
        let cursor = &record.cursor;
        let mut scope = record.scope.to_string();
        if let Some(problem) = &standing.problem {
            scope = format!("{scope}; {problem}");
        }
        [
            name,
            escaped(cursor.log.name.as_bytes()),
            cursor.sequence.to_string(),
            human_time(age(cursor.timestamp, now)),
            standing.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
            scope,
        ]
    }
}

/// Everything about a cursor.
pub(super) fn for_programs(name: &str, record: &CursorRecord, standing: &Standing, now: Timestamp) -> Value {
    let cursor = &record.cursor;
    json!({
        "name": name,
        "log": cursor.log.name,
        "log_created": rfc3339(cursor.log.created),
        "sequence": cursor.sequence.get(),
        "timestamp": rfc3339(cursor.timestamp),
        "age_seconds": age(cursor.timestamp, now).as_secs(),
        "scope": record.scope.filters().iter().map(Filter::as_str).collect::<Vec<_>>(),
        "lag": standing.lag,
        "problem": standing.problem,
        "damage": Value::Null,
    })
}
