//! How results are told.

use serde_json::{Map, Value, json};

/// Prints results, one a line.
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One result: its name, what it was measured on, the ratio and the one wanted, and the absolute figures.
    pub(crate) fn result(&mut self, bench: &str, on: &str, ratio: f64, target: f64, figures: &Value) {
        let mut line = Map::new();
        line.insert("bench".to_owned(), json!(bench));
        line.insert("engine".to_owned(), json!(on));
        line.insert("ratio".to_owned(), json!(rounded(ratio)));
        line.insert("target".to_owned(), json!(target));
        if let Value::Object(figures) = figures {
            line.extend(figures.clone());
        }
        if self.json {
            println!("{}", Value::Object(line));
            return;
        }
        let verdict = if ratio >= target { "reached" } else { "MISSED" };
        print!("{bench} on {on}: {ratio:.3} of {target} wanted, {verdict};");
        for (name, value) in line
            .iter()
            .filter(|(name, _)| !["bench", "engine", "ratio", "target"].contains(&name.as_str()))
        {
            print!(" {name} {value}");
        }
        println!();
    }
}

/// Three digits after the point are more than a noisy machine can tell apart.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

/// The value that this share of the values does not exceed; 0 of none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index into a few thousand values"
)]
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or(0.0)
}
