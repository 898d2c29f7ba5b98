//! How long after a send its handler is entered, on an idle system: ours, and the plain way of a notification and a read.
//!
//! As in `latency`, sender and receivers are threads of this process, one message is on its way at a time, and the ways
//! take turns in an order drawn anew for each message. What is compared is the time from the return of the sender's
//! commit, which is when the message is visible, to the first line of the handler.

#[path = "../support/mod.rs"]
mod support;
mod with;

use std::{
    fmt::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use sqlx::{Connection, PgConnection};
use support::{
    BODY, Environment, Failure, Options, Publisher, Queue, Receiver, Sample, Table, ratio, shuffled,
};
use with::With;

/// Enough for PostgreSQL to settle on its plans.
const WARM_UP: u32 = 50;

/// What follows a handler (an acknowledgement, the next look) ends before the next message.
const PAUSE: Duration = Duration::from_millis(8);

const SEND: &str = "select pgmq.send('orders_queue', $1::text::jsonb)";

/// What the others are compared with, and what the aims are for, by their place in [`ways`].
const PLAIN: usize = 1;
const OURS: usize = 3;
const WAKE_UP: usize = 4;

struct Way {
    name: &'static str,
    publisher: Publisher,
    received: With,
}

fn ways() -> [Way; 5] {
    let config = PgmqNotifyConfig::new();
    let wake_up = config.clone().with_delivery(Delivery::WakeUp);
    let pgmq = || Publisher::Pgmq { throttle: 0 };
    [
        Way {
            name: "the event alone: ours, PgmqNotifyListener",
            publisher: Publisher::Ours(config.clone()),
            received: With::Listener(config.clone()),
        },
        Way {
            name: "PGMQ's notify, PgListener, pgmq.read",
            publisher: pgmq(),
            received: With::Read { flush: true },
        },
        Way {
            name: "the same, reading without a flush",
            publisher: pgmq(),
            received: With::Read { flush: false },
        },
        Way {
            name: "ours, Consumer",
            publisher: Publisher::Ours(config.clone()),
            received: With::Consumer(config),
        },
        Way {
            name: "ours, wake-up, Consumer",
            publisher: Publisher::Ours(wake_up.clone()),
            received: With::Consumer(wake_up),
        },
    ]
}

fn main() -> ExitCode {
    support::main_of(
        "handled",
        "How long after a send its handler is entered.",
        |options| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(run(options))
        },
    )
}

struct Lane {
    way: Way,
    _queue: Queue,
    connection: PgConnection,
    receiver: Receiver,
    times: Vec<f64>,
}

async fn run(options: Options) -> Result<String, Failure> {
    let messages = options
        .messages
        .unwrap_or(if options.quick { 20 } else { 2000 });
    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let mut lanes = Vec::new();
    for way in ways() {
        let queue = Queue::create(&environment, &way.publisher).await?;
        lanes.push(Lane {
            receiver: way.received.start(&queue).await?,
            connection: queue.connect().await?,
            way,
            _queue: queue,
            times: Vec::new(),
        });
    }
    for message in 0..WARM_UP + messages {
        for place in shuffled(lanes.len(), message) {
            tokio::time::sleep(PAUSE).await;
            lanes[place].message().await?;
        }
        if message + 1 == WARM_UP {
            for lane in &mut lanes {
                lane.times.clear();
            }
        }
    }
    writeln!(
        report,
        "\n{messages} messages of {} bytes for each way, from the commit's return to the handler; µs\n",
        BODY.len()
    )?;
    write_table(&mut report, &lanes)?;
    for lane in lanes {
        lane.receiver.stop()?;
        lane.connection.close().await?;
    }
    Ok(report)
}

impl Lane {
    async fn message(&mut self) -> Result<(), Failure> {
        // `execute` reads the answer to its end, which is the commit's.
        sqlx::query(SEND)
            .bind(BODY)
            .execute(&mut self.connection)
            .await?;
        let returned = Instant::now();
        let entered = self.receiver.arrival().await?;
        // Negative when the handler was there before the sender had the answer.
        let micros = match entered.checked_duration_since(returned) {
            Some(after) => after.as_secs_f64() * 1e6,
            None => returned.duration_since(entered).as_secs_f64() * -1e6,
        };
        self.times.push(micros);
        Ok(())
    }
}

fn write_table(report: &mut String, lanes: &[Lane]) -> Result<(), Failure> {
    let samples: Vec<Sample> = lanes
        .iter()
        .map(|lane| Sample::new(lane.times.iter().copied()))
        .collect();
    let mut table = Table::new(["way", "median", "p99", "max", "× plain", "p99 × plain"]);
    let p99 = |place: usize| samples[place].percentile(99) / samples[PLAIN].percentile(99);
    for (place, lane) in lanes.iter().enumerate() {
        let sample = &samples[place];
        table.row([
            lane.way.name.to_owned(),
            format!("{:.0}", sample.median()),
            format!("{:.0}", sample.percentile(99)),
            format!("{:.0}", sample.max()),
            format!("{:.2}", ratio(sample, &samples[PLAIN])),
            format!("{:.2}", p99(place)),
        ]);
    }
    write!(report, "{table}")?;
    writeln!(
        report,
        "\n  aims: median at most 0.50 × plain, here {:.2}; 99th percentile at most 0.70, here {:.2}",
        ratio(&samples[OURS], &samples[PLAIN]),
        p99(OURS),
    )?;
    writeln!(
        report,
        "  wake-up at most 1.10 × every message, here {:.2}",
        ratio(&samples[WAKE_UP], &samples[OURS]),
    )?;
    Ok(())
}
