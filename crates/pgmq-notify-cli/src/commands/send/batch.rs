//! Many messages, chunk by chunk.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use pgmq_notify_client::{ClientError, ErrorKind, PgmqNotifyClient};
use sqlx::{Postgres, Transaction};

use super::body::Body;
use super::lines::{Line, Source};
use super::progress::Progress;
use super::{SendArguments, Sent, not_sent};
use crate::commands::Answer;
use crate::database::{interrupted, refused};
use crate::failure::Failure;
use crate::output::Output;

/// For a chunk that is on its way when Ctrl-C comes.
const SENT_WITHIN: Duration = Duration::from_secs(3);

/// What was sent so far; with `--atomic` it is not committed yet.
#[derive(Debug, Default)]
struct Done {
    messages: u64,
    last_line: u64,
    first_id: Option<i64>,
    last_id: Option<i64>,
}

/// Why it stopped before the end.
enum Stopped {
    /// Cleanly, before a chunk.
    Before(String, String),
    /// The server did not say what became of the chunk.
    Unknown(String, (u64, u64)),
}

pub(super) async fn send(
    arguments: &SendArguments,
    headers: Option<&Body>,
    source: Source,
    client: &PgmqNotifyClient,
    output: &Output,
) -> Result<Answer, Failure> {
    let progress = Progress::new(source.messages);
    let started = Instant::now();
    let mut lines = source.lines().await?;
    let mut interrupted = pin!(interrupted());
    let mut transaction = None;
    let mut printed = Vec::new();
    let mut done = Done::default();
    let stopped = loop {
        let chunk = tokio::select! {
            biased;
            () = &mut interrupted => break Some(Stopped::interrupted()),
            chunk = lines.chunk(arguments.chunk.get()) => chunk,
        };
        let chunk = match chunk {
            Ok(chunk) if chunk.is_empty() => break None,
            Ok(chunk) => chunk,
            Err(problem) => {
                break Some(Stopped::before(
                    problem.place(&lines.name),
                    problem.remedy(),
                ));
            }
        };
        if arguments.atomic && transaction.is_none() {
            let begun = client.pool().begin().await;
            transaction = Some(begun.map_err(|error| refused("begin a transaction", &error))?);
        }
        let sending = send_chunk(arguments, headers, &chunk, client, transaction.as_mut());
        let (sent, is_interrupted) = finished(sending, interrupted.as_mut()).await;
        let ids = match sent {
            Some(Ok(ids)) => ids,
            Some(Err(error)) => break Some(Stopped::by(&error, &chunk, arguments, client).await),
            None => break Some(Stopped::Unknown("interrupted".into(), range(&chunk))),
        };
        done.add(&chunk, &ids);
        progress.set(done.messages);
        if arguments.atomic {
            printed.extend(chunk.iter().map(|line| line.number).zip(ids));
        } else {
            print(
                chunk.iter().map(|line| line.number).zip(ids),
                arguments,
                output,
            )?;
        }
        if is_interrupted {
            break Some(Stopped::interrupted());
        }
    };
    progress.clear();
    if let Some(stopped) = stopped {
        if let Some(transaction) = transaction {
            // It ends with the connection in any case.
            let _ = transaction.rollback().await;
        }
        return Err(stopped.failure(&done, arguments));
    }
    if let Some(transaction) = transaction {
        let committed = transaction.commit().await;
        committed.map_err(|error| {
            Failure::new(
                format!("cannot commit: {error}; whether it was, the queue shows"),
                "look into the queue before sending it again",
            )
        })?;
        print(printed.into_iter(), arguments, output)?;
    }
    output.note(&done.summary(&arguments.queue, started.elapsed()));
    Ok(Answer::Yes)
}

async fn send_chunk(
    arguments: &SendArguments,
    headers: Option<&Body>,
    chunk: &[Line],
    client: &PgmqNotifyClient,
    transaction: Option<&mut Transaction<'static, Postgres>>,
) -> Result<Vec<i64>, ClientError> {
    let bodies = chunk.iter().map(|line| &line.body);
    let mut sending = client.send_batch(&arguments.queue, bodies);
    if let Some(headers) = headers {
        sending = sending.headers(headers);
    }
    if let Some(delay) = arguments.delay {
        sending = sending.delay(delay);
    }
    match transaction {
        Some(transaction) => sending.on(transaction).await,
        None => sending.await,
    }
}

