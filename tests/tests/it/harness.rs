//! The harness itself: what every other test takes for granted.

mod database;
mod leftovers;
mod pgmq;
mod server;
mod waiting;
