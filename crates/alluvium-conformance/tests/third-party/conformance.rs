//! All that a stranger writes to prove an engine, its tables, and a backend.

mod engines {
    use alluvium_conformance::{Capabilities, EngineHarness};
    use alluvium_engine::{Engine, EngineError};
    use std::{path::Path, sync::Arc};

    #[derive(Default)]
    struct Mine;

    impl EngineHarness for Mine {
        fn open(&self, _: &Path) -> Result<Arc<dyn Engine>, EngineError> {
            Ok(Arc::new(third_party::MapEngine::default()))
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::volatile()
        }
    }

    alluvium_conformance::engine_suite!(Mine, volatile);
    alluvium_conformance::table_suite!(Mine, volatile);
    alluvium_conformance::backend_suite!(Mine, volatile);
}

mod backends {
    use alluvium_conformance::{BackendHarness, Capabilities};
    use alluvium_core::{BackendError, BackendOptions, StateBackend};
    use std::{path::Path, sync::Arc};

    type Opened = Result<Arc<dyn StateBackend>, BackendError>;

    #[derive(Default)]
    struct Mine;

    #[async_trait::async_trait]
    impl BackendHarness for Mine {
        async fn open_backend(&self, place: &Path, options: BackendOptions) -> Opened {
            Ok(Arc::new(third_party::MapBackend::open(place, options)?))
        }

        fn backend_capabilities(&self) -> Capabilities {
            Capabilities::shared()
        }
    }

    alluvium_conformance::backend_suite!(Mine, shared in_process);
}
