//! Finding PgBouncer, or fetching it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::super::{account::Account, variable};
use crate::Error;

/// Where packages put it, which is not on everybody's PATH.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/// Unpacks the package without root, where the system has apt.
const FETCH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/fetch");

const ADVICE: &str = "no PgBouncer to test with: `apt install pgbouncer`, `dnf install pgbouncer` or `brew install pgbouncer`";

/// The program, for this whole process; what was fetched stays for the next.
pub(super) fn find(account: Option<&Account>) -> Result<PathBuf, Error> {
    static PROGRAM: OnceLock<Result<PathBuf, Error>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            // Whoever names one means that one.
            if let Some(program) = variable("PGMQ_NOTIFY_TEST_PGBOUNCER").map(PathBuf::from) {
                return runs(&program, account)
                    .map(|()| program)
                    .map_err(|reason| Error::new(format!("{ADVICE}\ntried {reason}")));
            }
            let path = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&path)
                .chain(PLACES.map(PathBuf::from))
                .map(|directory| directory.join("pgbouncer"))
                .find(|program| program.is_file() && runs(program, account).is_ok())
                .map_or_else(|| fetch(account), Ok)
        })
        .clone()
}

/// `program`, run as `account`.
pub(super) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    if let Some(account) = account {
        account.apply(&mut command);
    }
    command
}

fn fetch(account: Option<&Account>) -> Result<PathBuf, Error> {
    let advice = |reason: &str| Error::new(format!("{ADVICE}\ntried {FETCH} pgbouncer: {reason}"));
    let fetched = Command::new(FETCH)
        .arg("pgbouncer")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| advice(&error.to_string()))?;
    if !fetched.status.success() {
        return Err(advice(String::from_utf8_lossy(&fetched.stderr).trim()));
    }
    let directory = String::from_utf8_lossy(&fetched.stdout);
    let program = Path::new(directory.trim()).join("pgbouncer");
    runs(&program, account).map_err(|reason| advice(&reason))?;
    Ok(program)
}

/// Root may find a program that the account it drops to cannot run.
fn runs(program: &Path, account: Option<&Account>) -> Result<(), String> {
    let mut command = command(program, account);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .current_dir("/");
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{}: {error}", program.display())),
    }
}
