mod batch;
mod body;
mod lines;
mod progress;

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use pgmq_notify_client::{ClientError, ErrorKind, PgmqNotifyClient, When};
use serde::Serialize;

use self::body::{Body, body, headers};
use crate::commands::Answer;
use crate::database::{
    DatabaseOptions, Installation, block_on, client_failure, instead_of, names_of_queues,
};
use crate::failure::Failure;
use crate::output::Output;
use crate::span;

/// What standard input is called in errors.
const STDIN: &str = "standard input";

/// Send messages: JSON from an argument, a file or standard input
///
/// Prints the id of each message. With --lines each line of the input is the body of a message, sent in
/// chunks of one transaction each, or all in one with --atomic. A file, and standard input that ends within a
/// second and 8 MB, is checked before anything is sent: with a line that is no JSON nothing is. Of longer input
/// the error says how much was sent before that line.
///
/// On a terminal, a batch prints its first and last id instead of each.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  sent
  2  not sent, or only a part: the error says what

Examples:
  pgmq-notify send orders_queue '{\"id\": 7}'
  pgmq-notify send orders_queue --file order.json --delay 5m
  pgmq-notify send orders_queue '{\"id\": 7}' --headers '{\"x-pgmq-group\": \"eu\"}'
  date +%s | pgmq-notify send ticks_queue
  pgmq-notify send orders_queue --lines --file orders.jsonl --atomic")]
pub(crate) struct SendArguments {
    /// The queue
    queue: String,

    /// The body, as JSON; `-`, or none, reads it from standard input
    #[arg(allow_negative_numbers = true)]
    body: Option<String>,

    /// Read the body, or the lines, from this file
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    file: Option<PathBuf>,

    /// Each line of the input is a body; empty ones are passed over
    #[arg(long)]
    lines: bool,

    /// All lines or none, in one transaction
    #[arg(long, requires = "lines")]
    atomic: bool,

    /// Lines of one transaction, at most
    #[arg(long, value_name = "LINES", default_value = "1000", requires = "lines")]
    chunk: NonZeroUsize,

    /// Headers of each message, a JSON object
    #[arg(long, value_name = "JSON")]
    headers: Option<String>,

    /// When it becomes visible: after seconds (30) or a duration (5m), or at a time (2026-12-24T18:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = span::when)]
    delay: Option<When>,

    /// Print an object for each message
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

#[derive(Serialize)]
struct Sent<'a> {
    queue: &'a str,
    msg_id: i64,
    /// Of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

pub(crate) fn run(arguments: &SendArguments, output: &Output) -> Result<Answer, Failure> {
    let headers = arguments.headers.as_deref().map(headers).transpose()?;
    if arguments.lines {
        if arguments.body.as_deref().is_some_and(|body| body != "-") {
            return Err(Failure::new(
                "--lines takes no body as an argument",
                "the lines come from --file FILE, or from standard input",
            ));
        }
        let source = lines::Source::open(arguments.file.as_deref())?;
        return block_on(async {
            let client = client(arguments, output).await?;
            batch::send(arguments, headers.as_ref(), source, &client, output).await
        });
    }
    let body = single(arguments)?;
    block_on(async {
        let client = client(arguments, output).await?;
        let mut sending = client.send(&arguments.queue, &body);
        if let Some(headers) = &headers {
            sending = sending.headers(headers);
        }
        if let Some(delay) = arguments.delay {
            sending = sending.delay(delay);
        }
        let msg_id = match sending.await {
            Ok(msg_id) => msg_id,
            Err(error) => return Err(not_sent(&error, arguments, &client).await),
        };
        if arguments.json {
            output.json(&Sent {
                queue: &arguments.queue,
                msg_id,
                line: None,
            })?;
        } else {
            output.data(format!("{msg_id}\n"))?;
        }
        Ok(Answer::Yes)
    })
}

async fn client(arguments: &SendArguments, output: &Output) -> Result<PgmqNotifyClient, Failure> {
    let installation = Installation::read(&arguments.database.pool("send")?).await?;
    if let Installation::Missing = installation {
        output.note("note: pgmq-notify is not installed in this database, so nobody is notified");
    }
    arguments.database.client("send", installation.config())
}

/// The one body, wherever it is.
fn single(arguments: &SendArguments) -> Result<Body, Failure> {
    if let Some(path) = &arguments.file {
        let text = fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            Failure::new(
                format!("cannot read {path}: {error}"),
                "name a readable file with JSON in UTF-8",
            )
        })?;
        return body(&text).map_err(|error| error.at(&path.display().to_string()));
    }
    match arguments.body.as_deref() {
        Some(text) if text != "-" => body(text).map_err(|error| error.of_argument("the body")),
        given => {
            let mut stdin = io::stdin();
            if given.is_none() && stdin.is_terminal() {
                return Err(Failure::new(
                    "there is no body",
                    format!(
                        "pgmq-notify send {} '{{\"id\": 7}}', or --file FILE, or - to type it and end it with Ctrl-D",
                        arguments.queue
                    ),
                ));
            }
            let mut text = String::new();
            stdin.read_to_string(&mut text).map_err(|error| {
                Failure::new(
                    format!("cannot read {STDIN}: {error}"),
                    "it has to be JSON in UTF-8",
                )
            })?;
            body(&text).map_err(|error| error.at(STDIN))
        }
    }
}

/// What the server, or the client before it, refused.
async fn not_sent(
    error: &ClientError,
    arguments: &SendArguments,
    client: &PgmqNotifyClient,
) -> Failure {
    if error.kind() == ErrorKind::QueueNotFound {
        let names = names_of_queues(client.pool()).await;
        return Failure::new(
            format!("there is no queue {:?}", arguments.queue),
            instead_of(&arguments.queue, &names),
        );
    }
    client_failure(error)
}
