//! What a trigger adds to an insert: microseconds per insert inside one transaction, where no flush hides it. And what
//! the one for updates adds to those that it has nothing to say about, and to a release ([`updates`]).
//!
//! The inserts are a loop on the server, which takes its own time, so that neither the network nor the client counts.
//! A second column adds the commit (which waits for no flush here) because that is where PostgreSQL copies
//! notifications into its queue. Nobody listens: delivery is the business of `latency`.

#[path = "../support/mod.rs"]
mod support;
mod updates;

use std::{fmt::Write as _, process::ExitCode, time::Instant};

use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{Connection, Executor, PgConnection};
use support::{
    BODY, Environment, Failure, Options, Publisher, Queue, Sample, Table, ratio, shuffled,
};

const INSERTS: &str = "
create function public.inserts(count integer, body jsonb) returns float8 language plpgsql as $$
declare
  start timestamp with time zone := clock_timestamp();
begin
  for i in 1..count loop
    insert into pgmq.q_orders_queue (vt, message) values (clock_timestamp(), body);
  end loop;
  return extract(epoch from clock_timestamp() - start) * 1e6 / count;
end $$;
";

const BARE: usize = 0;
const ONE_NOTIFY: usize = 1;

fn ways() -> [(&'static str, Publisher); 5] {
    let ours = PgmqNotifyConfig::new;
    [
        ("no trigger", Publisher::Nobody),
        ("trigger with one pg_notify", Publisher::OneNotify),
        ("ours, with body", Publisher::Ours(ours())),
        (
            "ours, no global channel",
            Publisher::Ours(ours().with_global_channel(false)),
        ),
        (
            "ours, signal only",
            Publisher::Ours(ours().with_payload(false)),
        ),
    ]
}

fn main() -> ExitCode {
    support::main_of(
        "trigger",
        "Microseconds per insert, by who publishes it, and per update.",
        |options| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(run(options))
        },
    )
}

/// One way under test, with the microseconds per insert of each turn.
struct Lane {
    name: &'static str,
    _queue: Queue,
    connection: PgConnection,
    inside: Vec<f64>,
    committed: Vec<f64>,
}

async fn run(options: Options) -> Result<String, Failure> {
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 41 });
    let inserts = options
        .messages
        .unwrap_or(if options.quick { 200 } else { 2000 });
    let inserts = i32::try_from(inserts)?;

    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let mut lanes = Vec::new();
    for (name, publisher) in ways() {
        let queue = Queue::create(&environment, &publisher).await?;
        let mut connection = queue.connect().await?;
        connection.execute(INSERTS).await?;
        connection.execute("set synchronous_commit = off").await?;
        let mut lane = Lane {
            name,
            _queue: queue,
            connection,
            inside: Vec::new(),
            committed: Vec::new(),
        };
        lane.turn(inserts).await?;
        lane.inside.clear();
        lane.committed.clear();
        lanes.push(lane);
    }
    for round in 0..rounds {
        for place in shuffled(lanes.len(), round) {
            lanes[place].turn(inserts).await?;
        }
    }
    writeln!(
        report,
        "\nrounds: {rounds}, each transaction {inserts} inserts; message of {} bytes; µs per insert\n",
        BODY.len()
    )?;
    write!(report, "{}", table(&lanes))?;
    for lane in lanes {
        lane.connection.close().await?;
    }
    write!(report, "\n{}", updates::run(&environment, &options).await?)?;
    Ok(report)
}

impl Lane {
    async fn turn(&mut self, inserts: i32) -> Result<(), Failure> {
        let start = Instant::now();
        let inside: f64 = {
            let mut transaction = self.connection.begin().await?;
            let inside = sqlx::query_scalar("select public.inserts($1, $2::text::jsonb)")
                .bind(inserts)
                .bind(BODY)
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            inside
        };
        self.inside.push(inside);
        self.committed
            .push(start.elapsed().as_secs_f64() * 1e6 / f64::from(inserts));
        Ok(())
    }
}

fn table(lanes: &[Lane]) -> Table {
    let samples: Vec<[Sample; 2]> = lanes
        .iter()
        .map(|lane| [&lane.inside, &lane.committed].map(|times| Sample::new(times.iter().copied())))
        .collect();
    let mut table = Table::new([
        "way",
        "insert",
        "trigger",
        "× one pg_notify",
        "with commit",
        "× one pg_notify",
    ]);
    let [bare, _] = &samples[BARE];
    let [one, one_committed] = &samples[ONE_NOTIFY];
    for (lane, [inside, committed]) in lanes.iter().zip(&samples) {
        table.row([
            lane.name.to_owned(),
            format!("{:.1}", inside.median()),
            format!("{:+.1}", inside.median() - bare.median()),
            format!("{:.2}", ratio(inside, one)),
            format!("{:.1}", committed.median()),
            format!("{:.2}", ratio(committed, one_committed)),
        ]);
    }
    table
}
