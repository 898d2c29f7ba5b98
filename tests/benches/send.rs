//! How many messages per second senders get through, by who publishes them.
//!
//! Rates are compared as medians of short turns: in every round each way has one turn with each number of senders, in
//! an order drawn anew, so that whatever else the machine does meets all of them.

mod support;

use std::{
    fmt::Write as _,
    io::Write as _,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{Connection, Executor, PgConnection};
use support::{
    BODY, Deliveries, Environment, Failure, Options, Publisher, Queue, Sample, Table, ratio,
    shuffled,
};
use tokio::{sync::Barrier, task::JoinSet};

/// Enough for PostgreSQL to settle on its plans.
const WARM_UP: u64 = 10;

const SEND: &str = "select pgmq.send('orders_queue', $1::text::jsonb)";
const SEND_AND_NOTIFY: &str = "select pgmq_notify.send('orders_queue', $1::text::jsonb)";

/// The ways that others are compared with, by their place in [`ways`].
const BARE: usize = 0;
const ONE_NOTIFY: usize = 1;

struct Way {
    name: &'static str,
    publisher: Publisher,
    statement: &'static str,
    /// Whether every message is notified once on the channel that is listened to.
    notifies_each: bool,
}

fn ways() -> Vec<Way> {
    let way = |name, publisher, notifies_each| Way {
        name,
        publisher,
        statement: SEND,
        notifies_each,
    };
    let ours = PgmqNotifyConfig::new;
    vec![
        way("pgmq.send, nobody notifies", Publisher::Nobody, false),
        way("trigger with one pg_notify", Publisher::OneNotify, true),
        way("PGMQ's notify, 0 ms", Publisher::Pgmq { throttle: 0 }, true),
        way(
            "PGMQ's notify, 250 ms",
            Publisher::Pgmq { throttle: 250 },
            false,
        ),
        way("ours, with body", Publisher::Ours(ours()), true),
        way(
            "ours, no global channel",
            Publisher::Ours(ours().with_global_channel(false)),
            true,
        ),
        way(
            "ours, signal only",
            Publisher::Ours(ours().with_payload(false)),
            true,
        ),
        Way {
            statement: SEND_AND_NOTIFY,
            ..way(
                "ours, without triggers",
                Publisher::Ours(ours().with_triggers_enabled(false)),
                true,
            )
        },
    ]
}

fn main() -> ExitCode {
    support::main_of(
        "send",
        "Messages per second, by who publishes them.",
        |options| {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(run(options))
        },
    )
}

/// One way under test.
struct Lane {
    way: Way,
    _queue: Queue,
    deliveries: Deliveries,
    /// As many as ever send at a time, made and warmed up before anything is measured.
    connections: Vec<PgConnection>,
    sent: u64,
    /// Messages per second of each turn, by number of senders.
    rates: Vec<Vec<f64>>,
}

async fn run(options: Options) -> Result<String, Failure> {
    let quick = options.quick;
    let rounds = options.rounds.unwrap_or(if quick { 1 } else { 16 });
    let length = options
        .slice
        .unwrap_or(Duration::from_millis(if quick { 60 } else { 300 }));
    let senders = options
        .senders
        .unwrap_or_else(|| if quick { vec![1, 8] } else { vec![1, 8, 32] });

    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let mut lanes = Vec::new();
    let most = senders.iter().copied().max().unwrap_or(1);
    for way in ways() {
        lanes.push(Lane::open(way, &environment, most, senders.len()).await?);
    }
    for round in 0..rounds {
        if !quick {
            writeln!(std::io::stderr(), "send: round {} of {rounds}", round + 1)?;
        }
        for (column, &senders) in senders.iter().enumerate() {
            for place in shuffled(lanes.len(), round) {
                let lane = &mut lanes[place];
                let rate = lane.turn(senders, length).await?;
                lane.rates[column].push(rate);
            }
        }
    }
    writeln!(
        report,
        "\nrounds: {rounds}, each turn {} ms; message of {} bytes",
        length.as_millis(),
        BODY.len()
    )?;
    for (column, senders) in senders.iter().enumerate() {
        writeln!(
            report,
            "\n{senders} {}",
            if *senders == 1 { "sender" } else { "senders" }
        )?;
        write!(report, "{}", table(&lanes, column))?;
    }
    for lane in lanes {
        lane.close().await?;
    }
    Ok(report)
}

impl Lane {
    async fn open(
        way: Way,
        environment: &Environment,
        most: usize,
        columns: usize,
    ) -> Result<Self, Failure> {
        let queue = Queue::create(environment, &way.publisher).await?;
        let deliveries = Deliveries::of(&queue).await?;
        let mut connections = Vec::with_capacity(most);
        let mut sent = 0;
        for _ in 0..most {
            let mut connection = queue.connect().await?;
            // Plans are what is warmed up, not the disk.
            connection.execute("set synchronous_commit = off").await?;
            for _ in 0..WARM_UP {
                send(&mut connection, way.statement).await?;
                sent += 1;
            }
            connection.execute("reset synchronous_commit").await?;
            connections.push(connection);
        }
        Ok(Self {
            way,
            _queue: queue,
            deliveries,
            connections,
            sent,
            rates: vec![Vec::new(); columns],
        })
    }

    /// Messages per second of one turn.
    async fn turn(&mut self, senders: usize, length: Duration) -> Result<f64, Failure> {
        let start = Arc::new(Barrier::new(senders));
        let statement = self.way.statement;
        let mut sending = JoinSet::new();
        for connection in self.connections.drain(..senders) {
            sending.spawn(sender(connection, statement, Arc::clone(&start), length));
        }
        let mut in_time = 0_u32;
        while let Some(sender) = sending.join_next().await {
            let sent = sender??;
            in_time += sent.in_time;
            self.sent += sent.all;
            self.connections.push(sent.connection);
        }
        // What was not delivered yet would be delivered in the next turn's time.
        if self.way.notifies_each {
            self.deliveries.reach(self.sent).await;
        }
        Ok(f64::from(in_time) / length.as_secs_f64())
    }

    async fn close(self) -> Result<(), sqlx::Error> {
        for connection in self.connections {
            connection.close().await?;
        }
        Ok(())
    }
}

struct Sent {
    connection: PgConnection,
    in_time: u32,
    all: u64,
}

async fn sender(
    mut connection: PgConnection,
    statement: &'static str,
    start: Arc<Barrier>,
    length: Duration,
) -> Result<Sent, Failure> {
    let (mut in_time, mut all) = (0, 0);
    start.wait().await;
    let start = Instant::now();
    while start.elapsed() < length {
        send(&mut connection, statement).await?;
        all += 1;
        if start.elapsed() <= length {
            in_time += 1;
        }
    }
    Ok(Sent {
        connection,
        in_time,
        all,
    })
}

/// To the end of the answer: a row arrives with its commit, but `fetch_one` would return before having read that.
async fn send(connection: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(statement)
        .bind(BODY)
        .execute(connection)
        .await
        .map(drop)
}

fn table(lanes: &[Lane], column: usize) -> Table {
    let rates: Vec<Sample> = lanes
        .iter()
        .map(|lane| Sample::new(lane.rates[column].iter().copied()))
        .collect();
    let mut table = Table::new([
        "way",
        "messages/s",
        "lowest",
        "highest",
        "× bare",
        "× one pg_notify",
    ]);
    for (lane, rate) in lanes.iter().zip(&rates) {
        table.row([
            lane.way.name.to_owned(),
            format!("{:.0}", rate.median()),
            format!("{:.0}", rate.min()),
            format!("{:.0}", rate.max()),
            format!("{:.2}", ratio(rate, &rates[BARE])),
            format!("{:.2}", ratio(rate, &rates[ONE_NOTIFY])),
        ]);
    }
    table
}
