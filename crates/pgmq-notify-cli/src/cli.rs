use clap::{Parser, Subcommand};

use crate::commands::check::CheckArguments;
use crate::commands::completions::CompletionsArguments;
#[cfg(feature = "database")]
use crate::commands::dead_letters::DeadLettersArguments;
#[cfg(feature = "database")]
use crate::commands::doctor::DoctorArguments;
use crate::commands::generate_migration::GenerateMigrationArguments;
#[cfg(feature = "database")]
use crate::commands::install::{InstallArguments, UpgradeArguments};
#[cfg(feature = "database")]
use crate::commands::listen::ListenArguments;
#[cfg(feature = "database")]
use crate::commands::send::SendArguments;
#[cfg(feature = "database")]
use crate::commands::status::StatusArguments;
#[cfg(feature = "database")]
use crate::commands::top::TopArguments;
#[cfg(feature = "database")]
use crate::commands::uninstall::UninstallArguments;
use crate::commands::validate_config::ValidateConfigArguments;

/// Event-driven PGMQ: generates, checks and installs the SQL that publishes typed events when messages
/// arrive, and shows what happens in a database.
///
/// The commands that write and compare migrations connect to nothing. The others find their database by
/// `--database-url`, `DATABASE_URL`, or PostgreSQL's own variables.
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
  pgmq-notify install --database-url postgres://localhost/shop

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
    #[cfg(feature = "database")]
    Status(StatusArguments),
    #[cfg(feature = "database")]
    Listen(ListenArguments),
    #[cfg(feature = "database")]
    Send(SendArguments),
    #[cfg(feature = "database")]
    DeadLetters(DeadLettersArguments),
    #[cfg(feature = "database")]
    Top(TopArguments),
    #[cfg(feature = "database")]
    Doctor(DoctorArguments),
    #[cfg(feature = "database")]
    Install(InstallArguments),
    #[cfg(feature = "database")]
    Upgrade(UpgradeArguments),
    #[cfg(feature = "database")]
    Uninstall(UninstallArguments),
    Completions(CompletionsArguments),
}
