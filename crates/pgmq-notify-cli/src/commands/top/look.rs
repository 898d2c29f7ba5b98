//! One look at the numbers of all queues.
//!
//! Two statements, and one more for each hundred queues. None of them counts a table: depth is counted up to
//! [`CAP`] and estimated beyond (`pgmq.metrics_all` reads every message of every queue), what is invisible and what
//! waits longest is found by indexes, and what was sent is in the sequence of the ids.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};

/// Messages that are counted one by one, in each queue.
pub(super) const CAP: u64 = 1000;

/// Queues of one statement: it holds a lock on each table and index until its end, and the server has room for
/// some thousands.
const QUEUES_AT_ONCE: usize = 100;

/// Of a connection: those of 5000 queues, or of fewer that come and go.
const KEPT_STATEMENTS: usize = 50;

/// A queue that is locked must not stop the others for long.
const WAITS: &str = "
select
  pg_catalog.set_config('lock_timeout', '1s', false),
  pg_catalog.set_config('statement_timeout', '10s', false)";

const SERVER: &str = "
select
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()),
  pg_catalog.pg_notification_queue_usage(),
  pg_catalog.current_database()::text,
  pg_catalog.current_setting('server_version'),
  (
    select pg_catalog.count(*) from pg_catalog.pg_stat_activity a
    where a.datname = pg_catalog.current_database() and a.application_name like 'pgmq-notify-consumer%'
  ),
  (
    select coalesce(pg_catalog.bool_and(
      pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select')
    ), false)
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'pgmq_notify' and c.relname = 'parked'
  )";

/// What is known without a look into any queue. The statistics of a partitioned one are those of its partitions.
const QUEUES: &str = "
with queue as materialized (
  -- Before anything is asked of a table: other tables have no ids.
  select m.queue_name::text as name, c.oid, c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname) as relation
  from pgmq.meta m
  join pg_catalog.pg_class c
    on c.relname = pg_catalog.lower('q_' || m.queue_name)::pg_catalog.name and c.relkind in ('r', 'p')
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'pgmq'
)
select
  q.name,
  q.relname,
  q.relation,
  s.sequence,
  statistics.live::bigint,
  statistics.deleted::bigint,
  pg_catalog.has_table_privilege(q.oid, 'select')
    and coalesce(pg_catalog.has_sequence_privilege(s.sequence, 'select'), false)
from queue q
cross join lateral pg_catalog.pg_get_serial_sequence(q.relation, 'msg_id') s(sequence)
cross join lateral (
  select
    pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(t.oid)) as live,
    pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(t.oid)) as deleted
  from (
    select q.oid union all select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = q.oid
  ) t(oid)
) statistics
order by q.name collate \"C\"";

/// Consumers of work queues, by the names of their tables; and whether one is at work.
const CONSUMERS: &str = "
select
  p.queue,
  pg_catalog.count(*),
  exists (
    select from pg_catalog.pg_locks l
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
      -- As pgmq_notify.route works it out, of the name of a queue.
      and (l.classid::bigint << 32 | l.objid::bigint) = ('x' || pg_catalog.left(pg_catalog.encode(
        pg_catalog.sha256(pg_catalog.convert_to('pgmq_notify.attended:' || p.queue, 'UTF8')), 'hex'
      ), 16))::bit(64)::bigint
  )
from pgmq_notify.parked p
where p.parked_until > pg_catalog.statement_timestamp()
group by p.queue";

/// What was seen, and when.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) database: String,
    pub(super) server_version: String,
    /// How far the clock of the server is ahead of this one, in seconds.
    pub(super) clock_ahead: f64,
    /// How much of the server's notification queue is in use, 0 to 1.
    pub(super) notification_queue: f64,
    /// Connections of consumers.
    pub(super) consumer_sessions: u64,
    pub(super) queues: Vec<QueueLook>,
}

/// The numbers of a queue.
#[derive(Clone, Debug, Default)]
pub(super) struct QueueLook {
    pub(super) name: String,
    /// What its tables say, if this role may read them.
    pub(super) counted: Option<Counted>,
    /// Messages that are there, as the statistics of PostgreSQL have it.
    pub(super) live: u64,
    /// Messages that were deleted or archived, as these have it: up to some seconds late.
    pub(super) deleted: u64,
    /// Consumers that wait for it, and whether one is at work; of work queues.
    pub(super) consumers: Option<(u64, bool)>,
}

/// A queue and where it is.
struct Found {
    look: QueueLook,
    /// The name of its table, as `pgmq_notify.parked` has it.
    table: String,
    /// The same and its sequence as SQL, if this role may read them.
    readable: Option<(String, String)>,
}

