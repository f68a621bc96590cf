//! `alluvium cursors show`: everything about one cursor.

use alluvium::{Filter, Timestamp};

use super::list::for_programs;
use super::standing::Logs;
use super::{Desk, Server, unreadable};
use crate::args::ShowCursorArgs;
use crate::error::Failure;
use crate::human::{age, human_time, named};
use crate::output::{Output, escaped, rfc3339};

pub(super) async fn run(args: &ShowCursorArgs, now: Timestamp, output: Output) -> Result<(), Failure> {
    let desk = Desk::open(&args.place, &args.connection, Server::unless(args.offline)).await?;
    let record = match desk.store.load(&args.name).await {
        Ok(record) => record.ok_or_else(|| desk.no_cursor(&args.name))?,
        Err(error) => {
            let summary = unreadable(&error).ok_or(error)?;
            return Err(Failure::Damaged { summary });
        }
    };
    let standing = Logs::new(desk.connection.as_ref()).standing(&record.cursor).await;
    if output.is_json() {
        return output.object(&for_programs(&args.name, &record, &standing, now));
    }
    let cursor = &record.cursor;
    let log = escaped(cursor.log.name.as_bytes());
    let stored = human_time(age(cursor.timestamp, now));
    let lag = match (standing.lag, standing.problem) {
        (Some(lag), None) => lag.to_string(),
        (Some(lag), Some(problem)) => format!("{lag}; {problem}"),
        (None, Some(problem)) => problem,
        (None, None) => "not asked".to_owned(),
    };
    let mut facts = vec![
        ("name", escaped(args.name.as_bytes())),
        ("in", desk.place),
        ("log", format!("{log}, created {}", rfc3339(cursor.log.created))),
        (
            "cursor",
            format!(
                "{}, stored {}, {stored} ago",
                cursor.sequence,
                rfc3339(cursor.timestamp)
            ),
        ),
        ("lag", lag),
    ];
    facts.extend(named(
        "scope",
        record.scope.filters().iter().map(Filter::to_string),
    ));
    let mut lines = output.lines();
    for (name, value) in facts {
        lines.text(&format!("{name:<8} {value}"))?;
    }
    lines.finish()
}
