use std::io::{self, IsTerminal as _};

use clap::Args;

use super::letters::Letters;
use super::{Chosen, say_missing};
use crate::commands::Answer;
use crate::database::DatabaseOptions;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::printable;

/// As many as are deleted in one transaction.
const AT_ONCE: i64 = 1000;

/// Delete dead letters for good
///
/// Asks on a terminal. Prints their ids. What somebody has claimed stays, and so does a message that is no dead
/// letter.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  they are gone
  1  some of the ids are no dead letters of this queue, or claimed; or the answer was no
  2  error

Examples:
  pgmq-notify dead-letters drop orders_queue_dlq 3 4
  pgmq-notify dead-letters drop orders_queue_dlq --all --yes")]
pub(super) struct DropArguments {
    #[command(flatten)]
    chosen: Chosen,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

pub(super) async fn run(arguments: &DropArguments, output: &Output) -> Result<Answer, Failure> {
    let pool = super::connected(&arguments.database).await?;
    let Chosen { queue, ids, .. } = &arguments.chosen;
    let letters = Letters::of(&pool, queue).await?;
    if !arguments.yes {
        let count = match ids.len() {
            0 => letters.count(&pool).await?,
            ids => i64::try_from(ids).unwrap_or(i64::MAX),
        };
        if !confirmed(count, queue, output)? {
            output.note("nothing was deleted");
            return Ok(Answer::No);
        }
    }
    if !ids.is_empty() {
        let gone = letters.discard(&pool, Some(ids), i64::MAX).await?;
        print(&gone, output)?;
        return Ok(say_missing(
            ids,
            &gone,
            "no dead letters here, or claimed",
            output,
        ));
    }
    let mut count = 0;
    loop {
        let gone = letters.discard(&pool, None, AT_ONCE).await?;
        print(&gone, output)?;
        let number = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        count += number;
        if number < AT_ONCE {
            break;
        }
    }
    output.note(&format!(
        "{count} dead letters of {} deleted",
        printable(queue)
    ));
    Ok(Answer::Yes)
}

fn print(ids: &[i64], output: &Output) -> Result<(), Failure> {
    let mut lines = String::new();
    for id in ids {
        lines += &id.to_string();
        lines.push('\n');
    }
    output.data(lines)
}

/// Asks whoever sits there.
fn confirmed(count: i64, queue: &str, output: &Output) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::new(
            format!(
                "this would delete {count} dead letters of {queue:?} for good, and nobody can be asked"
            ),
            "say --yes",
        ));
    }
    output.styled_words(&format!(
        "delete {count} dead letters of {} for good? [y/N] ",
        printable(queue)
    ));
    let mut answer = String::new();
    // Who cannot answer has not said yes.
    let _ = io::stdin().read_line(&mut answer);
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
