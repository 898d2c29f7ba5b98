use clap::Args;
use pgmq_notify_client::PgmqNotifyConfig;
use serde::Serialize;

use crate::commands::Answer;
use crate::commands::install::{How, failure};
use crate::database::{Progress, block_on};
use crate::failure::Failure;
use crate::output::Output;

/// Remove from a database all that `install` or a migration has installed, queue by queue
///
/// PGMQ, its queues and their messages stay as they are. Consumers poll from then on.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it is removed, or was not there
  2  it is not, or not wholly: the message says what is left

Examples:
  pgmq-notify uninstall --database-url postgres://localhost/shop
  pgmq-notify uninstall --dry-run > uninstall.sql")]
pub(crate) struct UninstallArguments {
    #[command(flatten)]
    how: How,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    tables_changed: usize,
}

pub(crate) fn run(arguments: &UninstallArguments, output: &Output) -> Result<Answer, Failure> {
    let UninstallArguments { how } = arguments;
    block_on(async {
        let client = how.database.client("uninstall", PgmqNotifyConfig::new())?;
        let mut progress = Progress::new(output, how.quiet);
        let uninstall = client
            .uninstall()
            .with_lock_timeout(how.lock_timeout())
            .with_patience(how.patience());
        if how.dry_run {
            let plan = uninstall.plan().await.map_err(|error| failure(&error))?;
            output.data(plan)?;
            return Ok(Answer::Yes);
        }
        let report = uninstall.on_progress(|it| progress.hear(it)).await;
        progress.end();
        let report = report.map_err(|error| failure(&error))?;
        if how.json {
            output.json(&Report {
                status: if report.removed { "removed" } else { "absent" },
                tables_changed: report.tables_changed,
            })?;
        } else if report.removed {
            let tables = report.tables_changed;
            output.data(format!(
                "pgmq-notify is removed; tables that had triggers: {tables}\n"
            ))?;
        } else {
            output.data("pgmq-notify was not installed\n")?;
        }
        Ok(Answer::Yes)
    })
}
