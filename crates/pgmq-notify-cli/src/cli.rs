use clap::{Parser, Subcommand};

use crate::commands::check::CheckArguments;
use crate::commands::completions::CompletionsArguments;
use crate::commands::generate_migration::GenerateMigrationArguments;
use crate::commands::validate_config::ValidateConfigArguments;

/// Event-driven PGMQ: generates, validates and checks the SQL that publishes typed events when
/// messages arrive.
///
/// Nothing here connects to a database: the commands write and compare files, and your migration
/// tool applies them.
#[derive(Debug, Parser)]
#[command(
    name = "pgmq-notify",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  pgmq-notify generate-migration
  pgmq-notify validate-config pgmq-notify.toml
  pgmq-notify check

Exit codes:
  0  yes
  1  checked, and the answer is no
  2  error"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    GenerateMigration(GenerateMigrationArguments),
    ValidateConfig(ValidateConfigArguments),
    Check(CheckArguments),
    Completions(CompletionsArguments),
}
