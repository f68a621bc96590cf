//! Who tests the tests? Engines, tables, backends, checkpointers, lease and cursor stores, transports, and logs that are sound
//! but for one fault, and the tests that have to find it.
//!
//! Each test here breaks one promise of a sound one on purpose, and fails unless the test of the kit that
//! is about this promise fails. The same tests pass without the fault.

mod backend;
mod checkpointer;
mod cursor_store;
mod engine;
mod lease;
mod log;
mod table;
mod transport;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use object_store::ObjectStore;
use object_store::memory::InMemory;

/// The store in memory of a place: there is one for each.
fn memory_at(dir: &Path) -> Arc<dyn ObjectStore> {
    static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
    Arc::clone(STORES.lock().unwrap().entry(dir.to_owned()).or_default()) as _
}

/// What the test of the kit said.
fn complaint(check: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(check)).err()?;
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Some(text.unwrap_or_default().to_owned())
}

/// Fails unless the test of the kit fails, and says what is expected of it.
#[track_caller]
fn assert_found(check: impl FnOnce(), expected: &str) {
    match complaint(check) {
        None => panic!("the fault was not found"),
        Some(text) => assert!(text.contains(expected), "found, but for another reason: {text}"),
    }
}

/// Fails unless all is well without the fault.
#[track_caller]
fn assert_sound(check: impl FnOnce()) {
    assert_eq!(complaint(check), None, "a sound engine is blamed");
}

/// Fails unless each of these tests finds the fault, for the reason that is expected, and finds nothing without it.
#[track_caller]
fn assert_each_finds<T: Copy>(tests: &[(T, &str)], sound: impl Fn(T), faulty: impl Fn(T)) {
    for (test, expected) in tests {
        assert_sound(|| sound(*test));
        assert_found(|| faulty(*test), expected);
    }
}
