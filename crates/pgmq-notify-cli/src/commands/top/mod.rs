mod draw;
mod gather;
mod heard;
mod look;
mod screen;
mod state;

use std::env;
use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use pgmq_notify_client::PgmqNotifyConfig;
use sqlx::PgPool;
use tokio::sync::watch;

use self::gather::{Update, Wish, gather};
use self::state::State;
use crate::commands::Answer;
use crate::database::{DatabaseOptions, Installation, block_on, refused};
use crate::failure::Failure;
use crate::output::Output;
use crate::span;

/// Updates that wait for the screen.
const WAITING: usize = 64;

/// As wide as text is where there is no terminal.
const TEXT_COLUMNS: u16 = 100;

/// Watch the queues: depth, age, rates and latency, live
///
/// Keys: q quits, ? explains the columns, s sorts, r reverses, / filters, p pauses. Without a terminal, or with
/// --once, it prints one frame as text.
///
/// It changes nothing and claims nothing. A refresh runs two statements and one more for each hundred queues. A
/// queue is counted up to 1000 messages; beyond, its depth is what the statistics of PostgreSQL say (`pgmq.metrics`
/// and `pgmq.metrics_all` read every message instead). Events per second and latency are those of what is
/// published: in a namespace with the delivery `wake_up` that is a part.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it was stopped, or has printed its frame
  2  error

Examples:
  pgmq-notify top
  pgmq-notify top --interval 500ms
  pgmq-notify top --once | head -20")]
pub(crate) struct TopArguments {
    /// Print one frame as text, with the rates of one interval
    #[arg(long)]
    once: bool,

    /// The time between two looks, 100ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = span::interval)]
    interval: Duration,

    #[command(flatten)]
    database: DatabaseOptions,
}

pub(crate) fn run(arguments: &TopArguments, output: &Output) -> Result<Answer, Failure> {
    // What is wrong from the beginning is an error, and no line on a screen.
    let options = &arguments.database;
    block_on(async {
        let pool = options.pool("top")?;
        check(&pool).await?;
        pool.close().await;
        Ok(())
    })?;
    let (updates, received) = sync_channel(WAITING);
    let (wishes, heard_wishes) = watch::channel(Wish::Run);
    let interval = arguments.interval;
    thread::scope(|scope| {
        let gathering = scope.spawn(move || {
            block_on(async {
                let client = options.client("top", PgmqNotifyConfig::new())?;
                gather(client, interval, updates, heard_wishes).await;
                Ok(())
            })
        });
        let state = State::new(interval, output.has_colour());
        let is_dumb = env::var("TERM").as_deref() == Ok("dumb");
        let is_terminal = io::stdout().is_terminal() && io::stdin().is_terminal() && !is_dumb;
        let shown = if arguments.once || !is_terminal {
            print(state, &received, output)
        } else {
            screen::show(state, &received, &wishes)
        };
        wishes.send_replace(Wish::Stop);
        let gathered = gathering.join().unwrap_or_else(|_| {
            Err(Failure::new(
                "nothing looks at the queues any more",
                "this is an error of pgmq-notify, please report it",
            ))
        });
        shown.and(gathered)
    })?;
    Ok(Answer::Yes)
}

const REMEDY: &str = "`pgmq-notify doctor` looks for what is wrong with the installation";

async fn check(pool: &PgPool) -> Result<(), Failure> {
    Installation::read(pool).await?;
    let found = sqlx::query("select from pgmq.meta limit 1").fetch_all(pool);
    match found.await {
        Ok(_) => Ok(()),
        Err(error) => Err(refused("read pgmq.meta", &error)),
    }
}

/// Two looks, one interval apart, as text.
fn print(mut state: State, updates: &Receiver<Update>, output: &Output) -> Result<(), Failure> {
    // Whatever the server does, somebody waits for the answer.
    let deadline = Instant::now() + state.interval * 2 + Duration::from_secs(15);
    let mut looks = 0;
    let mut problems = 0;
    while looks < 2 {
        let left = deadline.saturating_duration_since(Instant::now());
        match updates.recv_timeout(left) {
            Ok(Update::Interrupted) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(Update::Problem(problem)) => {
                problems += 1;
                // A queue that was dropped meanwhile fails a look, and the next one knows better.
                if problems == 3 {
                    return Err(Failure::new(problem, REMEDY));
                }
            }
            Ok(update) => {
                looks += usize::from(matches!(update, Update::Look(..)));
                screen::take(update, &mut state);
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure::new(
                    "cannot look at the queues: no answer in time",
                    REMEDY,
                ));
            }
        }
    }
    let columns = output.terminal_width().or_else(columns_wanted);
    let columns = columns.and_then(|it| u16::try_from(it).ok());
    output.data(draw::text(&mut state, columns.unwrap_or(TEXT_COLUMNS)))
}

/// Where there is no terminal to be measured.
fn columns_wanted() -> Option<usize> {
    let columns = env::var("COLUMNS").ok()?.parse().ok()?;
    (columns > 0).then_some(columns)
}