/// Both numbers of messages end at [`CAP`] and one more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) messages: u64,
    pub(super) invisible: u64,
    /// Since the oldest visible message was sent.
    pub(super) oldest: Option<Duration>,
    /// Ids that were given out.
    pub(super) sent: u64,
}

impl Look {
    pub(super) async fn take(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let mut connection = pool.acquire().await?;
        sqlx::query(WAITS).execute(&mut *connection).await?;
        let before = SystemTime::now();
        let server = sqlx::query(SERVER).fetch_one(&mut *connection).await?;
        let after = SystemTime::now();
        let clock: f64 = server.try_get(0)?;
        let at = Instant::now();
        let mut queues = queues(&mut connection).await?;
        if server.try_get(5)? {
            consumers(&mut connection, &mut queues).await?;
        }
        for some in queues.chunks_mut(QUEUES_AT_ONCE) {
            count(&mut connection, some).await?;
        }
        Ok(Self {
            at,
            database: server.try_get(2)?,
            server_version: server.try_get(3)?,
            clock_ahead: clock - f64::midpoint(seconds(before), seconds(after)),
            notification_queue: server.try_get(1)?,
            consumer_sessions: unsigned(server.try_get(4)?),
            queues: queues.into_iter().map(|it| it.look).collect(),
        })
    }
}

async fn queues(connection: &mut PgConnection) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query(QUEUES).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let relation: String = row.try_get(2)?;
            let sequence: Option<String> = row.try_get(3)?;
            let is_readable: bool = row.try_get(6)?;
            Ok(Found {
                look: QueueLook {
                    name: row.try_get(0)?,
                    live: unsigned(row.try_get(4)?),
                    deleted: unsigned(row.try_get(5)?),
                    counted: None,
                    consumers: None,
                },
                table: row.try_get(1)?,
                readable: sequence
                    .filter(|_| is_readable)
                    .map(|sequence| (relation, sequence)),
            })
        })
        .collect()
}

async fn consumers(connection: &mut PgConnection, queues: &mut [Found]) -> Result<(), sqlx::Error> {
    for row in sqlx::query(CONSUMERS).fetch_all(connection).await? {
        let table: String = row.try_get(0)?;
        let consumers = (unsigned(row.try_get(1)?), row.try_get(2)?);
        for queue in queues.iter_mut().filter(|it| it.table == table) {
            queue.look.consumers = Some(consumers);
        }
    }
    Ok(())
}

/// In one statement. A queue that was dropped meanwhile fails it, and the next look knows better.
async fn count(connection: &mut PgConnection, queues: &mut [Found]) -> Result<(), sqlx::Error> {
    let parts: Vec<_> = queues
        .iter()
        .enumerate()
        .filter_map(|(number, queue)| {
            let (relation, sequence) = queue.readable.as_ref()?;
            Some(part(number, relation, sequence))
        })
        .collect();
    if parts.is_empty() {
        return Ok(());
    }
    // Planning takes longer than running it, so the plans are kept while the queues stay the same.
    if connection.cached_statements_size() > KEPT_STATEMENTS {
        connection.clear_cached_statements().await?;
    }
    // The only foreign text are names of tables and sequences, quoted by the server.
    let rows = sqlx::query(AssertSqlSafe(parts.join("\nunion all\n")))
        .fetch_all(connection)
        .await?;
    for row in &rows {
        let number: i64 = row.try_get(0)?;
        if let Some(queue) = usize::try_from(number)
            .ok()
            .and_then(|it| queues.get_mut(it))
        {
            queue.look.counted = Some(counted(row)?);
        }
    }
    Ok(())
}

/// In the order of `vt`, what is invisible is found at the end of its index. Without an order PostgreSQL may read
/// the table until it has found enough of it, and where there is none, to its end.
fn part(number: usize, relation: &str, sequence: &str) -> String {
    let most = CAP + 1;
    format!(
        "select {number}::bigint,
  (select pg_catalog.count(*) from (select from {relation} limit {most}) m),
  (select pg_catalog.count(*) from (
    select from {relation} where vt > pg_catalog.statement_timestamp() order by vt desc limit {most}
  ) m),
  (
    select pg_catalog.date_part('epoch', pg_catalog.statement_timestamp() - m.enqueued_at)
    from {relation} m where m.vt <= pg_catalog.statement_timestamp() order by m.msg_id limit 1
  ),
  (select case when s.is_called then s.last_value else 0 end from {sequence} s)"
    )
}

fn counted(row: &PgRow) -> Result<Counted, sqlx::Error> {
    let oldest: Option<f64> = row.try_get(3)?;
    Ok(Counted {
        messages: unsigned(row.try_get(1)?),
        invisible: unsigned(row.try_get(2)?),
        oldest: oldest.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        sent: unsigned(row.try_get(4)?),
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
