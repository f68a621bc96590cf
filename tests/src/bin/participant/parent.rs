//! The line to whoever has started this process.

use std::io::{Stdin, Stdout, Write as _, stdin, stdout};
use std::sync::{Mutex, PoisonError};

use alluvium_e2e::participant::{Step, Told};

/// The line to the parent: one question at a time.
#[derive(Debug)]
pub(crate) struct Parent {
    input: Stdin,
    output: Stdout,
    asking: Mutex<()>,
}

impl Default for Parent {
    fn default() -> Self {
        Self {
            input: stdin(),
            output: stdout(),
            asking: Mutex::default(),
        }
    }
}

impl Parent {
    /// Tells it something.
    pub(crate) fn tell(&self, told: &Told) {
        let line = serde_json::to_string(told).expect("what is told is JSON");
        let mut output = self.output.lock();
        writeln!(output, "{line}")
            .and_then(|()| output.flush())
            .expect("the parent reads");
    }

    /// Tells it of a step, and stands still until it says to go on.
    pub(crate) fn ask(&self, step: Step) {
        tokio::task::block_in_place(|| {
            let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            self.tell(&Told::Step(step));
            self.line();
        });
    }

    /// The next line that it says.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        let read = self.input.read_line(&mut line).expect("the parent speaks");
        assert!(read > 0, "the parent is gone");
        line
    }
}
