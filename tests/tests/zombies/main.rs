//! Zombies on every store that processes can share, and participants killed on those that are servers: see
//! `alluvium_e2e::zombies` and `alluvium_e2e::kills`.
//!
//! Ceph, which only the full length has, is a program of its own.

mod file {
    use alluvium_e2e::{Files, zombie_suite};

    zombie_suite!(&Files::start());
}

mod s3 {
    use std::sync::LazyLock;

    use alluvium_e2e::{S3Server, kill_suite, zombie_suite};

    /// One for all of these. It ends with this process.
    static SERVER: LazyLock<S3Server> = LazyLock::new(S3Server::start);

    zombie_suite!(&*SERVER);
    kill_suite!(&*SERVER);
}

mod azure {
    use alluvium_e2e::{Azurite, kill_suite, zombie_suite};
    use tokio::sync::OnceCell;

    /// One for all of these: it takes a second to start. It ends with this process.
    async fn azurite() -> &'static Azurite {
        static AZURITE: OnceCell<Azurite> = OnceCell::const_new();
        AZURITE.get_or_init(Azurite::start).await
    }

    zombie_suite!(azurite().await);
    kill_suite!(azurite().await);
}
