//! Azurite.

use alluvium_e2e::{Azurite, store_suite};
use tokio::sync::OnceCell;

/// One for all of these: it takes a second to start. It ends with this process.
async fn azurite() -> &'static Azurite {
    static AZURITE: OnceCell<Azurite> = OnceCell::const_new();
    AZURITE.get_or_init(Azurite::start).await
}

store_suite!(azurite().await);
