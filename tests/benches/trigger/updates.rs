//! What the trigger for messages that become visible early costs those who read, extend and delete, and a release.
//!
//! Each turn sends, reads, extends, gives back and deletes on the server, which times the statements of PGMQ one by one,
//! without the round trip and the commit that would hide the difference; a release with its commit, where
//! PostgreSQL copies notifications into its queue. Commits wait for no flush.

use std::fmt::Write as _;

use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{
    BODY, Environment, Failure, Options, Publisher, Queue, Sample, Table, ratio, shuffled,
};

const TURN: &str = r#"
create procedure public.turn(
  count integer, size integer, body jsonb, by_hand boolean,
  inout reading float8, inout extending float8, inout deleting float8, inout releasing float8
) language plpgsql as $$
declare
  start timestamp with time zone;
  ids bigint[];
  id bigint;
  event text;
begin
  for i in 1..count loop
    perform pgmq.send_batch('orders_queue', array_fill(body, array[size]));
    commit;
    start := clock_timestamp();
    select array_agg(msg_id) into ids from pgmq.read('orders_queue', 30, size);
    reading := reading + extract(epoch from clock_timestamp() - start);
    commit;
    start := clock_timestamp();
    perform pgmq.set_vt('orders_queue', ids, 60);
    extending := extending + extract(epoch from clock_timestamp() - start);
    commit;
    start := clock_timestamp();
    perform pgmq.set_vt('orders_queue', ids, 0);
    if by_hand then
      foreach id in array ids loop
        event := format(
          '{"event_type":"message_ready","queue_name":"orders_queue","namespace":"orders","msg_id":%s,"ready_at":"%s","visible_at":"%s"}',
          id, start, start
        );
        perform pg_notify('pgmq_message_ready.orders', event), pg_notify('pgmq_message_ready', event);
      end loop;
    end if;
    commit;
    releasing := releasing + extract(epoch from clock_timestamp() - start);
    -- As it goes on; and what a notification leaves behind in the caches is no matter of the delete.
    perform pgmq.read('orders_queue', 30, size);
    commit;
    start := clock_timestamp();
    perform pgmq.delete('orders_queue', ids);
    deleting := deleting + extract(epoch from clock_timestamp() - start);
    commit;
  end loop;
end $$;
"#;

const SIZES: [i32; 3] = [1, 100, 1000];
const OPERATIONS: [&str; 4] = ["read", "longer lease", "delete", "release"];
const RELEASE: usize = 3;

/// The places of the ways.
const NONE: usize = 0;
const BY_HAND: usize = 1;
const OURS: usize = 2;

struct Lane {
    _queue: Queue,
    connection: PgConnection,
    by_hand: bool,
    /// Microseconds per statement, by size and operation.
    times: [[Vec<f64>; OPERATIONS.len()]; SIZES.len()],
}

pub(crate) async fn run(environment: &Environment, options: &Options) -> Result<String, Failure> {
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 41 });
    let messages = options
        .messages
        .unwrap_or(if options.quick { 200 } else { 2000 });
    let messages = i32::try_from(messages)?;

    let mut lanes = Vec::new();
    for place in [NONE, BY_HAND, OURS] {
        let publisher = Publisher::Ours(PgmqNotifyConfig::new());
        let queue = Queue::create(environment, &publisher).await?;
        let mut connection = queue.connect().await?;
        if place != OURS {
            connection
                .execute("drop trigger pgmq_notify_message_released on pgmq.q_orders_queue")
                .await?;
        }
        connection.execute(TURN).await?;
        connection.execute("set synchronous_commit = off").await?;
        let mut lane = Lane {
            _queue: queue,
            connection,
            by_hand: place == BY_HAND,
            times: Default::default(),
        };
        lane.turn(messages).await?;
        lane.times = Default::default();
        lanes.push(lane);
    }
    for round in 0..rounds {
        for place in shuffled(lanes.len(), round) {
            lanes[place].turn(messages).await?;
        }
    }
    let mut report = format!(
        "what updates cost; rounds: {rounds}, each of {} messages at least; µs per statement\n\n",
        messages / 10
    );
    write!(report, "{}", table(&lanes))?;
    for lane in lanes {
        lane.connection.close().await?;
    }
    Ok(report)
}

impl Lane {
    async fn turn(&mut self, messages: i32) -> Result<(), Failure> {
        for (size, times) in SIZES.into_iter().zip(&mut self.times) {
            // A statement of one message takes about ten times as long for each.
            let count = (messages / size / if size == 1 { 10 } else { 1 }).max(1);
            let spent: (f64, f64, f64, f64) =
                sqlx::query_as("call public.turn($1, $2, $3::text::jsonb, $4, 0, 0, 0, 0)")
                    .bind(count)
                    .bind(size)
                    .bind(BODY)
                    .bind(self.by_hand)
                    .fetch_one(&mut self.connection)
                    .await?;
            let spent: [f64; OPERATIONS.len()] = spent.into();
            for (times, spent) in times.iter_mut().zip(spent) {
                times.push(spent * 1e6 / f64::from(count));
            }
            self.connection
                .execute("vacuum pgmq.q_orders_queue")
                .await?;
        }
        Ok(())
    }
}

fn table(lanes: &[Lane]) -> Table {
    let mut table = Table::new([
        "statement",
        "messages",
        "no trigger",
        "pg_notify by hand",
        "ours",
        "× no trigger",
        "× by hand",
    ]);
    for (operation, name) in OPERATIONS.into_iter().enumerate() {
        for (place, size) in SIZES.into_iter().enumerate() {
            let sample =
                |lane: usize| Sample::new(lanes[lane].times[place][operation].iter().copied());
            let (none, by_hand, ours) = (sample(NONE), sample(BY_HAND), sample(OURS));
            let of_release = |text: String| match operation {
                RELEASE => text,
                // There it is another one without the trigger.
                _ => String::new(),
            };
            table.row([
                name.to_owned(),
                size.to_string(),
                format!("{:.1}", none.median()),
                of_release(format!("{:.1}", by_hand.median())),
                format!("{:.1}", ours.median()),
                format!("{:.3}", ratio(&ours, &none)),
                of_release(format!("{:.2}", ratio(&ours, &by_hand))),
            ]);
        }
    }
    table
}
