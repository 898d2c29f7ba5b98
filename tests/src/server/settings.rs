//! Server settings a test asks for.

use std::collections::BTreeMap;

/// The settings a server is started with, on top of defaults that suit many small databases.
///
/// They are given on the command line, so `alter system` cannot change them: what a test wants to alter while the server
/// runs, it leaves out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The defaults: 200 connections, 10 prepared transactions, small buffers, everything else as PostgreSQL ships it.
    ///
    /// `fsync` stays on: a test of what survives a crash must be able to believe the server.
    pub fn new() -> Self {
        let settings = Self(BTreeMap::new());
        settings
            .set("max_connections", "200")
            .set("max_prepared_transactions", "10")
            .set("shared_buffers", "32MB")
            .set("min_wal_size", "32MB")
            // A server that is killed and never started again would leave its segments in /dev/shm.
            .set("dynamic_shared_memory_type", "mmap")
            .set("shared_preload_libraries", "")
            .set("log_line_prefix", "%m [%p] %q%a ")
    }

    /// Sets one by its name in `postgresql.conf`.
    ///
    /// `port`, `listen_addresses` and `unix_socket_directories` belong to the harness and are overruled.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// As arguments of `postgres`.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
