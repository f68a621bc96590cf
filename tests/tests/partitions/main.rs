//! Processes that share the partitions of a stream on a real server, and are killed and stopped.

mod chaos;
mod example;
mod load;
mod watch;
