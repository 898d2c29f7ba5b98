use std::path::PathBuf;

use clap::Args;

use crate::commands::Answer;
use crate::config_file::ConfigFile;
use crate::failure::Failure;
use crate::output::Output;

/// Report every problem of a configuration file, each with its line
///
/// Checks the syntax, the keys, the types and the values, the queue naming pattern included. Prints
/// one line a problem, `FILE:LINE:COLUMN: MESSAGE`, and nothing when there is none.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  the file is valid
  1  it has problems
  2  it cannot be read

Examples:
  pgmq-notify validate-config pgmq-notify.toml
  pgmq-notify validate-config pgmq-notify.toml --json | jq '.[].line'")]
pub(crate) struct ValidateConfigArguments {
    /// The TOML file
    file: PathBuf,

    /// Print an array of {line, column, setting, message}
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ValidateConfigArguments, output: &Output) -> Result<Answer, Failure> {
    let name = arguments.file.display();
    let problems = ConfigFile::read(&arguments.file)?.validate();
    if arguments.json {
        output.json(&problems)?;
    } else {
        let line = |problem| format!("{name}:{problem}\n");
        let lines: Vec<_> = problems.iter().map(line).collect();
        output.data(lines.concat())?;
    }
    Ok(match problems.len() {
        0 => {
            output.note(&format!("{name} is valid"));
            Answer::Yes
        }
        1 => {
            output.note(&format!("{name} has 1 problem"));
            Answer::No
        }
        count => {
            output.note(&format!("{name} has {count} problems"));
            Answer::No
        }
    })
}
