//! All integration tests in one binary, so that they link once.

mod full_queue;
mod harness;
mod hostile;
mod installation;
mod listener;
mod namespaces;
mod producers;
mod without_triggers;
