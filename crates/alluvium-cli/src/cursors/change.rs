//! `alluvium cursors reset` and `rm`: what fences whoever holds a cursor.

use alluvium::{Cursor, CursorRecord, CursorStoreError, LogCursor, Scope, Sequence, StartAt};
use serde_json::json;

use super::{Desk, Server};
use crate::args::{CursorTargetArgs, ResetCursorArgs, RmCursorsArgs};
use crate::error::Failure;
use crate::output::{Output, escaped, rfc3339};

pub(super) async fn reset(args: &ResetCursorArgs, output: Output) -> Result<(), Failure> {
    let desk = Desk::open(&args.place, &args.connection, Server::Needed).await?;
    let name = escaped(args.name.as_bytes());
    let none = || desk.no_cursor(&args.name);
    let stored = desk.store.load(&args.name).await?.ok_or_else(none)?;
    let target = target(&desk, &stored.cursor.log.name, &args.target).await?;
    if !args.yes {
        return Err(Failure::Usage(format!(
            "this would move the cursor {name} of {} from {} to {}, and fence whoever holds it: add --yes to do it",
            stored.cursor.log, stored.cursor.sequence, target.sequence
        )));
    }
    let held = desk.store.hold(&args.name).await?;
    // From here on nobody else moves it: it may have moved since.
    let before = held.load().await?.ok_or_else(none)?;
    held.save(&CursorRecord::new(target.clone(), before.scope))
        .await?;
    let was = before.cursor;
    if output.is_json() {
        return output.object(&json!({
            "name": args.name,
            "log": target.log.name,
            "log_created": rfc3339(target.log.created),
            "sequence": target.sequence.get(),
            "timestamp": rfc3339(target.timestamp),
            "was": was.sequence.get(),
            "was_log_created": rfc3339(was.log.created),
        }));
    }
    let again = if was.log == target.log {
        ""
    } else {
        " of the log that was there before"
    };
    text(
        output,
        &format!(
            "{name}: was at {}{again}, is at {}: {} or what follows it comes next",
            was.sequence,
            target.sequence,
            target.sequence.next()
        ),
    )
}

/// The cursor of somebody who has been given everything before that place.
async fn target(desk: &Desk, log: &str, args: &CursorTargetArgs) -> Result<Cursor, Failure> {
    let Some(connection) = &desk.connection else {
        return Err(Failure::Usage(
            "a server has to be asked what the log holds".to_owned(),
        ));
    };
    let log = connection.stream(log).await?;
    let start = match args.sequence {
        _ if args.end => StartAt::Next,
        Some(sequence) => {
            let bounds = log.bounds().await;
            let last = bounds.map_err(|error| connection.log_failure(error))?.last;
            if sequence == Sequence::ZERO || sequence > last.next() {
                return Err(Failure::Usage(format!(
                    "--to-sequence {sequence} is outside of {}: use 1 to {}, or --to-end",
                    log.name(),
                    last.next()
                )));
            }
            StartAt::Sequence(sequence)
        }
        None => StartAt::Oldest,
    };
    // The scope does not matter to where a sequence is.
    let cursor = LogCursor::builder(log, Scope::all())
        .start_at(start)
        .open()
        .await?;
    Ok(cursor.committed().clone())
}

pub(super) async fn rm(args: &RmCursorsArgs, output: Output) -> Result<(), Failure> {
    let desk = Desk::open(&args.place, &args.connection, Server::Useless).await?;
    let mut names = args.names.clone();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        match desk.store.load(name).await {
            Ok(None) => return Err(desk.no_cursor(name)),
            Ok(Some(_)) | Err(CursorStoreError::Corrupt { .. } | CursorStoreError::Newer { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for name in &names {
        desk.store.remove(name).await?;
        if output.is_json() {
            output.object(&json!({ "removed": name }))?;
        } else {
            text(output, &format!("removed {}", escaped(name.as_bytes())))?;
        }
    }
    Ok(())
}

fn text(output: Output, line: &str) -> Result<(), Failure> {
    let mut lines = output.lines();
    lines.text(line)?;
    lines.finish()
}
