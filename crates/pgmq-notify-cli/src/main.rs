//! `pgmq-notify` generates, validates and checks the SQL that makes PGMQ event-driven.
//!
//! It writes and compares files; it never connects to a database. The configuration is `pgmq-notify.toml`,
//! overridden by options; the sample beside this crate's manifest explains each key. A namespace of the
//! file overrides both, so `--payload` and `--delivery` say what holds for the others.
//!
//! Data goes to standard output and
//! words to standard error. The exit code is 0 for yes, 1 for "checked, and the answer is no", and 2
//! for an error, which comes with a `hint:`.

mod cli;
mod commands;
mod config;
mod config_file;
mod failure;
mod migration_files;
mod output;
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
        Command::Completions(arguments) => commands::completions::run(&arguments, output),
    }
}
