mod discard;
mod letters;
mod list;
mod redrive;
mod show;
mod table;

use clap::{Args, Subcommand};
use pgmq_notify_client::PgmqNotifyClient;
use sqlx::PgPool;

use self::discard::DropArguments;
use self::list::ListArguments;
use self::redrive::RedriveArguments;
use self::show::ShowArguments;
use crate::commands::Answer;
use crate::database::{DatabaseOptions, Installation, block_on, reachable};
use crate::failure::Failure;
use crate::output::Output;

/// Messages that no handler could handle: list, show, put back, delete
///
/// A consumer moves a message that has failed too often, whose handler called it fatal, or whose body does
/// not decode, into the queue `<queue>_dlq`, with the reason in its headers.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  pgmq-notify dead-letters list
  pgmq-notify dead-letters show orders_queue_dlq 3
  pgmq-notify dead-letters redrive orders_queue_dlq --all
  pgmq-notify dead-letters drop orders_queue_dlq 3 4"
)]
pub(crate) struct DeadLettersArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListArguments),
    Show(ShowArguments),
    Redrive(RedriveArguments),
    Drop(DropArguments),
}

pub(crate) fn run(arguments: &DeadLettersArguments, output: &Output) -> Result<Answer, Failure> {
    block_on(async {
        match &arguments.command {
            Command::List(arguments) => list::run(arguments, output).await,
            Command::Show(arguments) => show::run(arguments, output).await,
            Command::Redrive(arguments) => redrive::run(arguments, output).await,
            Command::Drop(arguments) => discard::run(arguments, output).await,
        }
    })
}

/// Some dead letters of a queue, or all.
#[derive(Args, Debug)]
#[group(skip)]
struct Chosen {
    /// The dead-letter queue
    queue: String,

    /// The ids of dead letters in that queue
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    ids: Vec<i64>,

    /// All of them
    #[arg(long)]
    all: bool,
}

/// A pool of a server that answers.
async fn connected(database: &DatabaseOptions) -> Result<PgPool, Failure> {
    let pool = database.pool("dead-letters")?;
    reachable(&pool).await?;
    Ok(pool)
}

async fn client(database: &DatabaseOptions) -> Result<PgmqNotifyClient, Failure> {
    let installation = Installation::read(&database.pool("dead-letters")?).await?;
    database.client("dead-letters", installation.config())
}

/// Those that were named and not found.
fn say_missing(asked: &[i64], found: &[i64], why: &str, output: &Output) -> Answer {
    let missing: Vec<_> = asked
        .iter()
        .filter(|id| !found.contains(id))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        return Answer::Yes;
    }
    output.note(&format!("not found: {}; {why}", missing.join(", ")));
    Answer::No
}
