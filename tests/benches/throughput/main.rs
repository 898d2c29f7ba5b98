//! How many notifications a second reach an application, and what each costs.
//!
//! A burst is one transaction, so everything is in the server's queue before it sends the first: what is measured is
//! receiving, from the first event in the application's hand to the last. Server and receiver work at the same time;
//! who has a processor to itself decides which of the two is the limit, so both are measured.

mod burst;
mod receiver;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fmt::Write as _,
    process::{self, ExitCode},
    time::Duration,
};

use burst::Burst;
use pgmq_notify_core::PgmqNotifyConfig;
use receiver::{Receiver, Threads, With};
use support::{
    Environment, Failure, Options, Publisher, Queue, Sample, Table, processor_time, ratio, shuffled,
};

/// Enough for allocators and buffers to settle.
const WARM_UP: u32 = 5_000;

/// By its place in [`WAYS`], what the others of its runtime are compared with.
const BARE: usize = 0;

const WAYS: [(&str, With); 3] = [
    ("bare loop", With::Loop),
    ("bare loop that decodes", With::DecodingLoop),
    ("PgmqNotifyListener", With::Listener),
];

const RUNTIMES: [(&str, Threads); 2] = [
    ("one thread", Threads::One),
    ("a thread per processor", Threads::PerProcessor),
];

fn main() -> ExitCode {
    let about = "Notifications a second that reach an application.";
    support::main_of("throughput", about, |options| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(run(options))
    })
}

/// One way on one runtime, with a value of each turn.
#[derive(Default)]
struct Lane {
    per_second: Vec<f64>,
    client: Vec<f64>,
    server: Vec<f64>,
    dropped: u64,
}

async fn run(options: Options) -> Result<String, Failure> {
    let (rounds, events) = if options.quick {
        (1, 2_000)
    } else {
        (21, 100_000)
    };
    let rounds = options.rounds.unwrap_or(rounds);
    let events = options.messages.unwrap_or(events);

    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let queue = Queue::create(&environment, &Publisher::Ours(PgmqNotifyConfig::new())).await?;
    let burst = Burst::of(&queue).await?;
    let mut lanes: Vec<Lane> = Vec::new();
    lanes.resize_with(WAYS.len() * RUNTIMES.len(), Lane::default);
    for round in 0..rounds {
        for place in shuffled(lanes.len(), round) {
            let with = WAYS[place % WAYS.len()].1;
            let threads = RUNTIMES[place / WAYS.len()].1;
            lanes[place]
                .turn(&queue, &burst, with, threads, events)
                .await?;
        }
    }
    writeln!(
        report,
        "\n{rounds} bursts of {events} events of {} bytes, with a body of {}\n",
        burst.bytes(),
        burst::BODY.len()
    )?;
    for ((runtime, _), lanes) in RUNTIMES.iter().zip(lanes.chunks(WAYS.len())) {
        write_table(&mut report, runtime, lanes)?;
    }
    writeln!(
        report,
        "\n  aim: PgmqNotifyListener at least 0.90 × bare loop"
    )?;
    Ok(report)
}

impl Lane {
    async fn turn(
        &mut self,
        queue: &Queue,
        burst: &Burst,
        with: With,
        threads: Threads,
        events: u32,
    ) -> Result<(), Failure> {
        let mut receiver = Receiver::start(queue, with, threads, [WARM_UP, events]).await?;
        burst.publish(queue, WARM_UP).await?;
        receiver.arrivals().await?;
        let backends = backends(queue).await?;
        let before = processor_times(&backends);
        burst.publish(queue, events).await?;
        let arrivals = receiver.arrivals().await?;
        let after = processor_times(&backends);
        self.dropped += receiver.stop()?;
        let lasted = arrivals.last.duration_since(arrivals.first);
        self.per_second
            .push(f64::from(arrivals.events - 1) / lasted.as_secs_f64());
        if let (Some(before), Some(after)) = (before, after) {
            let each = |used: Duration| used.as_secs_f64() * 1e6 / f64::from(arrivals.events);
            self.client.push(each(after.0.saturating_sub(before.0)));
            self.server.push(each(after.1.saturating_sub(before.1)));
        }
        Ok(())
    }
}

/// The server's processes behind the connections of the receiver.
async fn backends(queue: &Queue) -> Result<Vec<u32>, Failure> {
    let pids: Vec<i32> = sqlx::query_scalar(
        "select pid from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen%'",
    )
    .fetch_all(queue.database().pool())
    .await?;
    Ok(pids.into_iter().map(i32::unsigned_abs).collect())
}

/// Of this process, which does nothing but receive, and of those.
fn processor_times(backends: &[u32]) -> Option<(Duration, Duration)> {
    let server = backends.iter().map(|&backend| processor_time(backend));
    Some((processor_time(process::id())?, server.sum::<Option<_>>()?))
}

fn write_table(report: &mut String, runtime: &str, lanes: &[Lane]) -> Result<(), Failure> {
    let of = |values: &Vec<f64>| Sample::new(values.iter().copied());
    let mut table = Table::new([
        runtime,
        "events/s",
        "lowest",
        "highest",
        "× bare loop",
        "client µs",
        "server µs",
        "missed",
    ]);
    let bare = of(&lanes[BARE].per_second);
    for ((way, _), lane) in WAYS.iter().zip(lanes) {
        let per_second = of(&lane.per_second);
        let microseconds = |values: &Vec<f64>| match values.as_slice() {
            [] => "?".to_owned(),
            _ => format!("{:.2}", of(values).median()),
        };
        table.row([
            (*way).to_owned(),
            format!("{:.0}", per_second.median()),
            format!("{:.0}", per_second.min()),
            format!("{:.0}", per_second.max()),
            format!("{:.2}", ratio(&per_second, &bare)),
            microseconds(&lane.client),
            microseconds(&lane.server),
            lane.dropped.to_string(),
        ]);
    }
    write!(report, "{table}")?;
    Ok(())
}
