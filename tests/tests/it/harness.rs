//! The harness itself: what every other test takes for granted.

mod chaos;
pub(crate) mod command_line;
mod database;
mod leftovers;
mod pgbouncer;
mod pgmq;
mod proxy;
mod server;
mod sessions;
mod standby;
mod waiting;
