use std::process::ExitCode;

use clap::error::Error;

use crate::output::{ERROR, HINT, Output};

/// Writes what clap has to say: help and version as data, usage errors as every other error of
/// this program looks.
pub(crate) fn report(error: &Error, output: &Output) -> ExitCode {
    if error.use_stderr() {
        output.styled_words(&restyle(&error.render().to_string()));
        return ExitCode::from(2);
    }
    match output.styled_data(&error.render().ansi().to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(2)
        }
    }
}

/// clap ends with "For more information, try '--help'." and calls a suggestion a tip. Here, both
/// are hints.
fn restyle(text: &str) -> String {
    let restyle = |line: &str| {
        if let Some(message) = line.strip_prefix("error: ") {
            format!("{ERROR}error:{ERROR:#} {message}\n")
        } else if let Some(tip) = line.strip_prefix("  tip: ") {
            format!("{HINT}hint:{HINT:#} {tip}\n")
        } else if line.starts_with("For more information, try") {
            format!("{HINT}hint:{HINT:#} `--help` shows every option\n")
        } else {
            format!("{line}\n")
        }
    };
    text.lines().map(restyle).collect()
}
