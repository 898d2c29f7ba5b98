//! Each finding is provoked, found by the command, repaired by the remedy that it printed, and gone.

mod installed;
mod namespaces;
mod pgmq;
mod privileges;
mod restored;
mod said;
mod server;
mod working;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use pgmq_notify_tests::TestDatabase;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgPool};

use crate::harness::command_line::{self, Ran};

/// What `doctor --json` prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    healthy: bool,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Finding>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    severity: String,
    code: String,
    subject: String,
    explanation: String,
    remedy: Remedy,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remedy {
    kind: String,
    text: String,
}

impl Report {
    fn codes(&self) -> Vec<&str> {
        self.findings.iter().map(|it| it.code.as_str()).collect()
    }

    #[track_caller]
    fn only(&self, code: &str) -> Finding {
        let mut of_code = self.findings.iter().filter(|it| it.code == code);
        let (found, more) = (of_code.next(), of_code.next());
        assert!(found.is_some() && more.is_none(), "{code}: {self:?}");
        found.unwrap().clone()
    }
}

/// Runs the command at this address, beside what else the test does.
async fn run_at(url: &str, arguments: &[&str]) -> Ran {
    let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let url = url.to_owned();
    let running = tokio::task::spawn_blocking(move || {
        let arguments: Vec<_> = ["doctor"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str))
            .collect();
        command_line::run(&arguments, &[("DATABASE_URL", &url)])
    });
    running.await.unwrap()
}

async fn examine_at(url: &str, arguments: &[&str]) -> Report {
    let ran = run_at(url, &[arguments, &["--json"]].concat()).await;
    let report: Report = match serde_json::from_str(&ran.stdout) {
        Ok(report) => report,
        Err(error) => panic!("{error}: {ran:?}"),
    };
    let is_wrong = report.errors + report.warnings > 0;
    assert_eq!(report.healthy, !is_wrong, "{ran:?}");
    assert_eq!(ran.code, Some(i32::from(is_wrong)), "{ran:?}");
    let counted = report.errors + report.warnings + report.notes;
    assert_eq!(report.findings.len(), counted, "{ran:?}");
    assert_eq!(ran.stderr, "");
    report
}

async fn examine(database: &TestDatabase, arguments: &[&str]) -> Report {
    examine_at(&database.url(), arguments).await
}

/// Does what a person would: pastes it.
async fn paste(url: &str, finding: &Finding) {
    let Remedy { kind, text } = &finding.remedy;
    match kind.as_str() {
        "sql" => {
            let pool = PgPool::connect(url).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(text.clone()))
                .execute(&pool)
                .await;
            pool.close().await;
            done.unwrap_or_else(|error| panic!("{finding:?}: {error}"));
        }
        "shell" => {
            let ran = shell(url, text).await;
            assert_eq!(ran.code, Some(0), "{finding:?}: {ran:?}");
        }
        _ => panic!("there is nothing to paste: {finding:?}"),
    }
}

/// Runs a line of a shell that finds `pgmq-notify`, and this database.
async fn shell(url: &str, line: &str) -> Ran {
    let program = command_line::program();
    let directory = program.parent().unwrap();
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let directories =
        std::iter::once(PathBuf::from(directory)).chain(std::env::split_paths(&directories));
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(std::env::temp_dir())
        .env("PATH", std::env::join_paths(directories).unwrap())
        .env("DATABASE_URL", url)
        .stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = running.await.unwrap().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// There is one such finding, and after its remedy there is none.
async fn cured(database: &TestDatabase, arguments: &[&str], code: &str) -> Finding {
    let found = examine(database, arguments).await.only(code);
    paste(&database.url(), &found).await;
    gone(database, arguments, code).await;
    found
}

async fn gone(database: &TestDatabase, arguments: &[&str], code: &str) {
    let after = examine(database, arguments).await;
    assert!(!after.codes().contains(&code), "{code} stays: {after:?}");
}

fn url_of(options: &sqlx::postgres::PgConnectOptions) -> String {
    options.to_url_lossy().into()
}
