//! Scripts of many statements, run against a test's database.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use sqlx::AssertSqlSafe;

use crate::{Error, TestDatabase};

impl TestDatabase {
    /// Runs a script as one message of the simple protocol, so in one transaction unless it says otherwise.
    pub async fn run(&self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.into()))
            .execute(self.pool())
            .await
            .map(drop)
    }

    /// Runs a script as a user would, through `psql`, each statement for itself, and returns what was printed.
    ///
    /// # Errors
    /// What `psql` said of the first statement that failed, or that there is no `psql`.
    pub async fn psql(&self, script: impl Into<String>) -> Result<String, Error> {
        let program = self
            .server()
            .binaries()
            .map(|directory| directory.join("psql"));
        let program = program
            .filter(|psql| psql.is_file())
            .unwrap_or_else(|| "psql".into());
        let mut command = Command::new(program);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.psql_url());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let script = script.into();
        tokio::task::spawn_blocking(move || pipe(command, script))
            .await
            .unwrap_or_else(|error| Err(Error::because("run psql")(error)))
    }

    /// sqlx adds parameters that libpq does not know.
    fn psql_url(&self) -> String {
        let url = self.url();
        url.split_once('?')
            .map_or_else(|| url.clone(), |(url, _)| url.to_owned())
    }
}

fn pipe(mut command: Command, script: String) -> Result<String, Error> {
    let mut child = command.spawn().map_err(Error::because("start psql"))?;
    let stdin = child.stdin.take();
    // Beside the reading: a long script and a long answer would wait for each other.
    let writer = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(script.as_bytes())));
    let output = child
        .wait_with_output()
        .map_err(Error::because("run psql"))?;
    let _ = writer.join();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::new(String::from_utf8_lossy(&output.stderr).trim()))
    }
}
