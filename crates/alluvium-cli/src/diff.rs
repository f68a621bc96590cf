//! `alluvium diff`: two sides, each a state directory, an artifact or a live bucket, compared key by key.
//!
//! | module | what it does |
//! |---|---|
//! | [`operand`] | what a side is, as it is typed |
//! | [`side`] | opening it, as rows in key order |
//! | [`compare`] | both at once, and what differs |
//!
//! State directories and artifacts are sorted, so one pass over both is enough, and a few rows of each are in memory. A bucket is not
//! sorted: it is put into a table in the scratch directory first. The segments of an artifact are fetched into it.

mod compare;
mod operand;
mod side;

use alluvium::Scope;
use serde_json::{Value, json};

use self::compare::{Comparison, Difference};
pub(crate) use self::operand::Operand;
use self::side::{Opener, Side};
use crate::args::DiffArgs;
use crate::bar::Bar;
use crate::error::Failure;
use crate::output::Output;
use crate::runtime;

pub(crate) fn run(args: &DiffArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let runtime = runtime::start()?;
    // Before anything is opened: what is wrong with one of them is told at once.
    let (a, b) = (args.a.read("A")?, args.b.read("B")?);
    let opener = Opener::new(args, runtime.handle().clone(), output, verbose)?;
    let a = opener.open(&a)?;
    let result = opener.open(&b).and_then(|b| {
        let result = diff(args, &a, &b, output, verbose);
        b.close(result)
    });
    a.close(result)
}

fn diff(args: &DiffArgs, a: &Side, b: &Side, output: Output, verbose: u8) -> Result<(), Failure> {
    let asked = Scope::from(args.scope.clone());
    let asked = if args.scope.is_empty() {
        Scope::all()
    } else {
        asked
    };
    let counts = |key: &[u8]| asked.matches(key) && a.scope.matches(key) && b.scope.matches(key);
    let bar = Bar::rows("compare", output, verbose, a.about.max(b.about));
    let mut comparison = Comparison::new(args.examples);
    let compared = comparison.run(a.rows()?, b.rows()?, counts, &bar);
    bar.finish();
    compared?;
    tell(&comparison, a, b, output)
}

fn tell(comparison: &Comparison, a: &Side, b: &Side, output: Output) -> Result<(), Failure> {
    let equal = comparison.is_equal();
    let same_scope = a.scope == b.scope;
    if output.is_json() {
        output.object(&json!({
            "equal": equal,
            "a": of_side(a),
            "b": of_side(b),
            "same": comparison.same,
            "only_a": comparison.count(Difference::OnlyA),
            "only_b": comparison.count(Difference::OnlyB),
            "different": comparison.count(Difference::Different),
            "examples": comparison.examples_for_programs(),
        }))?;
    } else {
        let mut lines = output.lines();
        for line in comparison.examples_for_people() {
            lines.text(&line)?;
        }
        for (name, side) in [("A", a), ("B", b)] {
            lines.text(&format!("{name} is {}, at {}", side.name, side.position))?;
        }
        if !same_scope {
            lines.text(&format!(
                "only keys that both hold are compared: A holds {}, B {}",
                a.scope, b.scope
            ))?;
        }
        if equal {
            lines.text(&format!("equal: {} keys", comparison.same))?;
        }
        lines.finish()?;
    }
    if equal {
        return Ok(());
    }
    Err(Failure::Differs {
        summary: comparison.summary(),
    })
}

fn of_side(side: &Side) -> Value {
    json!({
        "name": side.name,
        "log": side.log.name,
        "log_created": crate::output::rfc3339(side.log.created),
        "sequence": side.position,
        "scope": side.scope,
    })
}
