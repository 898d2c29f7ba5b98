//! The command line tool, for tests that run it against a server.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::Error;

/// A command that runs `pgmq-notify` as it is in this workspace now, with nothing in its environment that names a database.
///
/// Cargo builds it beside the tests when all of the workspace is tested. When only some is, it is built here.
///
/// # Panics
/// If it cannot be built.
pub fn tool() -> Command {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    let program = TOOL.get_or_init(|| built().unwrap_or_else(|error| panic!("{error:?}")));
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("PG") && !name.starts_with("PGMQ") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").env_remove("COLUMNS");
    command
}

fn built() -> Result<PathBuf, Error> {
    // This is target/<profile>/deps/it-0123456789abcdef, or an example or benchmark at the same depth.
    let own = env::current_exe().map_err(Error::because("find this program"))?;
    let directory = own.parent().and_then(Path::parent);
    let directory =
        directory.ok_or_else(|| Error::new("this program is not in a directory of cargo"))?;
    let program = directory.join(format!("pgmq-notify{}", env::consts::EXE_SUFFIX));
    if is_fresh(&program) {
        return Ok(program);
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Of the whole workspace: with the features that its other members were built with.
    command
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "pgmq-notify",
            "--target-dir",
        ])
        .arg(directory.parent().unwrap_or(directory))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if directory.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().map_err(Error::because("run cargo"))?;
    if status.success() && program.is_file() {
        return Ok(program);
    }
    Err(Error::new("cargo did not build the command line tool"))
}

/// Whether none of the files that it was built from is newer. Cargo lists them beside it.
fn is_fresh(program: &Path) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let Some(built) = changed(program) else {
        return false;
    };
    let Ok(list) = fs::read_to_string(program.with_extension("d")) else {
        return false;
    };
    let Some((_, sources)) = list.split_once(": ") else {
        return false;
    };
    sources
        .split_whitespace()
        .all(|source| changed(Path::new(source)).is_some_and(|changed| changed <= built))
}
