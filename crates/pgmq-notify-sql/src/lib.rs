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
//!
//! # The configuration in the text
//!
//! An up migration carries what it was generated from: its lines that begin with `--@ `, without that,
//! are TOML. `version` is that of pgmq-notify, and `kind` is `"whole"`, or `"change"` for a migration that
//! only [changes](Migration::change) what the ones before it have installed. The others are
//! [`settings`] of the configuration file, each of them, also at its default. Passwords and URLs are no
//! settings. These lines stay as they are in later versions, which may add keys.

mod function;
mod migration;
mod pattern;
mod quoted;
mod rendered;
mod sections;
mod settings;
mod steps;

pub use function::FunctionDefinition;
pub use migration::{Migration, validate};
pub use pattern::{NamespacePattern, PatternError};
pub use settings::{SettingDifference, settings};
pub use steps::Steps;

/// Its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
