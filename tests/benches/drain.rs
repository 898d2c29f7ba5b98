//! How many messages per second are handled when a backlog waits: by consumers, and by bare loops in SQL.
//!
//! A bare loop reads 100 messages with `pgmq.read` on a connection that waits for no flush, deletes them with one
//! statement on another one that does, and handles nothing: the same durability as the consumer's. Each way has a queue
//! in a database of its own, and the ways take turns. A turn begins with a full queue and ends when it is empty.

mod support;

use std::{
    fmt::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgPoolOptions};
use support::{
    BODY, Environment, Failure, Options, Publisher, QUEUE, Queue, Sample, Table, ratio, shuffled,
};
use tokio::task::JoinSet;

/// What the others are compared with, and what the aim is for, by their place in [`ways`].
const BARE: usize = 0;
const OURS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum With {
    /// So many bare loops at a time.
    Loops(usize),
    /// So many consumers, as in so many processes, with so many handlers each.
    Consumers { processes: usize, handlers: usize },
}

struct Way {
    name: &'static str,
    with: With,
}

fn ways() -> Vec<Way> {
    let loops = |name, loops| Way {
        name,
        with: With::Loops(loops),
    };
    let consumers = |name, processes, handlers| Way {
        name,
        with: With::Consumers {
            processes,
            handlers,
        },
    };
    vec![
        loops("bare loop: pgmq.read of 100, one delete", 1),
        loops("two bare loops", 2),
        consumers("consumer, 1 handler", 1, 1),
        consumers("consumer, 16 handlers", 1, 16),
        consumers("consumer, 100 handlers", 1, 100),
        consumers("consumer, 256 handlers", 1, 256),
        consumers("2 consumers, 16 handlers each", 2, 16),
        consumers("4 consumers, 16 handlers each", 4, 16),
    ]
}

fn main() -> ExitCode {
    let about = "Messages per second from a backlog.";
    support::main_of("drain", about, |options| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(run(options))
    })
}

struct Lane {
    way: Way,
    queue: Queue,
    connection: PgConnection,
    consumers: Vec<Consumer>,
    rates: Vec<f64>,
}

async fn run(options: Options) -> Result<String, Failure> {
    let messages = options
        .messages
        .unwrap_or(if options.quick { 500 } else { 20_000 });
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 9 });
    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let mut lanes = Vec::new();
    for way in ways() {
        lanes.push(Lane::new(&environment, way).await?);
    }
    // The first round settles plans and caches.
    for round in 0..=rounds {
        for place in shuffled(lanes.len(), round) {
            let rate = lanes[place].turn(messages).await?;
            if round > 0 {
                lanes[place].rates.push(rate);
            }
        }
    }
    writeln!(
        report,
        "\n{rounds} turns of {messages} messages of {} bytes for each way\n",
        BODY.len()
    )?;
    write_table(&mut report, &lanes)?;
    for lane in lanes {
        for consumer in lane.consumers {
            consumer.shutdown().await;
        }
        lane.connection.close().await?;
    }
    Ok(report)
}

impl Lane {
    async fn new(environment: &Environment, way: Way) -> Result<Self, Failure> {
        let config = PgmqNotifyConfig::new();
        let publisher = match way.with {
            With::Loops(_) => Publisher::Nobody,
            With::Consumers { .. } => Publisher::Ours(config.clone()),
        };
        let queue = Queue::create(environment, &publisher).await?;
        let mut consumers = Vec::new();
        if let With::Consumers {
            processes,
            handlers,
        } = way.with
        {
            for _ in 0..processes {
                let pool = PgPoolOptions::new()
                    .max_connections(1)
                    .connect_lazy_with(queue.options());
                let client = PgmqNotifyClient::with_pool(pool, config.clone())?;
                let consumer = Consumer::builder(client)
                    .concurrency(handlers)
                    .queue(
                        QUEUE,
                        |message: Message<serde_json::Value>, _: Claim| async move {
                            drop(message.body);
                            Ok::<(), HandlerError>(())
                        },
                    )
                    .start()
                    .await?;
                consumer.pause(QUEUE).await?;
                consumers.push(consumer);
            }
        }
        Ok(Self {
            connection: queue.connect().await?,
            way,
            queue,
            consumers,
            rates: Vec::new(),
        })
    }

