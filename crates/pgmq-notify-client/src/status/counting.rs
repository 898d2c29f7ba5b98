//! Looks into the queues, of which none counts a table.
//!
//! Depth is counted up to [`Depth::COUNTED`], what is invisible and what waits longest is found by indexes, and what
//! was sent is in the sequence of the ids. (`pgmq.metrics_all` reads every message of every queue.)

use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::depth::Counts;
use super::queues::{Counted, Found, Table, unsigned};
use super::{BEGIN, Depth, Plans};

/// Queues of one statement: it holds a lock on each table and index until its end, and the server has room for some
/// thousands.
const AT_ONCE: usize = 100;

/// Some are locked, gone, or slower than the time there is. One by one the others are found, in at most this time.
const ONE_BY_ONE_WITHIN: Duration = Duration::from_secs(5);
const BEGIN_ONE: &str = "\
begin isolation level read committed read only;
set local lock_timeout = '100ms';
set local statement_timeout = '1s'";

/// What is asked of a queue.
#[derive(Clone, Copy, Debug)]
enum Question {
    Counts,
    /// How many are visible, of which there are few beside many invisible ones.
    Visible,
}

pub(super) async fn add(
    connection: &mut PgConnection,
    plans: Plans,
    queues: &mut [Found],
) -> Result<(), sqlx::Error> {
    let all = queues.iter_mut().collect();
    ask(connection, plans, Question::Counts, all).await?;
    let uncounted = |it: &&mut Found| {
        it.counted
            .is_some_and(|it| it.counts.has_uncounted_invisible())
    };
    let rest = queues.iter_mut().filter(uncounted).collect();
    ask(connection, plans, Question::Visible, rest).await
}

async fn ask(
    connection: &mut PgConnection,
    plans: Plans,
    question: Question,
    mut queues: Vec<&mut Found>,
) -> Result<(), sqlx::Error> {
    for some in queues.chunks_mut(AT_ONCE) {
        match together(connection, plans, question, some, BEGIN).await {
            Err(error) if is_refusal(&error) => one_by_one(connection, question, some).await?,
            result => result?,
        }
    }
    Ok(())
}

/// What is refused stays unknown.
async fn one_by_one(
    connection: &mut PgConnection,
    question: Question,
    queues: &mut [&mut Found],
) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + ONE_BY_ONE_WITHIN;
    for one in queues.chunks_mut(1) {
        if Instant::now() > deadline {
            break;
        }
        match together(connection, Plans::Dropped, question, one, BEGIN_ONE).await {
            Err(error) if is_refusal(&error) => {}
            result => result?,
        }
    }
    Ok(())
}

/// In one statement, whose locks end with it.
async fn together(
    connection: &mut PgConnection,
    plans: Plans,
    question: Question,
    queues: &mut [&mut Found],
    begin: &'static str,
) -> Result<(), sqlx::Error> {
    let tables = queues.iter().enumerate().filter_map(|(number, queue)| {
        let table = queue.table.as_ref().filter(|it| it.is_readable)?;
        Some(question.part(number, table))
    });
    let parts: Vec<_> = tables.collect();
    if parts.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin_with(begin).await?;
    // The only foreign text are names of tables and sequences, quoted by the server.
    let rows = sqlx::query(AssertSqlSafe(parts.join("\nunion all\n")))
        .persistent(plans == Plans::Kept)
        .fetch_all(&mut *transaction)
        .await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            transaction.rollback().await?;
            return Err(error);
        }
    };
    transaction.commit().await?;
    for row in &rows {
        let number = usize::try_from(row.try_get::<i64, _>(0)?).ok();
        if let Some(queue) = number.and_then(|it| queues.get_mut(it)) {
            question.take(queue, row)?;
        }
    }
    Ok(())
}

/// Whether the server said no, and the session goes on.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| !["57P", "08", "53"].iter().any(|it| code.starts_with(it)))
}

impl Question {
    /// In the order of `vt`, what is invisible is found at the end of its index, and what is visible at its
    /// beginning. Without an order PostgreSQL may read the table until it has found enough of it, and where there is
    /// none, to its end.
    fn part(self, number: usize, table: &Table) -> String {
        let most = Depth::COUNTED + 1;
        let relation = &table.relation;
        if let Self::Visible = self {
            return format!(
                "select {number}::bigint,
  (select pg_catalog.count(*) from (
    select from {relation} where vt <= pg_catalog.statement_timestamp() order by vt limit {most}
  ) m)"
            );
        }
        let sent = match &table.sequence {
            Some(sequence) => {
                format!(
                    "(select case when s.is_called then s.last_value else 0 end from {sequence} s)"
                )
            }
            None => "null::bigint".to_owned(),
        };
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
  {sent}"
        )
    }

    fn take(self, queue: &mut Found, row: &PgRow) -> Result<(), sqlx::Error> {
        match self {
            Self::Counts => queue.counted = Some(counted(row)?),
            Self::Visible => {
                if let Some(counted) = &mut queue.counted {
                    counted.counts.visible = Some(unsigned(row.try_get(1)?));
                }
            }
        }
        Ok(())
    }
}

fn counted(row: &PgRow) -> Result<Counted, sqlx::Error> {
    let oldest: Option<f64> = row.try_get(3)?;
    Ok(Counted {
        counts: Counts {
            messages: unsigned(row.try_get(1)?),
            invisible: unsigned(row.try_get(2)?),
            visible: None,
        },
        // The clock of whoever sent it may have been ahead.
        oldest_visible: oldest.map(|it| Duration::try_from_secs_f64(it).unwrap_or_default()),
        sent: row.try_get::<Option<i64>, _>(4)?.map(unsigned),
    })
}
