use clap::Args;
use pgmq_notify_client::Redriven;
use serde::Serialize;

use super::letters::Letters;
use super::{Chosen, client, say_missing};
use crate::commands::Answer;
use crate::database::{DatabaseOptions, client_failure};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::printable;

/// As many as go back in one transaction.
const AT_ONCE: u32 = 1000;

/// Put dead letters back into the queues they came from, as new messages
///
/// Prints, for each, its id here, the queue that it is in again and its new id there. What somebody has
/// claimed stays.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  they are back
  1  some of the ids are no dead letters of this queue, or claimed; the others are back
  2  error

Examples:
  pgmq-notify dead-letters redrive orders_queue_dlq 3 4
  pgmq-notify dead-letters redrive orders_queue_dlq --all --limit 100")]
pub(super) struct RedriveArguments {
    #[command(flatten)]
    chosen: Chosen,

    /// At most this many, the oldest first
    #[arg(long, value_name = "N", conflicts_with = "ids")]
    limit: Option<u32>,

    /// Print an object for each
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

#[derive(Serialize)]
struct Object<'a> {
    dead_letter_id: i64,
    queue: &'a str,
    msg_id: i64,
}

pub(super) async fn run(arguments: &RedriveArguments, output: &Output) -> Result<Answer, Failure> {
    let client = client(&arguments.database).await?;
    let Chosen { queue, ids, .. } = &arguments.chosen;
    Letters::of(client.pool(), queue).await?;
    if !ids.is_empty() {
        let redriven = client.redrive_by_ids(queue, ids).await;
        let redriven = redriven.map_err(|error| client_failure(&error))?;
        print(&redriven, arguments.json, output)?;
        let found: Vec<_> = redriven.iter().map(|it| it.dead_letter_id).collect();
        return Ok(say_missing(
            ids,
            &found,
            "no dead letters here, or claimed",
            output,
        ));
    }
    let mut left = arguments.limit.unwrap_or(u32::MAX);
    let mut count = 0;
    while left > 0 {
        let redriven = client.redrive(queue, left.min(AT_ONCE)).await;
        let redriven = redriven.map_err(|error| client_failure(&error))?;
        print(&redriven, arguments.json, output)?;
        let number = u32::try_from(redriven.len()).unwrap_or(u32::MAX);
        count += number;
        if number < left.min(AT_ONCE) {
            break;
        }
        left -= number;
    }
    output.note(&format!(
        "{count} dead letters of {} put back",
        printable(queue)
    ));
    Ok(Answer::Yes)
}

fn print(redriven: &[Redriven], json: bool, output: &Output) -> Result<(), Failure> {
    for it in redriven {
        let (dead_letter_id, msg_id) = (it.dead_letter_id, it.msg_id);
        let queue = it.queue.as_str();
        if json {
            output.json(&Object {
                dead_letter_id,
                queue,
                msg_id,
            })?;
        } else {
            output.data(format!(
                "{dead_letter_id} -> {} {msg_id}\n",
                printable(queue)
            ))?;
        }
    }
    Ok(())
}
