use std::time::Duration;

use clap::Args;
use pgmq_notify_client::{ClientError, ErrorKind, InstallReport, PgmqNotifyClient};
use serde::Serialize;

use crate::commands::Answer;
use crate::commands::check::SettingReport;
use crate::config::ConfigOptions;
use crate::database::{DatabaseOptions, Progress, block_on, client_failure};
use crate::failure::Failure;
use crate::output::Output;

/// Install the SQL of a configuration into a database, queue by queue
///
/// Each queue gets its triggers in a short transaction of its own, and busy queues are tried again, so
/// that no writer waits longer than --lock-timeout. Any number of processes may install at the same time,
/// and again: what is right already is not touched. What was interrupted goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it is installed
  2  it is not, or not wholly: the message says what is left

Examples:
  pgmq-notify install --database-url postgres://localhost/shop
  pgmq-notify install --with-pgmq
  pgmq-notify install --dry-run > install.sql
  pgmq-notify install --quiet --json | jq .queues")]
pub(crate) struct InstallArguments {
    /// Create the extension pgmq where the database has no PGMQ
    #[arg(long)]
    with_pgmq: bool,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    config: ConfigOptions,
}

/// Bring what a database has up to the configuration
///
/// As `install`, for a database that has it already. Prints from which version and settings to which.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it is as configured
  2  it is not, or not wholly: the message says what is left

Examples:
  pgmq-notify upgrade --database-url postgres://localhost/shop
  pgmq-notify upgrade --dry-run | less")]
pub(crate) struct UpgradeArguments {
    #[command(flatten)]
    how: How,

    #[command(flatten)]
    config: ConfigOptions,
}

/// What `install`, `upgrade` and `uninstall` have in common.
#[derive(Args, Debug)]
pub(crate) struct How {
    /// Print the SQL instead of running it
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    pub(crate) dry_run: bool,

    /// Print an object with what was done
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing of how far it is
    #[arg(long)]
    pub(crate) quiet: bool,

    /// The longest that a writer may have to wait, in milliseconds; less than `deadlock_timeout`
    #[arg(long, value_name = "MS", default_value_t = 750, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    lock_timeout: u64,

    /// How long busy queues are tried after the last one that was not, in seconds
    #[arg(long, value_name = "S", default_value_t = 60)]
    patience: u64,

    #[command(flatten)]
    pub(crate) database: DatabaseOptions,
}

impl How {
    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_millis(self.lock_timeout)
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

pub(crate) fn install(arguments: &InstallArguments, output: &Output) -> Result<Answer, Failure> {
    let InstallArguments {
        with_pgmq,
        how,
        config,
    } = arguments;
    let config = config.config()?;
    block_on(async {
        let client = how.database.client("install", config)?;
        run(&client, how, *with_pgmq, output).await
    })
}

pub(crate) fn upgrade(arguments: &UpgradeArguments, output: &Output) -> Result<Answer, Failure> {
    let UpgradeArguments { how, config } = arguments;
    let config = config.config()?;
    block_on(async {
        let client = how.database.client("upgrade", config)?;
        let installed = client.installation().await;
        if installed.map_err(|error| failure(&error))?.is_none() {
            return Err(Failure::new(
                "pgmq-notify is not installed in this database",
                "`pgmq-notify install` with these options installs it",
            ));
        }
        run(&client, how, false, output).await
    })
}

async fn run(
    client: &PgmqNotifyClient,
    how: &How,
    with_pgmq: bool,
    output: &Output,
) -> Result<Answer, Failure> {
    let mut progress = Progress::new(output, how.quiet);
    let mut install = client
        .install()
        .with_lock_timeout(how.lock_timeout())
        .with_patience(how.patience());
    if with_pgmq {
        install = install.with_pgmq();
    }
    if how.dry_run {
        let plan = install.plan().await.map_err(|error| failure(&error))?;
        output.data(plan)?;
        return Ok(Answer::Yes);
    }
    let report = install.on_progress(|it| progress.hear(it)).await;
    progress.end();
    let report = report.map_err(|error| failure(&error))?;
    if how.json {
        output.json(&Report::new(&report))?;
    } else {
        output.data(readable(&report))?;
    }
    if report.queues_disabled > 0 && !how.quiet {
        output.hint(
            "a trigger that somebody disabled stays so: alter table pgmq.q_… enable trigger all;",
        );
    }
    Ok(Answer::Yes)
}

/// The remedy for who installs; `doctor` has others.
pub(crate) fn failure(error: &ClientError) -> Failure {
    let explained = client_failure(error);
    let hint = match error.kind() {
        ErrorKind::Conflict => {
            "run it again, it goes on where it was; `select pg_terminate_backend(pid)` ends a transaction that stays open"
        }
        ErrorKind::PermissionDenied => {
            "run it as the owner of PGMQ's tables, or give the SQL of --dry-run to somebody who is"
        }
        ErrorKind::PgmqMissing => {
            "--with-pgmq creates the extension where the server has its files; else run PGMQ's own SQL: https://github.com/pgmq/pgmq/blob/main/INSTALLATION.md"
        }
        ErrorKind::Connection if error.to_string().contains("continues") => {
            "run it again, it goes on where it was"
        }
        _ => explained.hint(),
    };
    Failure::new(explained.message(), hint)
}

fn readable(report: &InstallReport) -> String {
    let mut lines = Vec::new();
    let own = env!("CARGO_PKG_VERSION");
    if let Some(from) = report.from_version.as_deref().filter(|from| *from != own) {
        lines.push(format!("version: {from} -> {own}"));
    }
    lines.extend(report.settings.iter().map(ToString::to_string));
    if report.pgmq_created {
        lines.push("created the extension pgmq".into());
    }
    let mut counts = Vec::new();
    for (count, what) in [
        (report.queues_changed, "changed"),
        (report.queues_right, "right already"),
        (report.queues_disabled, "with a disabled trigger"),
    ] {
        if count > 0 {
            counts.push(format!("{count} {what}"));
        }
    }
    let queues = if counts.is_empty() {
        "no queues".to_owned()
    } else {
        format!("queues: {}", counts.join(", "))
    };
    let what = if report.is_unchanged() {
        "is installed, nothing had to be changed"
    } else if report.from_version.is_some() {
        "is up to date now"
    } else {
        "is installed now"
    };
    lines.push(format!("pgmq-notify {own} {what}; {queues}"));
    lines.join("\n") + "\n"
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    version: &'static str,
    from_version: Option<&'a str>,
    settings: Vec<SettingReport<'a>>,
    pgmq_created: bool,
    sql_changed: bool,
    queues: Queues,
}

#[derive(Serialize)]
struct Queues {
    changed: usize,
    right: usize,
    disabled: usize,
}

impl<'a> Report<'a> {
    fn new(report: &'a InstallReport) -> Self {
        Self {
            status: if report.is_unchanged() {
                "unchanged"
            } else {
                "installed"
            },
            version: env!("CARGO_PKG_VERSION"),
            from_version: report.from_version.as_deref(),
            settings: SettingReport::all(&report.settings),
            pgmq_created: report.pgmq_created,
            sql_changed: report.sql_changed,
            queues: Queues {
                changed: report.queues_changed,
                right: report.queues_right,
                disabled: report.queues_disabled,
            },
        }
    }
}
