//! What a consumer tells the database about its sleep, and asks it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::Watched;

/// A consumer that is silent for so long has its session ended by the server, and attends to nothing.
const SILENT: &str = "2s";

/// The most messages that a wake-up names: one more than are claimed by their ids.
const LEFT: i32 = 17;

/// One or two statements; never more than one job at a time is under way.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Writes rows, gives locks back, and asks who is on the way: three separate transactions at the
    /// least, in this order, or a wake-up may be lost.
    Park {
        queues: Vec<String>,
        unlock: Vec<i64>,
        attends: bool,
    },
    /// Who of these is still on the way?
    Ask { holders: Vec<Holder> },
    /// Writes rows again.
    Refresh { queues: Vec<String> },
    /// Takes the lock of a queue.
    Attend { attention: i64 },
    /// Says that this one still attends.
    Renew,
    /// Gives locks back, deletes rows, and asks who is on the way, in this order.
    Leave {
        queues: Vec<String>,
        unlock: Vec<i64>,
        attends: bool,
    },
    /// Publishes messages that are left for another consumer that sleeps.
    WakeNext { watched: Watched },
}

/// A transaction that may have looked for sleepers before there was one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) queue: String,
    /// Not the backend: a prepared transaction has none.
    pub(crate) transaction: String,
}

/// What a job brought.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    /// Whether it has the lock.
    Attends(bool),
    /// Those that hold a write lock on their queue.
    Holders(Vec<Holder>),
    /// Whether there is another consumer that sleeps.
    Others(bool),
}

impl Job {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Park { .. } => "park",
            Self::Ask { .. } => "look for senders",
            Self::Refresh { .. } => "stay parked",
            Self::Attend { .. } => "attend",
            Self::Renew => "go on attending",
            Self::Leave { .. } => "leave",
            Self::WakeNext { .. } => "wake another consumer",
        }
    }

    pub(crate) async fn run(
        &self,
        connection: &mut PgConnection,
        consumer: i64,
        lease: Duration,
    ) -> Result<Answer, sqlx::Error> {
        match self {
            Self::Park {
                queues,
                unlock,
                attends,
            } => {
                write(connection, consumer, queues, lease).await?;
                release(connection, unlock, *attends).await?;
                let holders = holders(connection, queues).await?;
                Ok(Answer::Holders(holders))
            }
            Self::Ask { holders } => Ok(Answer::Holders(remaining(connection, holders).await?)),
            Self::Refresh { queues } => {
                write(connection, consumer, queues, lease).await?;
                Ok(Answer::Done)
            }
            Self::Attend { attention } => {
                // Without waiting: a session lock that is granted in the moment in which its wait times out
                // is held, and nobody knows.
                let row = sqlx::query(
                    "select taken.is_own, set_config(
                      'idle_session_timeout',
                      case when taken.is_own then $2 else current_setting('idle_session_timeout') end,
                      false
                    )
                    from (select pg_try_advisory_lock($1) as is_own offset 0) taken",
                )
                .bind(attention)
                .bind(SILENT)
                .fetch_one(connection)
                .await?;
                Ok(Answer::Attends(row.try_get(0)?))
            }
            Self::Renew => {
                sqlx::query("select").execute(connection).await?;
                Ok(Answer::Done)
            }
            Self::Leave {
                queues,
                unlock,
                attends,
            } => {
                release(connection, unlock, *attends).await?;
                sqlx::query(
                    "delete from pgmq_notify.parked where queue = any($1) and consumer = $2",
                )
                .bind(queues)
                .bind(consumer)
                .execute(&mut *connection)
                .await?;
                Ok(Answer::Holders(holders(connection, queues).await?))
            }
            Self::WakeNext { watched } => {
                let others = wake_next(connection, consumer, watched).await?;
                Ok(Answer::Others(others))
            }
        }
    }
}

