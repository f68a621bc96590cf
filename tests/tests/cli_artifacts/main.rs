//! Tables on their way between machines, by the `alluvium` command: real processes, files, S3 and nats-server.

mod desk;
mod journey;
mod states;
mod store;
