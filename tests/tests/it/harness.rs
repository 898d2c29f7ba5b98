//! The harness itself: what every other test takes for granted.

mod database;
mod leftovers;
mod pgmq;
mod proxy;
mod server;
mod waiting;
