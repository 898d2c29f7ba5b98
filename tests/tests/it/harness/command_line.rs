//! The program `pgmq-notify`, run as its users run it.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use pgmq_notify_tests::tool;

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn program() -> PathBuf {
    tool().get_program().into()
}

/// Runs it with these arguments, and with nothing of this process's environment that it would read but `environment`.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = command(arguments, environment)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, to be started otherwise.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = tool();
    // Where no configuration file lies.
    command
        .current_dir(env::temp_dir())
        .args(arguments)
        .envs(environment.iter().copied());
    command
}
