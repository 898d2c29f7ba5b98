//! The program `pgmq-notify`, built once and run as its users run it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program. This package cannot depend on a binary of another, so that the first who asks builds it, beside the
/// programs that were built with the tests.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);
    &PROGRAM
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
    let mut command = Command::new(program());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || ["DATABASE_URL", "COLUMNS", "NO_COLOR"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    // Where no configuration file lies.
    command
        .current_dir(env::temp_dir())
        .args(arguments)
        .envs(environment.iter().copied());
    command
}

fn build() -> PathBuf {
    // Of this package, in the directory of the profile.
    let directory = Path::new(env!("CARGO_BIN_EXE_worker"))
        .parent()
        .expect("a program lies in a directory");
    let target = directory.parent().expect("of a target directory");
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--package", "pgmq-notify-cli"])
        .arg("--target-dir")
        .arg(target);
    if directory.ends_with("release") {
        build.arg("--release");
    }
    let output = build.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    directory.join(format!("pgmq-notify{}", env::consts::EXE_SUFFIX))
}