/// Rows of consumers that are gone are deleted on the way.
async fn write(
    connection: &mut PgConnection,
    consumer: i64,
    queues: &[String],
    lease: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with gone as (
          delete from pgmq_notify.parked
          where (queue, consumer) in (
            select p.queue, p.consumer from pgmq_notify.parked p
            where p.parked_until < clock_timestamp() - interval '1 minute'
            for update skip locked
          )
        )
        insert into pgmq_notify.parked as own (queue, consumer, parked_until)
        select queue, $2, clock_timestamp() + make_interval(secs => $3)
        from unnest($1::text[]) queue
        on conflict (queue, consumer) do update set parked_until = excluded.parked_until",
    )
    .bind(queues)
    .bind(consumer)
    .bind(lease.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(())
}

async fn release(
    connection: &mut PgConnection,
    unlock: &[i64],
    attends: bool,
) -> Result<(), sqlx::Error> {
    if unlock.is_empty() {
        return Ok(());
    }
    // One that attends to nothing may be silent.
    let silent = if attends { SILENT } else { "0" };
    sqlx::query(
        "select set_config('idle_session_timeout', $2, false), pg_advisory_unlock(attention)
        from unnest($1::bigint[]) attention",
    )
    .bind(unlock)
    .bind(silent)
    .execute(connection)
    .await?;
    Ok(())
}

macro_rules! holders {
    ($queues:literal, $condition:literal) => {
        concat!(
            "select distinct wanted.queue, l.virtualtransaction
            from ",
            $queues,
            "
            join pg_catalog.pg_locks l
              on l.relation = pg_catalog.to_regclass(pg_catalog.format('pgmq.%I', wanted.queue))::oid
            where l.locktype = 'relation' and l.granted and l.mode = 'RowExclusiveLock'
              and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
              and l.pid is distinct from pg_backend_pid()",
            $condition
        )
    };
}

async fn holders(
    connection: &mut PgConnection,
    queues: &[String],
) -> Result<Vec<Holder>, sqlx::Error> {
    let query = sqlx::query(holders!("unnest($1::text[]) wanted(queue)", "")).bind(queues);
    read(&query.fetch_all(connection).await?)
}

async fn remaining(
    connection: &mut PgConnection,
    noted: &[Holder],
) -> Result<Vec<Holder>, sqlx::Error> {
    let queues: Vec<&str> = noted.iter().map(|it| it.queue.as_str()).collect();
    let transactions: Vec<&str> = noted.iter().map(|it| it.transaction.as_str()).collect();
    let query = sqlx::query(holders!(
        "unnest($1::text[], $2::text[]) wanted(queue, transaction)",
        " and l.virtualtransaction = wanted.transaction"
    ))
    .bind(queues)
    .bind(transactions);
    read(&query.fetch_all(connection).await?)
}

fn read(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<Holder>, sqlx::Error> {
    rows.iter()
        .map(|row| {
            Ok(Holder {
                queue: row.try_get(0)?,
                transaction: row.try_get(1)?,
            })
        })
        .collect()
}

/// In a transaction that does nothing else, so that its commit waits for no disk.
async fn wake_next(
    connection: &mut PgConnection,
    consumer: i64,
    watched: &Watched,
) -> Result<bool, sqlx::Error> {
    let table = &watched.table;
    let sql = format!(
        "select case when rest.count > 0 then pg_notify($3, format(
          '{{\"event_type\":\"batch_ready\",%s,\"msg_ids\":[%s],\"message_count\":%s,\"ready_at\":\"%s\",\"visible_at\":\"%s\",\"wakes\":[%s]}}',
          $4::text, rest.ids, rest.count, clock.text, clock.text, other.consumer
        ))::text end
        from (
          select p.consumer from pgmq_notify.parked p
          where p.queue = $1 and p.consumer <> $2 and p.parked_until > clock_timestamp()
          order by random()
          limit 1
        ) other
        cross join (
          select string_agg(msg_id::text, ',' order by msg_id) as ids, count(*) as count
          from (select q.msg_id from {table} q where q.vt <= now() order by q.vt limit {LEFT}) q
        ) rest
        cross join (
          select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as text
        ) clock"
    );
    // The only foreign text is the table's name, quoted as an identifier.
    let other = sqlx::query(AssertSqlSafe(sql))
        .bind(&watched.queue)
        .bind(consumer)
        .bind(&watched.channel)
        .bind(&watched.names)
        .fetch_optional(connection)
        .await?;
    Ok(other.is_some())
}
