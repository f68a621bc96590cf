//! Checkpoints of participants that are killed at every step, and that race: see `alluvium_e2e::checkpoints`.

mod file {
    use alluvium_e2e::{Files, checkpoint_suite};

    checkpoint_suite!(&Files::start());
}

mod s3 {
    use std::sync::LazyLock;

    use alluvium_e2e::{S3Server, checkpoint_suite};

    /// One for all of these. It ends with this process.
    static SERVER: LazyLock<S3Server> = LazyLock::new(S3Server::start);

    checkpoint_suite!(&*SERVER);
}
