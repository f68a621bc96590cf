//! Times and numbers for people, and tables of them.

use std::time::{Duration, SystemTime};

use alluvium::Timestamp;

use crate::output::rfc3339;

/// What time it is, for ages: nothing is decided by them.
#[allow(
    clippy::disallowed_methods,
    reason = "an age for people begins at the wall clock; it is passed on from here"
)]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// An instant in milliseconds, as manifests have them.
pub(crate) fn instant(millis: i64) -> Timestamp {
    Timestamp::from_nanos(millis.saturating_mul(1_000_000))
}

/// An instant for people, to the second, in UTC.
pub(crate) fn clock_time(at: Timestamp) -> String {
    let text = rfc3339(at);
    let seconds = text.split('.').next().unwrap_or_default();
    format!("{seconds}Z")
}

/// How long ago that was; nothing for what is yet to come, by a clock that differs.
pub(crate) fn age(taken: Timestamp, now: Timestamp) -> Duration {
    let nanos = now.as_nanos().saturating_sub(taken.as_nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A time for people, in its two largest units.
pub(crate) fn human_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A number of things.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Rows under their headings, in columns: the first and the last to the left, numbers between them to the right. Nothing for no
/// rows.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let rows: Vec<[String; N]> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            last if last + 1 == N => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

/// Many values under one name, of which only the first stands beside it.
pub(crate) fn named(
    name: &'static str,
    values: impl IntoIterator<Item = String>,
) -> impl Iterator<Item = (&'static str, String)> {
    let mut values = values.into_iter().peekable();
    let none = values.peek().is_none().then(|| "none".to_owned());
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(values.chain(none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_clock_has_no_fractions() {
        assert_eq!(clock_time(instant(1_700_000_000_999)), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn ages_are_readable_and_never_negative() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3_599, "59m 59s"),
            (7_320, "2h 2m"),
            (90_000, "1d 1h"),
            (86_400 * 400, "400d 0h"),
        ] {
            assert_eq!(human_time(Duration::from_secs(seconds)), text);
        }
        assert_eq!(age(instant(5_000), instant(2_000)), Duration::ZERO);
        assert_eq!(age(instant(2_000), instant(5_000)), Duration::from_secs(3));
        assert_eq!(
            age(instant(i64::MIN), instant(i64::MAX)),
            Duration::from_nanos(i64::MAX.unsigned_abs())
        );
    }
}
