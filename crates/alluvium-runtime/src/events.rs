//! Whoever wants to be told of what happens beside the work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Call<E> = dyn Fn(&E) + Send + Sync;

/// What is called with each event, if anything is.
pub(crate) struct Listener<E>(Option<Arc<Call<E>>>);

impl<E> Listener<E> {
    pub(crate) fn new(call: impl Fn(&E) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }

    /// Survives a panic of what is called. `of` is whose event it is.
    pub(crate) fn tell(&self, of: &str, event: &E) {
        if let Some(call) = &self.0
            && catch_unwind(AssertUnwindSafe(|| call(event))).is_err()
        {
            tracing::error!(of, "what is called with events panicked");
        }
    }
}

impl<E> Default for Listener<E> {
    fn default() -> Self {
        Self(None)
    }
}

// A derived one would ask the same of the event.
impl<E> Clone for Listener<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
