//! The `alluvium` command against a real server: what it does, what it says, and that whatever goes wrong is one line
//! that leaves everything as it was.

mod desk;
mod health;
mod login;
mod refused;
mod replicate;
mod verify;
