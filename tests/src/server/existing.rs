//! A server that somebody else runs.

use std::{env, process::Command, str::FromStr};

use sqlx::postgres::PgConnectOptions;

use super::{guard::Guard, way::variable};
use crate::Error;

/// `$1` is the server, `$2` the prefix of the databases this process makes. Each is dropped in a statement of its own.
const CLEANUP: &str = r#"
printf '%s\n' "select format('drop database if exists %I with (force)', datname) from pg_database
               where starts_with(datname, '$2') \gexec" | psql -Xq -d "$1"
"#;

/// The server of `PGMQ_NOTIFY_TEST_URL`.
#[derive(Debug)]
pub(super) struct Existing {
    options: PgConnectOptions,
    _guard: Option<Guard>,
}

impl Existing {
    /// `databases` is the prefix of the names of every database this process will make.
    ///
    /// Without `psql`, databases are dropped by their tests only, and what a killed process or the shared template
    /// leaves stays there.
    pub(super) fn from_env(databases: &str) -> Result<Self, Error> {
        let url = variable("PGMQ_NOTIFY_TEST_URL").unwrap_or_default();
        let url = url
            .to_str()
            .ok_or_else(|| Error::new("PGMQ_NOTIFY_TEST_URL is not UTF-8"))?;
        let options =
            PgConnectOptions::from_str(url).map_err(Error::because("read PGMQ_NOTIFY_TEST_URL"))?;
        let guard = Command::new("psql")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
            .then(|| Guard::start("", CLEANUP, &[url, databases], None))
            .transpose()?;
        Ok(Self {
            options,
            _guard: guard,
        })
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }
}

/// Whether there is such a server at all.
pub(super) fn is_given() -> bool {
    env::var_os("PGMQ_NOTIFY_TEST_URL").is_some_and(|url| !url.is_empty())
}
