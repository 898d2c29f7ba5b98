mod remedy;
mod report;

use std::time::Duration;

use clap::{Args, ValueEnum};
use pgmq_notify_client::{
    ClientError, Diagnosis, ErrorKind, PgmqNotifyClient, PgmqNotifyConfig, RoleKind, Severity,
};

use self::remedy::InstallCommand;
use self::report::{Report, readable};
use crate::commands::Answer;
use crate::config::ConfigOptions;
use crate::database::{DatabaseOptions, block_on, client_failure};
use crate::failure::Failure;
use crate::output::Output;
use crate::span;

/// Find what is wrong with a database, and print what repairs it
///
/// Looks at the server, poolers, PGMQ, what is installed, triggers, rights, consumers, backlogs and dead letters, and changes
/// nothing. Each finding has a severity, a code, an explanation and a remedy to paste; docs/doctor.md lists the codes.
/// Commands are printed without --database-url, which may hold a password. Without a configuration the database is compared
/// with its own.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  nothing is wrong; notes do not count
  1  something is
  2  it could not be examined

Examples:
  pgmq-notify doctor --database-url postgres://localhost/shop
  pgmq-notify doctor --config deploy/pgmq-notify.toml
  pgmq-notify doctor --role worker --as consumer --queue orders_queue
  pgmq-notify doctor --json | jq -r '.findings[].remedy.text'")]
pub(crate) struct DoctorArguments {
    /// The role whose rights are examined [default: the one that connects]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,

    /// What that role is for
    #[arg(long = "as", value_name = "KIND", default_value = "listener")]
    kind: Kind,

    /// A queue that it works with; repeatable [default: those on which it has any right, or all]
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,

    /// How long a message may wait before that is a finding
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = span::duration)]
    backlog_age: Duration,

    /// Print an object with every finding
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,

    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Sends
    Producer,
    /// Listens
    Listener,
    /// Claims and settles messages
    Consumer,
    /// Installs
    Owner,
}

impl From<Kind> for RoleKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Producer => Self::Producer,
            Kind::Listener => Self::Listener,
            Kind::Consumer => Self::Consumer,
            Kind::Owner => Self::Owner,
        }
    }
}

pub(crate) fn run(arguments: &DoctorArguments, output: &Output) -> Result<Answer, Failure> {
    let is_given = arguments.config.is_given();
    let config = if is_given {
        arguments.config.config()?
    } else {
        PgmqNotifyConfig::new()
    };
    let diagnosis = block_on(async {
        let client = arguments.database.client("doctor", config)?;
        examine(&client, arguments, is_given).await
    })?;
    let install = InstallCommand::new(is_given.then_some(&arguments.config), &diagnosis.config);
    if arguments.json {
        output.json(&Report::new(&diagnosis, &install))?;
    } else {
        output.styled_data(&readable(&diagnosis, &install))?;
        output.note(&summary(&diagnosis));
    }
    Ok(if diagnosis.is_healthy() {
        Answer::Yes
    } else {
        Answer::No
    })
}

async fn examine(
    client: &PgmqNotifyClient,
    arguments: &DoctorArguments,
    is_given: bool,
) -> Result<Diagnosis, Failure> {
    let mut doctor = client
        .doctor()
        .with_role_kind(arguments.kind.into())
        .with_queues(arguments.queues.clone())
        .with_backlog_age(arguments.backlog_age);
    if !is_given {
        doctor = doctor.with_any_config();
    }
    if let Some(role) = &arguments.role {
        doctor = doctor.with_role(role);
    }
    doctor.await.map_err(|error| failure(&error))
}

/// Without the advice to examine it.
fn failure(error: &ClientError) -> Failure {
    let explained = client_failure(error);
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => {
            "check the role, its password and pg_hba.conf (--database-url, DATABASE_URL, PGUSER, PGPASSWORD)"
        }
        ErrorKind::Database | ErrorKind::Unexpected => {
            "run it again; if that does not help, it is an error of pgmq-notify"
        }
        _ => explained.hint(),
    };
    Failure::new(explained.message(), hint)
}

/// `2 errors, 1 warning, 3 notes`.
fn summary(diagnosis: &Diagnosis) -> String {
    let mut parts = Vec::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        match report::count(diagnosis, severity) {
            0 => {}
            1 => parts.push(format!("1 {severity}")),
            count => parts.push(format!("{count} {severity}s")),
        }
    }
    if parts.is_empty() {
        return "nothing is wrong".into();
    }
    let parts = parts.join(", ");
    if diagnosis.is_healthy() {
        format!("nothing is wrong; {parts}")
    } else {
        parts
    }
}
