//! What callers hold, and how a close takes it away from them.
//!
//! RocksDB is closed when nobody refers to it any more, and until then it keeps its directory. So whatever a caller
//! holds is registered here, and emptied when the engine is closed.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use alluvium_engine::EngineError;

/// Something that a caller holds and that keeps RocksDB open.
pub(crate) trait Release: Send + Sync {
    /// Lets go of RocksDB.
    fn release(&self);
}

/// What callers hold.
#[derive(Default)]
pub(crate) struct Handles {
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    closed: bool,
    handles: Vec<Weak<dyn Release>>,
    /// How many there may be before those that are gone are swept out.
    sweep_at: usize,
}

impl Handles {
    /// Has a handle emptied when the engine is closed.
    ///
    /// # Errors
    ///
    /// [`EngineError::Closed`] if it is already.
    pub(crate) fn register(&self, handle: Weak<dyn Release>) -> Result<(), EngineError> {
        let mut live = lock(&self.live);
        if live.closed {
            return Err(EngineError::Closed);
        }
        if live.handles.len() >= live.sweep_at {
            live.handles.retain(|handle| handle.strong_count() > 0);
            live.sweep_at = live.handles.len() * 2 + 16;
        }
        live.handles.push(handle);
        Ok(())
    }

    /// Empties what callers hold and takes no more.
    pub(crate) fn release(&self) {
        let handles = {
            let mut live = lock(&self.live);
            live.closed = true;
            std::mem::take(&mut live.handles)
        };
        for handle in handles.iter().filter_map(Weak::upgrade) {
            handle.release();
        }
    }
}

/// A lock whose holder panicked guards nothing that could be half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Default)]
    struct Handle(AtomicBool);

    impl Release for Handle {
        fn release(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn weak(handle: &Arc<Handle>) -> Weak<dyn Release> {
        let handle: Weak<Handle> = Arc::downgrade(handle);
        handle
    }

    #[test]
    fn handles_are_emptied_and_no_more_are_taken() {
        let (handles, kept) = (Handles::default(), Arc::new(Handle::default()));
        handles.register(weak(&kept)).unwrap();
        for _ in 0..1000 {
            handles.register(weak(&Arc::default())).unwrap();
        }
        assert!(
            lock(&handles.live).handles.len() < 100,
            "those that are gone are swept out"
        );
        handles.release();
        assert!(kept.0.load(Ordering::Relaxed));
        assert!(matches!(handles.register(weak(&kept)), Err(EngineError::Closed)));
    }
}
