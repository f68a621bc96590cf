//! What the commands `ls` have in common: a row for each thing, and an end that tells whether any is damaged.

use std::fmt::Display;

use serde_json::Value;

use crate::error::Failure;
use crate::human::table;
use crate::output::Output;

/// Prints a row for each thing: an object, or cells under these headings, of which the last may have any length.
pub(crate) fn print<Row, const N: usize>(
    rows: &[Row],
    headings: [&str; N],
    output: Output,
    for_programs: impl Fn(&Row) -> Value,
    cells: impl Fn(&Row) -> [String; N],
) -> Result<(), Failure> {
    let mut lines = output.lines();
    if output.is_json() {
        for row in rows {
            lines.object(&for_programs(row))?;
        }
    } else {
        for line in table(headings, rows.iter().map(cells).collect()) {
            lines.text(line.trim_end())?;
        }
    }
    lines.finish()
}

/// An error if there is any damage to be told of a place.
pub(crate) fn conclude(
    place: impl Display,
    damage: impl IntoIterator<Item = Option<String>>,
) -> Result<(), Failure> {
    let damage: Vec<String> = damage.into_iter().flatten().collect();
    if damage.is_empty() {
        return Ok(());
    }
    Err(Failure::Damaged {
        summary: format!("{place}: {}", damage.join("; ")),
    })
}
