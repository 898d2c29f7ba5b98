use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::commands::Answer;
use crate::failure::Failure;
use crate::output::Output;

/// Print the completion script of a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgmq-notify completions bash > ~/.local/share/bash-completion/completions/pgmq-notify
  pgmq-notify completions zsh > \"${fpath[1]}/_pgmq-notify\"
  pgmq-notify completions fish > ~/.config/fish/completions/pgmq-notify.fish
  pgmq-notify completions powershell >> $PROFILE")]
pub(crate) struct CompletionsArguments {
    /// The shell that reads the script
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments, output: &Output) -> Result<Answer, Failure> {
    // Into memory first: clap_complete panics when its writer fails, on a closed pipe for example.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "pgmq-notify",
        &mut script,
    );
    output.data(script)?;
    Ok(Answer::Yes)
}
