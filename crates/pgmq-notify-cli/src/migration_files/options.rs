use std::path::PathBuf;

use clap::Args;

use super::{Format, MigrationName};

/// Which migration: of which tool, where, and what it is called.
#[derive(Args, Debug)]
pub(crate) struct MigrationOptions {
    /// The migration tool that applies it
    #[arg(long, value_enum, default_value_t = Format::Sqlx)]
    pub(crate) format: Format,

    /// The directory of the migrations
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    pub(crate) output_dir: PathBuf,

    /// The name in the file names
    #[arg(long, default_value = "pgmq_notify")]
    pub(crate) name: MigrationName,
}
