//! All integration tests in one binary, so that they link once.

#![allow(
    clippy::unwrap_used,
    reason = "what a test calls is part of the test: it fails by panicking, at the line that failed"
)]

mod client;
mod consumer;
mod contract;
mod early_visibility;
mod full_queue;
mod harness;
mod hostile;
mod installation;
mod listener;
mod namespaces;
mod observed;
mod operations;
mod producers;
mod roles;
mod variable;
mod wake_up_sql;
mod without_triggers;