    /// Messages per second.
    async fn turn(&mut self, messages: u32) -> Result<f64, Failure> {
        self.fill(messages).await?;
        let begin = Instant::now();
        match self.way.with {
            With::Loops(loops) => self.loops(loops, messages).await?,
            With::Consumers { .. } => self.consumers(messages).await?,
        }
        Ok(f64::from(messages) / begin.elapsed().as_secs_f64())
    }

    /// Fresh pages for every way: what a turn leaves behind is not the next one's.
    async fn fill(&mut self, messages: u32) -> Result<(), Failure> {
        let sql = format!(
            "truncate pgmq.q_{QUEUE};
             insert into pgmq.q_{QUEUE} (vt, message)
             select clock_timestamp(), '{BODY}' from generate_series(1, {messages});"
        );
        self.connection.execute(AssertSqlSafe(sql)).await?;
        let sql = format!("vacuum analyze pgmq.q_{QUEUE}");
        self.connection.execute(AssertSqlSafe(sql)).await?;
        // The events of the insert.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn loops(&self, loops: usize, messages: u32) -> Result<(), Failure> {
        let mut running = JoinSet::new();
        for _ in 0..loops {
            let options = self.queue.options();
            running.spawn(async move { bare_loop(options).await });
        }
        let mut handled = 0;
        while let Some(ended) = running.join_next().await {
            handled += ended??;
        }
        if handled != messages as usize {
            return Err(format!("{handled} of {messages} messages were read").into());
        }
        Ok(())
    }

    /// How many messages a claim brought.
    fn each_claim(&self) -> String {
        let stats: Vec<_> = self.consumers.iter().map(Consumer::stats).collect();
        let claims: u64 = stats.iter().map(|it| it.claims).sum();
        let claimed: u64 = stats.iter().map(|it| it.claimed).sum();
        match claims {
            0 => "100".to_owned(),
            // In tenths, because a float holds no u64.
            claims => {
                let tenths = claimed * 10 / claims;
                format!("{}.{}", tenths / 10, tenths % 10)
            }
        }
    }

    async fn consumers(&self, messages: u32) -> Result<(), Failure> {
        let done = || self.consumers.iter().map(|it| it.stats().done).sum::<u64>();
        let before = done();
        for consumer in &self.consumers {
            consumer.resume(QUEUE).await?;
        }
        while done() - before < u64::from(messages) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for consumer in &self.consumers {
            consumer.pause(QUEUE).await?;
        }
        Ok(())
    }
}

async fn bare_loop(options: sqlx::postgres::PgConnectOptions) -> Result<usize, Failure> {
    let mut reading = PgConnection::connect_with(&options).await?;
    reading.execute("set synchronous_commit = off").await?;
    let mut deleting = PgConnection::connect_with(&options).await?;
    let mut handled = 0;
    loop {
        let ids: Vec<i64> = sqlx::query_as::<_, (i64, sqlx::types::Json<serde_json::Value>)>(
            "select msg_id, message from pgmq.read($1, 30, 100)",
        )
        .bind(QUEUE)
        .fetch_all(&mut reading)
        .await?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
        if ids.is_empty() {
            break;
        }
        handled += ids.len();
        sqlx::query("select pgmq.delete($1, $2::bigint[])")
            .bind(QUEUE)
            .bind(ids)
            .execute(&mut deleting)
            .await?;
    }
    reading.close().await?;
    deleting.close().await?;
    Ok(handled)
}

fn write_table(report: &mut String, lanes: &[Lane]) -> Result<(), Failure> {
    let samples: Vec<Sample> = lanes
        .iter()
        .map(|lane| Sample::new(lane.rates.iter().copied()))
        .collect();
    let mut table = Table::new([
        "way",
        "messages/s",
        "lowest",
        "highest",
        "µs each",
        "× bare",
    ]);
    for (lane, sample) in lanes.iter().zip(&samples) {
        table.row([
            lane.way.name.to_owned(),
            format!("{:.0}", sample.median()),
            format!("{:.0}", sample.min()),
            format!("{:.0}", sample.max()),
            format!("{:.0}", 1e6 / sample.median()),
            lane.each_claim(),
            format!("{:.2}", ratio(sample, &samples[BARE])),
        ]);
    }
    write!(report, "{table}")?;
    writeln!(
        report,
        "\n  aim: 16 handlers at least 0.90 × bare, here {:.2}",
        ratio(&samples[OURS], &samples[BARE]),
    )?;
    Ok(())
}
