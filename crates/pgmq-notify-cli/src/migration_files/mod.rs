//! The files of a migration: how each tool wants them called, what stands in them, which exist
//! already, and how they are written.

mod chain;
mod clock;
mod comparison;
mod difference;
mod directory;
mod format;
mod header;
mod name;
mod options;
mod version;
mod write;

pub(crate) use chain::{Chain, Extent};
pub(crate) use comparison::{Compared, Comparison, Found};
pub(crate) use difference::Difference;
pub(crate) use directory::Directory;
pub(crate) use format::{Format, MigrationFile};
pub(crate) use name::MigrationName;
pub(crate) use options::MigrationOptions;
pub(crate) use version::Version;
pub(crate) use write::{Existing, write};
