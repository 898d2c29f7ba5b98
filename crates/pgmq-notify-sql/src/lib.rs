//! Generates the PostgreSQL migrations that make PGMQ event-driven.
//!
//! It emits text and never connects: apply the text with the migration tool that you have, or
//! generate it with the command line tool `pgmq-notify`.
//!
//! ```
//! use pgmq_notify_core::PgmqNotifyConfig;
//! use pgmq_notify_sql::Migration;
//!
//! let config = PgmqNotifyConfig::new().with_channels_prefix("myapp");
//! let migration = Migration::new(&config)?;
//! assert!(migration.up().contains("create or replace trigger"));
//! assert!(migration.down().contains("drop schema"));
//! # Ok::<(), pgmq_notify_core::ConfigError>(())
//! ```

mod migration;
mod pattern;
mod quoted;

pub use migration::{Migration, validate};
pub use pattern::{NamespacePattern, PatternError};
