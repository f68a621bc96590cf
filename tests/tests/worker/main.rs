//! Workers on a real server, in processes of their own.

mod accounted;
mod broken;
mod fenced;
