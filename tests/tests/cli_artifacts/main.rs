//! Tables on their way between machines, by the `alluvium` command: real processes, files and S3.

mod desk;
mod store;
