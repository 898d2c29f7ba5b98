mod head;
mod report;
mod table;

use clap::Args;
use pgmq_notify_client::{PgmqNotifyConfig, QueueStatus, Status};

use self::report::{InstallationReport, InstallationState, Report};
use crate::commands::Answer;
use crate::database::{DatabaseOptions, block_on, client_failure, instead_of};
use crate::failure::Failure;
use crate::output::Output;

/// Show queues, triggers, depth, age and consumers, and what is installed
///
/// It changes nothing and claims nothing, needs no configuration, and works before pgmq-notify is installed and on a
/// standby. It runs a dozen statements and one more for each hundred queues. A queue is counted up to 1000 messages;
/// beyond, its depth is what the statistics of PostgreSQL say, marked with ~. What this role may not know is shown
/// as -, and so is what is not there.
///
/// VISIBLE are messages that a reader gets now, and OLDEST says how long ago the first of them was sent. INVISIBLE
/// ones are claimed or delayed. CONSUMERS wait for a queue whose delivery is `wake_up`; with a * one is at work. A
/// terminal shows the columns that it has room for; a pipe and --json have all.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it was shown, whatever it is
  2  error

Examples:
  pgmq-notify status
  pgmq-notify status --queue orders_queue
  pgmq-notify status --json | jq '.queues[] | select(.triggers == \"missing\").name'")]
pub(crate) struct StatusArguments {
    /// Only the queues of this namespace (repeatable)
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,

    /// Only this queue (repeatable)
    #[arg(long, value_name = "NAME")]
    queue: Vec<String>,

    /// Print one object, as docs/status.md explains it
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

pub(crate) fn run(arguments: &StatusArguments, output: &Output) -> Result<Answer, Failure> {
    let mut status = block_on(async {
        let client = arguments
            .database
            .client("status", PgmqNotifyConfig::new())?;
        client
            .status()
            .await
            .map_err(|error| client_failure(&error))
    })?;
    arguments.select(&mut status)?;
    let report = Report::of(&status);
    if arguments.json {
        output.json(&report)?;
        return Ok(Answer::Yes);
    }
    output.styled_data(&table::text(&report, output.terminal_width()))?;
    explain(&report, output);
    if report.queues.is_empty() {
        output.note(&arguments.none());
    }
    Ok(Answer::Yes)
}

impl StatusArguments {
    /// Leaves the queues that were named, in either way; all, if none was.
    fn select(&self, status: &mut Status) -> Result<(), Failure> {
        if self.queue.is_empty() && self.namespace.is_empty() {
            return Ok(());
        }
        let wanted: Vec<_> = self.queue.iter().map(|it| it.to_lowercase()).collect();
        let is_called = |queue: &QueueStatus, name: &String| queue.name.to_lowercase() == *name;
        for (name, given) in wanted.iter().zip(&self.queue) {
            if !status.queues.iter().any(|it| is_called(it, name)) {
                let names: Vec<_> = status.queues.iter().map(|it| it.name.clone()).collect();
                return Err(Failure::new(
                    format!("there is no queue {given:?}"),
                    instead_of(name, &names),
                ));
            }
        }
        status.queues.retain(|queue| {
            let namespace = queue.namespace.as_ref();
            wanted.iter().any(|name| is_called(queue, name))
                || namespace.is_some_and(|it| self.namespace.contains(it))
        });
        Ok(())
    }

    fn none(&self) -> String {
        match &self.namespace[..] {
            [] => "there is no queue; select pgmq.create('name') makes one".into(),
            [name] => format!("no queue is in the namespace {name:?}"),
            names => format!("no queue is in the namespaces {names:?}"),
        }
    }
}

/// What keeps events from coming, and the remedy.
fn explain(report: &Report<'_>, output: &Output) {
    let server = &report.server;
    if server.standby {
        output.note("this is a standby: nobody can listen here, and nothing is published");
    }
    if server.notification_queue_usage >= 0.5 {
        output.note("the notification queue is more than half full: nothing is published");
        output.hint("`pgmq-notify doctor` names the session that does not read");
    }
    match &report.installation {
        InstallationReport {
            state: InstallationState::Missing,
            ..
        } => {
            output.note("pgmq-notify is not installed in this database: nothing is published");
            output.hint("`pgmq-notify install` installs it, or apply the migration");
        }
        InstallationReport {
            state: InstallationState::Unreadable,
            ..
        } => {
            output.note("this role may not read pgmq_notify.installation");
            output.hint("`pgmq-notify doctor` prints the grants that a role lacks");
        }
        InstallationReport {
            up_to_date: Some(false),
            ..
        } => {
            let version = env!("CARGO_PKG_VERSION");
            output.note(&format!(
                "what is installed is not what pgmq-notify {version} installs with its configuration"
            ));
            output.hint("`pgmq-notify doctor` says what differs");
        }
        InstallationReport { .. } => {}
    }
}
