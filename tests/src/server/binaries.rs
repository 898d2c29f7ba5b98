//! Finding a PostgreSQL server's programs on this machine.

use std::{
    cmp::Reverse,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::account::Account;

/// A server needs all of them; Debian's PATH, for one, has only the clients.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Where packages put them. `*` stands for a version, or part of one.
const PLACES: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/lib/postgresql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// The directory of a usable server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// The first usable of `directories`, or why each of them is not.
    pub(super) fn find(
        directories: Vec<PathBuf>,
        account: Option<&Account>,
    ) -> Result<Self, Vec<(PathBuf, String)>> {
        let mut refused = Vec::new();
        for directory in directories {
            match Self::in_directory(&directory, account) {
                Ok(binaries) => return Ok(binaries),
                Err(reason) => refused.push((directory, reason)),
            }
        }
        Err(refused)
    }

    fn in_directory(directory: &Path, account: Option<&Account>) -> Result<Self, String> {
        let missing: Vec<_> = PROGRAMS
            .into_iter()
            .filter(|name| !directory.join(name).is_file())
            .collect();
        if !missing.is_empty() {
            return Err(format!("no {}", missing.join(", ")));
        }
        // Links lead to the real directory, where the other programs of the same version are.
        let initdb =
            fs::canonicalize(directory.join("initdb")).map_err(|error| error.to_string())?;
        let real = initdb
            .parent()
            .filter(|real| PROGRAMS.iter().all(|name| real.join(name).is_file()));
        let binaries = Self(real.unwrap_or(directory).to_owned());
        // Root may find programs that the account it drops to cannot run.
        let mut command = binaries.command("postgres", account);
        command
            .arg("--version")
            .stdin(Stdio::null())
            .current_dir("/");
        match command.output() {
            Ok(output) if output.status.success() => Ok(binaries),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("the server's user cannot run postgres: {error}")),
        }
    }

    /// `program`, run as `account`, with nothing of this process's own PostgreSQL settings.
    pub(super) fn command(&self, program: &str, account: Option<&Account>) -> Command {
        let mut command = Command::new(self.0.join(program));
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG"))
        {
            command.env_remove(name);
        }
        if let Some(account) = account {
            account.apply(&mut command);
        }
        command
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }
}

/// Where to look when nobody said: the PATH, then the usual places, newest first.
pub(super) fn usual_directories() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|directory| directory.join("initdb").is_file());
    on_path.chain(PLACES.into_iter().flat_map(expand)).collect()
}

/// The directories a pattern with at most one `*` stands for, highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return Some(PathBuf::from(pattern))
            .filter(|directory| directory.is_dir())
            .into_iter()
            .collect();
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let version = name
                .strip_prefix(prefix)?
                .split('.')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .ok()?;
            let directory = PathBuf::from(format!("{parent}/{name}{after}"));
            directory.is_dir().then_some((version, directory))
        })
        .collect();
    found.sort_by_key(|(version, _)| Reverse(version.clone()));
    found.into_iter().map(|(_, directory)| directory).collect()
}
