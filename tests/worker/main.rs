//! A consumer in a process of its own, for tests that kill it, stop it and let it go on.
//!
//! ```text
//! worker <url> <queue> acknowledge|finish|until-lost <handlers> <visibility timeout, s> <work, ms> <at most, ms>
//! ```
//!
//! It says on its standard output, one line each and written at once, so that what a killed one did is known:
//! `ready`, `begun`, `ended`, `lost` and `refused` with message, attempt and microseconds since 1970, and `stats` before
//! it leaves. It shuts down when it reads a line, and is gone when its standard input is: no test leaves one behind.

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::process;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgmq_notify_client::{
    Claim, Consumer, HandlerError, Message, PgmqNotifyClient, PgmqNotifyConfig, Source,
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Returns, and the consumer acknowledges.
    Acknowledge,
    /// Writes a row and finishes in the same transaction.
    Finish,
    /// Returns once its claim is lost, as if it had succeeded.
    UntilLost,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "acknowledge" => Self::Acknowledge,
            "finish" => Self::Finish,
            "until-lost" => Self::UntilLost,
            _ => return Err(format!("{text:?} is no mode")),
        })
    }
}

#[derive(Clone)]
struct Work {
    mode: Mode,
    millis: (u64, u64),
    pool: PgPool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let left = lifeline();
    let mut arguments = env::args().skip(1);
    let mut next = |name| arguments.next().ok_or(format!("no {name}"));
    let (url, queue) = (next("url")?, next("queue")?);
    let mode = next("mode")?.parse()?;
    let handlers = next("handlers")?.parse()?;
    let timeout = Duration::from_secs(next("visibility timeout")?.parse()?);
    let millis = (next("work")?.parse()?, next("longest work")?.parse()?);
    let pool = PgPoolOptions::new()
        .max_connections(u32::try_from(handlers)?)
        .connect_lazy(&url)?;
    let client = PgmqNotifyClient::with_pool(pool.clone(), PgmqNotifyConfig::new())?;
    let work = Work { mode, millis, pool };
    let consumer = Consumer::builder(client)
        .concurrency(handlers)
        .source(
            Source::queue(queue).with_visibility_timeout(timeout),
            move |message: Message<u64>, claim| handle(work.clone(), message, claim),
        )
        .start()
        .await?;
    say("ready");
    let _ = left.await;
    let report = consumer.shutdown().await;
    let stats = report.stats;
    say(&format!(
        "stats {} {} {}",
        stats.done, stats.lost, report.unsettled
    ));
    Ok(())
}

/// Ready when a line was read. At the end of the input the process goes, whatever it does.
fn lifeline() -> oneshot::Receiver<()> {
    let (leave, left) = oneshot::channel();
    thread::spawn(move || {
        let mut leave = Some(leave);
        let mut line = String::new();
        while io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
            drop(leave.take());
        }
        process::exit(1);
    });
    left
}

async fn handle(work: Work, message: Message<u64>, claim: Claim) -> Result<(), HandlerError> {
    note("begun", &claim);
    let millis = Duration::from_millis(fastrand::u64(work.millis.0..=work.millis.1));
    match work.mode {
        Mode::Acknowledge => tokio::time::sleep(millis).await,
        Mode::UntilLost => {
            claim.lost().cancelled().await;
            note("lost", &claim);
        }
        Mode::Finish => {
            let mut transaction = work.pool.begin().await?;
            // On both sides of it, because a kill may come there too.
            tokio::time::sleep(millis / 2).await;
            sqlx::query("insert into effects (msg_id, body) values ($1, $2)")
                .bind(message.msg_id)
                .bind(i64::try_from(message.body)?)
                .execute(&mut *transaction)
                .await?;
            if let Err(error) = claim.finish(&mut transaction).await {
                note("refused", &claim);
                return Err(error.into());
            }
            tokio::time::sleep(millis / 2).await;
            transaction.commit().await?;
        }
    }
    note("ended", &claim);
    Ok(())
}

fn note(what: &str, claim: &Claim) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.unwrap_or_default().as_micros();
    say(&format!(
        "{what} {} {} {micros}",
        claim.msg_id(),
        claim.attempt()
    ));
}

/// One write, which a kill does not cut.
fn say(line: &str) {
    let written = io::stdout().write_all(format!("{line}\n").as_bytes());
    if written.is_err() {
        process::exit(1);
    }
}
