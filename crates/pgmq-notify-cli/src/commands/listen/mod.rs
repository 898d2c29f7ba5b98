mod line;
mod scope;

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_core::PgmqNotifyEvent;
use pgmq_notify_listener::{CatchUp, ListenerErrorKind, ListenerStatus, PgmqNotifyListener};
use sqlx::PgPool;
use tokio::time::{Instant, sleep_until, timeout};

use self::line::{json, readable};
use self::scope::Scope;
use crate::commands::Answer;
use crate::config::ConfigOptions;
use crate::database::{
    DatabaseOptions, Installation, Lines, block_on, interrupted, listener_failure, nobody_reads,
};
use crate::failure::Failure;
use crate::output::Output;
use crate::span;

/// Events that wait for standard output. What does not fit is missed, and said so.
const BUFFER: usize = 10_000;

/// For a server that does not take leave.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// Print events as they happen: messages, and queues that come and go
///
/// One line for each event, each written at once. It claims no message and changes nothing. The settings are
/// those that the database has, so that no configuration is needed here.
///
/// A lost connection is made again, and standard error says for how long nobody listened.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  events came; or it was stopped, by Ctrl-C, SIGTERM or a reader that left
  1  the time is over, and none came, or fewer than --count
  2  it cannot listen

Examples:
  pgmq-notify listen
  pgmq-notify listen --namespace orders --bodies
  pgmq-notify listen --json --bodies | jq -c .message
  pgmq-notify listen --queue orders_queue --count 1 --for 30s")]
pub(crate) struct ListenArguments {
    /// Only the queues of this namespace (repeatable)
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,

    /// Only this queue (repeatable)
    #[arg(long, value_name = "NAME")]
    queue: Vec<String>,

    /// Print bodies, of events that carry them; on a terminal, cut to its width
    #[arg(long)]
    bodies: bool,

    /// Print each event as an object, as it is on the wire
    #[arg(long)]
    json: bool,

    /// Stop after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Stop after this time: seconds, or a duration such as 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = span::duration)]
    duration: Option<Duration>,

    /// After a lost connection, print the messages that wait in the queues too
    #[arg(long)]
    catch_up: bool,

    /// Refuse to listen if this configuration is not the installed one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseOptions,
}

pub(crate) fn run(arguments: &ListenArguments, output: &Output) -> Result<Answer, Failure> {
    block_on(async {
        let mut interrupted = pin!(interrupted());
        let pool = arguments.database.pool("listen")?;
        let started = tokio::select! {
            started = start(arguments, &pool, output) => started?,
            () = &mut interrupted => return Ok(Answer::Yes),
        };
        let (mut listener, scope) = started;
        let lines = Lines::start();
        let ended = tokio::select! {
            ended = print(arguments, &mut listener, &scope, &lines, output) => ended,
            () = &mut interrupted => Ok(Answer::Yes),
            () = nobody_reads() => Ok(Answer::Yes),
            () = lines.failed() => Ok(Answer::Yes),
        };
        listener.disconnect().await;
        let _ = timeout(CLOSED_WITHIN, pool.close()).await;
        lines.finish().await?;
        ended
    })
}

/// Connects, and listens to what is wanted.
async fn start(
    arguments: &ListenArguments,
    pool: &PgPool,
    output: &Output,
) -> Result<(PgmqNotifyListener, Scope), Failure> {
    let installation = Installation::read(pool).await?;
    let is_known = matches!(installation, Installation::Found(_));
    let installed = installation.config();
    let config = match &arguments.config {
        Some(path) => ConfigOptions::of_file(path).config()?,
        None => installed.clone(),
    };
    let listener = PgmqNotifyListener::new(pool.clone(), config.clone(), BUFFER).await;
    let catch_up = if arguments.catch_up {
        CatchUp::AfterEveryGap
    } else {
        CatchUp::Never
    };
    let mut listener = listener
        .map_err(|error| listener_failure(&error))?
        .with_any_delivery()
        .with_catch_up(catch_up);
    // First, because it says best what is missing.
    let connected = listener.connect().await;
    connected.map_err(|error| listener_failure(&error))?;
    let mut scope = Scope::new(&arguments.namespace, &arguments.queue);
    let words = scope.subscribe(&mut listener, &config, pool).await?;
    for note in &words.notes {
        output.note(&format!("note: {note}"));
    }
    if is_known {
        say_delivery(&words.namespaces, &installed, output);
    }
    output.note(&format!("listening to {scope}; Ctrl-C stops"));
    Ok((listener, scope))
}