/// Lets it finish after an interruption, for a while, and says whether there was one; `None` when it does not
/// finish.
async fn finished<T>(
    sending: impl Future<Output = T>,
    interrupted: Pin<&mut impl Future<Output = ()>>,
) -> (Option<T>, bool) {
    let mut sending = pin!(sending);
    tokio::select! {
        biased;
        sent = &mut sending => (Some(sent), false),
        () = interrupted => {
            let sent = tokio::time::timeout(SENT_WITHIN, sending).await;
            (sent.ok(), true)
        }
    }
}

fn range(chunk: &[Line]) -> (u64, u64) {
    let number = |line: Option<&Line>| line.map_or(0, |line| line.number);
    (number(chunk.first()), number(chunk.last()))
}

/// On a terminal the summary has the ids.
fn print(
    sent: impl Iterator<Item = (u64, i64)>,
    arguments: &SendArguments,
    output: &Output,
) -> Result<(), Failure> {
    if output.terminal_width().is_some() {
        return Ok(());
    }
    let mut text = String::new();
    for (line, msg_id) in sent {
        if arguments.json {
            let sent = Sent {
                queue: &arguments.queue,
                msg_id,
                line: Some(line),
            };
            // Of strings and numbers JSON can always be made.
            text += &serde_json::to_string(&sent).unwrap_or_default();
        } else {
            text += &msg_id.to_string();
        }
        text.push('\n');
    }
    output.data(text)
}

impl Done {
    fn add(&mut self, chunk: &[Line], ids: &[i64]) {
        self.messages += ids.len() as u64;
        self.last_line = chunk.last().map_or(self.last_line, |line| line.number);
        self.first_id = self.first_id.or(ids.first().copied());
        self.last_id = ids.last().copied().or(self.last_id);
    }

    fn summary(&self, queue: &str, took: Duration) -> String {
        let messages = self.messages;
        let ids = match (self.first_id, self.last_id) {
            (Some(first), Some(last)) => format!(", ids {first} to {last}"),
            _ => String::new(),
        };
        let seconds = took.as_secs_f64();
        format!("{messages} messages sent to {queue}{ids}, in {seconds:.2} s")
    }

    /// What is in the queue, in words.
    fn committed(&self, is_atomic: bool) -> String {
        if is_atomic || self.messages == 0 {
            return "nothing was sent".into();
        }
        format!(
            "{} messages were sent, those of the lines up to {}",
            self.messages, self.last_line
        )
    }
}

impl Stopped {
    fn before(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Before(why.into(), remedy.into())
    }

    fn interrupted() -> Self {
        Self::before("interrupted", "begin again")
    }

    async fn by(
        error: &ClientError,
        chunk: &[Line],
        arguments: &SendArguments,
        client: &PgmqNotifyClient,
    ) -> Self {
        let failure = not_sent(error, arguments, client).await;
        let (first, last) = range(chunk);
        let (message, hint) = (failure.message(), failure.hint());
        if error.kind() == ErrorKind::Connection && !arguments.atomic {
            return Self::Unknown(message.to_owned(), (first, last));
        }
        if error.kind() == ErrorKind::QueueNotFound {
            return Self::before(message, hint);
        }
        Self::before(format!("lines {first} to {last}: {message}"), hint)
    }

    fn failure(self, done: &Done, arguments: &SendArguments) -> Failure {
        let committed = done.committed(arguments.atomic);
        let rest = format!("send the rest: tail -n +{}", done.last_line + 1);
        match self {
            Self::Before(why, remedy) => {
                let hint = if arguments.atomic || done.messages == 0 {
                    remedy
                } else {
                    format!("{remedy}; {rest}")
                };
                Failure::new(format!("{why}; {committed}"), hint)
            }
            Self::Unknown(why, _) if arguments.atomic => {
                Failure::new(format!("{why}; {committed}"), "send it again")
            }
            Self::Unknown(why, (first, last)) => Failure::new(
                format!(
                    "{why}; {committed}; lines {first} to {last} were sent or not, the queue shows"
                ),
                format!("look for them in the queue; {rest}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_said_in_numbers() {
        let done = Done {
            messages: 3000,
            last_line: 3002,
            first_id: Some(5),
            last_id: Some(3004),
        };
        assert_eq!(
            done.summary("orders_queue", Duration::from_millis(1234)),
            "3000 messages sent to orders_queue, ids 5 to 3004, in 1.23 s"
        );
        assert_eq!(
            done.committed(false),
            "3000 messages were sent, those of the lines up to 3002"
        );
        assert_eq!(done.committed(true), "nothing was sent");
        assert_eq!(Done::default().committed(false), "nothing was sent");
        assert_eq!(
            Done::default().summary("q", Duration::ZERO),
            "0 messages sent to q, in 0.00 s"
        );
    }
}
