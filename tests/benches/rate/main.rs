//! How long a message waits for its handler, by how many come in a second.
//!
//! An open stream: when a message is due is drawn beforehand (exponentially, as of senders that know nothing of each
//! other), and it is sent then whether or not the one before has been. So what a way takes longer to commit is part of
//! what it waits, and cannot slow the stream down.

mod handling;
mod stream;
#[path = "../support/mod.rs"]
mod support;

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use handling::Handles;
use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use stream::{Senders, Times};
use support::{Environment, Failure, Options, Publisher, Queue, Sample, Table, shuffled};

/// Messages a second, and how long a turn of that is.
const RATES: [(u32, Duration); 5] = [
    (1, Duration::from_secs(30)),
    (10, Duration::from_secs(10)),
    (100, Duration::from_secs(4)),
    (1_000, Duration::from_secs(4)),
    (5_000, Duration::from_secs(4)),
];
const QUICK: [(u32, Duration); 2] = [
    (20, Duration::from_millis(300)),
    (1_000, Duration::from_millis(100)),
];

/// So many send at the same time, at most.
const SENDERS: usize = 32;

struct Way {
    name: &'static str,
    publisher: Publisher,
    handles: Handles,
}

fn ways() -> [Way; 4] {
    let config = PgmqNotifyConfig::new();
    let wake_up = config.clone().with_delivery(Delivery::WakeUp);
    [
        Way {
            name: "ours, Consumer",
            publisher: Publisher::Ours(config.clone()),
            handles: Handles::Consumer(config),
        },
        Way {
            name: "ours, wake-up, Consumer",
            publisher: Publisher::Ours(wake_up.clone()),
            handles: Handles::Consumer(wake_up),
        },
        Way {
            name: "PGMQ's notify, 250 ms, a loop that is told",
            publisher: Publisher::Pgmq { throttle: 250 },
            handles: Handles::Told,
        },
        Way {
            name: "pgmq.read_with_poll, every 100 ms",
            publisher: Publisher::Nobody,
            handles: Handles::Polls,
        },
    ]
}

fn main() -> ExitCode {
    support::main_of(
        "rate",
        "How long a message waits for its handler, by messages a second.",
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
    queue: Queue,
    senders: Senders,
    /// Of each rate.
    times: Vec<Times>,
}

async fn run(options: Options) -> Result<String, Failure> {
    let rates: &[(u32, Duration)] = if options.quick { &QUICK } else { &RATES };
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let mut lanes = Vec::new();
    for way in ways() {
        let queue = Queue::create(&environment, &way.publisher).await?;
        lanes.push(Lane {
            senders: Senders::connect(&queue, SENDERS)?,
            way,
            queue,
            times: rates.iter().map(|_| Times::default()).collect(),
        });
    }
    for round in 0..rounds {
        for (column, (rate, length)) in rates.iter().enumerate() {
            for place in shuffled(lanes.len(), round) {
                let seed = u64::from(round) << 32 | u64::from(*rate);
                lanes[place].turn(column, *rate, *length, seed).await?;
            }
        }
    }
    for (column, (rate, _)) in rates.iter().enumerate() {
        let messages = lanes.first().map_or(0, |it| it.times[column].due.len());
        writeln!(
            report,
            "\n{rate} messages a second, {messages} of each way; ms\n"
        )?;
        write!(report, "{}", table(&lanes, column))?;
    }
    for lane in lanes {
        lane.senders.stop()?;
    }
    Ok(report)
}

impl Lane {
    async fn turn(
        &mut self,
        column: usize,
        rate: u32,
        length: Duration,
        seed: u64,
    ) -> Result<(), Failure> {
        let stream = stream::draw(rate, length, seed);
        let times = self
            .way
            .handles
            .handle(&self.queue, &self.senders, stream)
            .await?;
        // What was handled last may not have been acknowledged, and would come again in a later turn.
        let truncate = "truncate pgmq.q_orders_queue";
        self.queue.database().run(truncate).await?;
        self.times[column].add(times);
        Ok(())
    }
}

fn table(lanes: &[Lane], column: usize) -> Table {
    let mut table = Table::new([
        "way, and who handles",
        "since due",
        "p99",
        "max",
        "since committed",
        "p99",
        "max",
        "sent within",
    ]);
    let ms = |seconds: f64| format!("{:.2}", seconds * 1e3);
    for lane in lanes {
        let times = &lane.times[column];
        let sample = |times: &[f64]| Sample::new(times.iter().copied());
        let (due, committed) = (sample(&times.due), sample(&times.committed));
        let sent = sample(&times.sent);
        table.row([
            lane.way.name.to_owned(),
            ms(due.median()),
            ms(due.percentile(99)),
            ms(due.max()),
            ms(committed.median()),
            ms(committed.percentile(99)),
            ms(committed.max()),
            ms(sent.median()),
        ]);
    }
    table
}
