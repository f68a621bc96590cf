//! What handlers publish to a stream of a real server: once within the window, and what is known of everything else.

mod cluster;
mod faults;
mod redelivery;
mod support;
mod unusable;
mod window;
