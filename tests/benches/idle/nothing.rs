//! 100 queues without a message: a consumer of all of them, and `pgmq.read_with_poll` on each.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use pgmq_notify_client::{Consumer, Source};
use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::support::{
    Environment, Failure, Options, Publisher, Queue, Table, processor_time, shuffled,
};

const QUEUES: usize = 100;

/// A backend that has nothing to do reports what it did within 10 seconds; one that exits, at once.
const REPORTED_WITHIN: Duration = Duration::from_secs(12);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    Consumer,
    /// With its defaults: a statement takes 5 seconds, and looks every 100 ms.
    Poll,
}

const WAYS: [(&str, With); 2] = [
    ("Consumer, safety poll every 30 s", With::Consumer),
    ("pgmq.read_with_poll on each", With::Poll),
];

/// What was used by some time.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    seconds: f64,
    transactions: i64,
    process: f64,
    server: f64,
}

enum Running {
    Consumer(Box<Consumer>),
    Polls(JoinSet<Result<(), Failure>>),
}

struct Lane {
    with: With,
    queue: Queue,
    used: Used,
    looks: u64,
}

pub(crate) async fn run(
    environment: &Environment,
    options: &Options,
    report: &mut String,
) -> Result<(), Failure> {
    let rounds = options.rounds.unwrap_or(1);
    let window = Duration::from_secs(if options.quick { 2 } else { 60 });
    let mut lanes = Vec::new();
    for (_, with) in WAYS {
        let publisher = match with {
            With::Consumer => Publisher::Ours(PgmqNotifyConfig::new()),
            With::Poll => Publisher::Nobody,
        };
        let queue = Queue::create(environment, &publisher).await?;
        let create = format!("select pgmq.create('q' || n) from generate_series(1, {QUEUES}) n");
        queue.database().run(create).await?;
        lanes.push(Lane {
            with,
            queue,
            used: Used::default(),
            looks: 0,
        });
    }
    let mut observer = PgConnection::connect(&environment.server().url("postgres")).await?;
    for round in 0..rounds {
        for place in shuffled(lanes.len(), round) {
            lanes[place]
                .turn(&mut observer, window, options.quick)
                .await?;
        }
    }
    observer.close().await?;
    writeln!(
        report,
        "\n{QUEUES} queues without a message, in one process; per minute\n"
    )?;
    let mut table = Table::new(["way", "transactions", "process CPU s", "server CPU s"]);
    for ((name, _), lane) in WAYS.iter().zip(&lanes) {
        let minute = |it: f64| it * 60.0 / lane.used.seconds;
        table.row([
            (*name).to_owned(),
            format!("{:.0}", minute(lane.used.transactions as f64)),
            format!("{:.3}", minute(lane.used.process)),
            format!("{:.2}", minute(lane.used.server)),
        ]);
    }
    write!(report, "{table}")?;
    let ours = &lanes[0];
    writeln!(
        report,
        "\n  aim: one look per queue in 30 s, {} per minute; here {:.0}",
        2 * QUEUES,
        ours.looks as f64 * 60.0 / ours.used.seconds
    )?;
    Ok(())
}

impl Lane {
    async fn turn(
        &mut self,
        observer: &mut PgConnection,
        window: Duration,
        quick: bool,
    ) -> Result<(), Failure> {
        let running = self.start().await?;
        let settle = if quick {
            Duration::ZERO
        } else {
            REPORTED_WITHIN
        };
        // The statements with which it begins are counted and reported before.
        tokio::time::sleep(settle).await;
        let looks = || match &running {
            Running::Consumer(consumer) => consumer.stats().claims,
            Running::Polls(_) => 0,
        };
        let since = Instant::now();
        let (begin, looked) = (self.observe(observer, since).await?, looks());
        tokio::time::sleep(window).await;
        let (end, looked) = (self.observe(observer, since).await?, looks() - looked);
        self.used.seconds += end.seconds - begin.seconds;
        self.used.transactions += end.transactions - begin.transactions;
        self.used.process += end.process - begin.process;
        self.used.server += end.server - begin.server;
        self.looks += looked;
        match running {
            Running::Consumer(consumer) => {
                consumer.shutdown().await;
            }
            Running::Polls(mut polls) => polls.shutdown().await,
        }
        Ok(())
    }

    async fn start(&self) -> Result<Running, Failure> {
        let names = (1..=QUEUES).map(|n| format!("q{n}"));
        if self.with == With::Consumer {
            let queues = Source::queues(names);
            let options = self.queue.options();
            let consumer = crate::consumer(options, queues, None, |_| {}).await?;
            return Ok(Running::Consumer(Box::new(consumer)));
        }
        let mut polls = JoinSet::new();
        for name in names {
            let mut connection = self.queue.connect().await?;
            polls.spawn(async move {
                loop {
                    sqlx::query("select msg_id from pgmq.read_with_poll($1, 30, 1)")
                        .bind(&name)
                        .fetch_all(&mut connection)
                        .await?;
                }
            });
        }
        Ok(Running::Polls(polls))
    }

    /// From another database, so that it does not count itself.
    async fn observe(&self, observer: &mut PgConnection, since: Instant) -> Result<Used, Failure> {
        let name = self.queue.database().name();
        let transactions = sqlx::query_scalar(
            "select xact_commit + xact_rollback from pg_stat_database where datname = $1",
        )
        .bind(name)
        .fetch_one(&mut *observer)
        .await?;
        let backends: Vec<i32> =
            sqlx::query_scalar("select pid from pg_stat_activity where datname = $1")
                .bind(name)
                .fetch_all(&mut *observer)
                .await?;
        let time = |process: u32| processor_time(process).map_or(0.0, |it| it.as_secs_f64());
        let server = backends
            .into_iter()
            .filter_map(|it| u32::try_from(it).ok())
            .map(time)
            .sum();
        Ok(Used {
            seconds: since.elapsed().as_secs_f64(),
            transactions,
            process: time(std::process::id()),
            server,
        })
    }
}