/// An observer of work queues hears a part, and has to know.
fn say_delivery(namespaces: &[String], installed: &PgmqNotifyConfig, output: &Output) {
    let sleepers: Vec<_> = namespaces
        .iter()
        .filter(|it| installed.delivery_of(it) == pgmq_notify_core::Delivery::WakeUp)
        .map(String::as_str)
        .collect();
    if !sleepers.is_empty() {
        output.note(&format!(
            "note: the delivery of {} is wake_up: only messages that wake a sleeping consumer are published, so some \
             are not shown, and without a consumer none",
            sleepers.join(", ")
        ));
    }
}

async fn print(
    arguments: &ListenArguments,
    listener: &mut PgmqNotifyListener,
    scope: &Scope,
    lines: &Lines,
    output: &Output,
) -> Result<Answer, Failure> {
    let end = arguments
        .duration
        .and_then(|duration| Instant::now().checked_add(duration));
    let mut time_is_over = pin!(async {
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    });
    let mut status = listener.status();
    let wanted = arguments.count.unwrap_or(u64::MAX);
    let mut seen = 0;
    loop {
        let event = tokio::select! {
            biased;
            () = &mut time_is_over => {
                let enough = if arguments.count.is_some() { wanted } else { 1 };
                return Ok(if seen >= enough { Answer::Yes } else { Answer::No });
            }
            Ok(()) = status.changed() => {
                say_status(*status.borrow_and_update(), output);
                continue;
            }
            event = listener.next_event() => event.map_err(|error| listener_failure(&error))?,
        };
        let Some(event) = event else {
            return Ok(Answer::Yes);
        };
        if let PgmqNotifyEvent::Resumed(resumed) = &event {
            say_gap(resumed, arguments.catch_up, output);
            if arguments.json && !lines.write(json(&event, false)?).await {
                return Ok(Answer::Yes);
            }
            continue;
        }
        if let PgmqNotifyEvent::QueueCreated(created) = &event {
            follow(scope, listener, created.namespace.as_str(), output).await?;
        }
        if !scope.wants(&event) {
            continue;
        }
        let line = if arguments.json {
            json(&event, arguments.bodies)?
        } else {
            output.styled(&readable(&event, arguments.bodies, output.terminal_width()))
        };
        if !lines.write(line).await {
            return Ok(Answer::Yes);
        }
        seen += 1;
        if seen == wanted {
            return Ok(Answer::Yes);
        }
    }
}

/// Without a channel of all namespaces, that of a new one has to be listened to.
async fn follow(
    scope: &Scope,
    listener: &mut PgmqNotifyListener,
    namespace: &str,
    output: &Output,
) -> Result<(), Failure> {
    if !scope.follows() {
        return Ok(());
    }
    match listener.listen_message_ready_for_namespace(namespace).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ListenerErrorKind::Delayed => {
            output.note(&format!("note: {error}"));
            Ok(())
        }
        Err(error) => Err(listener_failure(&error)),
    }
}

fn say_status(status: ListenerStatus, output: &Output) {
    match status {
        ListenerStatus::Reconnecting { attempt: 1, .. } => {
            output.note("the connection is lost, connecting again");
        }
        // Attempts come at growing pauses: some of them are enough.
        ListenerStatus::Reconnecting { attempt, reason } if attempt.is_power_of_two() => {
            output.note(&format!("still connecting, attempt {attempt}: {reason:?}"));
        }
        _ => {}
    }
}

fn say_gap(resumed: &pgmq_notify_core::ResumedEvent, catches_up: bool, output: &Output) {
    let seconds = resumed.gap.as_secs_f64();
    let what = match resumed.reason {
        pgmq_notify_core::ResumeReason::Reconnected => "connected again",
        _ => "events came faster than they were printed",
    };
    let then = if catches_up {
        "what waits in the queues follows"
    } else {
        "events of that time were missed"
    };
    output.note(&format!("{what} after {seconds:.1} s: {then}"));
}
