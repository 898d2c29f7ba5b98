//! All integration tests in one binary, so that they link once.

mod client;
mod full_queue;
mod harness;
mod hostile;
mod installation;
mod namespaces;
mod producers;
mod without_triggers;
