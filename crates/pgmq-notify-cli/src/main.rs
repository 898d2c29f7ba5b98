//! `pgmq-notify` generates, validates, checks and installs the SQL that makes PGMQ event-driven, and shows what happens
//! in a database that has it.
//!
//! What writes and compares files connects to nothing. Its configuration is `pgmq-notify.toml`, overridden by options;
//! the sample beside this crate's manifest explains each key. A namespace of the file overrides both, so `--payload`
//! and `--delivery` say what holds for the others. What watches and sends (`status`, `listen`, `send`, `dead-letters`, `top`)
//! takes the settings that the database has:
//!
//! ```console
//! $ pgmq-notify listen --bodies
//! listening to every queue; Ctrl-C stops
//! 12:31:07.123Z  orders_queue  message 7  {"id": 7}
//! 12:31:08.002Z  mail_queue  3 messages, 12 to 14
//! $ pgmq-notify top --once
//! pgmq-notify top  shop, PostgreSQL 15.18, every 2s                                          connected
//! 3 queues  sent 1005/s  done 950/s  events 1000/s  latency 0.4ms  notify 0.0%
//!
//! QUEUE              DEPTHv  VISIBLE  OLDEST  SENT/S  DONE/S  EVENT/S  LATENCY  CONS   DEAD
//! orders_queue       ~52345   ~52325     34s    1000     945     1000    0.4ms     -      3
//! mail_queue             14       11     34s     5.0     5.0        0        -    2*      -
//! orders_queue_dlq        3        3     34s       0       0        0        -     -      -
//! ```
//!
//! Data goes to standard output and
//! words to standard error. The exit code is 0 for yes, 1 for "checked, and the answer is no", and 2
//! for an error, which comes with a `hint:`.

mod cli;
mod commands;
mod config;
mod config_file;
#[cfg(feature = "database")]
mod database;
mod failure;
#[cfg(feature = "database")]
mod figures;
mod migration_files;
mod output;
mod redacted;
#[cfg(feature = "database")]
mod span;
#[cfg(feature = "database")]
mod text;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::Answer;
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let output = Output::from_environment();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error, &output),
    };
    match run(cli, &output) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<Answer, Failure> {
    match cli.command {
        Command::GenerateMigration(arguments) => {
            commands::generate_migration::run(&arguments, output)
        }
        Command::ValidateConfig(arguments) => commands::validate_config::run(&arguments, output),
        Command::Check(arguments) => commands::check::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::Status(arguments) => commands::status::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::Listen(arguments) => commands::listen::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::Send(arguments) => commands::send::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::DeadLetters(arguments) => commands::dead_letters::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::Top(arguments) => commands::top::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::Doctor(arguments) => commands::doctor::run(&arguments, output),
        #[cfg(feature = "database")]
        Command::Install(arguments) => commands::install::install(&arguments, output),
        #[cfg(feature = "database")]
        Command::Upgrade(arguments) => commands::install::upgrade(&arguments, output),
        #[cfg(feature = "database")]
        Command::Uninstall(arguments) => commands::uninstall::run(&arguments, output),
        Command::Completions(arguments) => commands::completions::run(&arguments, output),
    }
}
