//! How long after a send its event is received: from the call, and from the return of the commit.
//!
//! Sender and receivers are threads of this process, so all times are of one monotonic clock (`Instant`): before the
//! statement that sends is handed to sqlx; after sqlx has read its answer to the end, which PostgreSQL gives once the
//! transaction is committed; and in the receiver's thread when the notification or event is returned to its caller.
//! One message is on its way at a time, a pause between two lets everything fall asleep as an idle system does, and the
//! ways take turns in an order drawn anew for each message. Every way sends in one statement, which is a transaction
//! of its own: none has more round trips than another.

#[path = "../support/mod.rs"]
mod support;
mod with;

use std::{
    fmt::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{Connection, PgConnection};
use support::{
    BODY, Environment, Failure, Options, Publisher, Queue, Receiver, Sample, Table, ratio, shuffled,
};
use with::With;

/// Enough for PostgreSQL to settle on its plans.
const WARM_UP: u32 = 20;

const PAUSE: Duration = Duration::from_millis(1);

const FLOOR_STATEMENT: &str = "
with inserted as (
  insert into pgmq.q_orders_queue (vt, message) values (clock_timestamp(), $1::text::jsonb) returning msg_id
)
select pg_notify('orders', msg_id::text) from inserted";
const SEND_AND_NOTIFY: &str = "select pg_notify('orders', s.msg_id::text) from pgmq.send('orders_queue', $1::text::jsonb) s(msg_id)";
const SEND: &str = "select pgmq.send('orders_queue', $1::text::jsonb)";

/// What the others are compared with, and what the aims are for, by their place in [`ways`].
const FLOOR: usize = 0;
const OURS: usize = 4;

struct Way {
    name: &'static str,
    publisher: Publisher,
    statement: &'static str,
    received: With,
}

fn ways() -> [Way; 5] {
    let way = |name, publisher, statement| Way {
        name,
        publisher,
        statement,
        received: With::Loop,
    };
    let config = PgmqNotifyConfig::new();
    let ours = || Publisher::Ours(config.clone());
    [
        way(
            "floor: insert and pg_notify, bare loop",
            Publisher::Nobody,
            FLOOR_STATEMENT,
        ),
        way(
            "pgmq.send and pg_notify, bare loop",
            Publisher::Nobody,
            SEND_AND_NOTIFY,
        ),
        way(
            "trigger with one pg_notify, bare loop",
            Publisher::OneNotify,
            SEND,
        ),
        way("ours, bare loop", ours(), SEND),
        Way {
            received: With::Listener(config.clone()),
            ..way("ours, PgmqNotifyListener", ours(), SEND)
        },
    ]
}

fn main() -> ExitCode {
    let about = "Microseconds from a send to its event.";
    support::main_of("latency", about, |options| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(run(options))
    })
}

/// One way under test, with the microseconds of each message.
struct Lane {
    way: Way,
    // Before the queue: its database is dropped when nobody listens any more.
    receiver: Receiver,
    connection: PgConnection,
    _queue: Queue,
    from_call: Vec<f64>,
    from_return: Vec<f64>,
}

async fn run(options: Options) -> Result<String, Failure> {
    let messages = options
        .messages
        .unwrap_or(if options.quick { 50 } else { 3000 });

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
            from_call: Vec::new(),
            from_return: Vec::new(),
        });
    }
    for message in 0..WARM_UP + messages {
        for place in shuffled(lanes.len(), message) {
            tokio::time::sleep(PAUSE).await;
            lanes[place].message().await?;
        }
        if message + 1 == WARM_UP {
            for lane in &mut lanes {
                lane.from_call.clear();
                lane.from_return.clear();
            }
        }
    }
    writeln!(
        report,
        "\n{messages} messages of {} bytes for each way; µs\n",
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
        let called = Instant::now();
        // `execute` reads the answer to its end, which is the commit's; `fetch_one` would return with the row.
        sqlx::query(self.way.statement)
            .bind(BODY)
            .execute(&mut self.connection)
            .await?;
        let returned = Instant::now();
        let received = self.receiver.arrival().await?;
        self.from_call.push(microseconds(called, received));
        self.from_return.push(microseconds(returned, received));
        Ok(())
    }
}

/// Negative when the event was there before the sender had the answer.
fn microseconds(from: Instant, to: Instant) -> f64 {
    let (sign, difference) = match to.checked_duration_since(from) {
        Some(after) => (1.0, after),
        None => (-1.0, from.duration_since(to)),
    };
    sign * difference.as_secs_f64() * 1e6
}

fn write_table(report: &mut String, lanes: &[Lane]) -> Result<(), Failure> {
    let sample = |times: &Vec<f64>| Sample::new(times.iter().copied());
    let from_call: Vec<Sample> = lanes.iter().map(|lane| sample(&lane.from_call)).collect();
    let from_return: Vec<Sample> = lanes.iter().map(|lane| sample(&lane.from_return)).collect();
    let mut table = Table::new([
        "way",
        "from the call",
        "p99",
        "× floor",
        "− floor",
        "from the return",
        "p99",
        "− floor",
    ]);
    let above_floor =
        |samples: &[Sample], place: usize| samples[place].median() - samples[FLOOR].median();
    for (place, lane) in lanes.iter().enumerate() {
        table.row([
            lane.way.name.to_owned(),
            format!("{:.0}", from_call[place].median()),
            format!("{:.0}", from_call[place].percentile(99)),
            format!("{:.2}", ratio(&from_call[place], &from_call[FLOOR])),
            format!("{:+.0}", above_floor(&from_call, place)),
            format!("{:.0}", from_return[place].median()),
            format!("{:.0}", from_return[place].percentile(99)),
            format!("{:+.0}", above_floor(&from_return, place)),
        ]);
    }
    write!(report, "{table}")?;
    writeln!(
        report,
        "\n  aims: from the call at most 1.10 × floor, here {:.2}; from the return at most 20 µs above it, here {:+.0}",
        ratio(&from_call[OURS], &from_call[FLOOR]),
        above_floor(&from_return, OURS),
    )?;
    Ok(())
}
