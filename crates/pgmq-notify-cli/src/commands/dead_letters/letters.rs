//! Dead letters as they lie in their queue, read without a claim.

use pgmq_notify_client::{DeadLetter, Message, RawJson};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row as _};

use crate::database::{instead_of, names_of_queues, refused};
use crate::failure::Failure;

/// The header that makes a message a dead letter.
const HEADER: &str = "x-pgmq-notify-dead-letter";

/// The end of the name that a consumer gives to the queue of its dead letters.
const SUFFIX: &str = "_dlq";

/// One message with that header.
#[derive(Debug)]
pub(super) struct Letter {
    /// The queue that it is in.
    pub(super) queue: String,
    pub(super) msg_id: i64,
    pub(super) body: String,
    pub(super) headers: String,
    /// Somebody has claimed it, or it is delayed.
    pub(super) is_invisible: bool,
}

/// A dead letter as a program reads it.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    queue: &'a str,
    msg_id: i64,
    visible: bool,
    message: Box<RawValue>,
    headers: Box<RawValue>,
}

impl Letter {
    /// What is known of it; nothing where the header is none that a consumer writes.
    pub(super) fn known(&self) -> Option<DeadLetter> {
        let mut message = Message::by_hand(self.msg_id, ());
        message.headers = Some(RawJson::new(self.headers.clone()));
        message.dead_letter()
    }

    pub(super) fn object(&self) -> Result<Object<'_>, Failure> {
        let json = |text: &str| {
            RawValue::from_string(text.to_owned()).map_err(|error| {
                Failure::new(
                    format!("cannot read message {}: {error}", self.msg_id),
                    "this is an error of pgmq-notify",
                )
            })
        };
        Ok(Object {
            queue: &self.queue,
            msg_id: self.msg_id,
            visible: !self.is_invisible,
            message: json(&self.body)?,
            headers: json(&self.headers)?,
        })
    }
}

/// A queue and its table, which exists.
#[derive(Debug)]
pub(super) struct Letters {
    queue: String,
    /// Quoted by the server.
    table: String,
}

impl Letters {
    pub(super) async fn of(pool: &PgPool, queue: &str) -> Result<Self, Failure> {
        let table: Option<String> = sqlx::query_scalar(
            "select pg_catalog.format('%I.%I', n.nspname, c.relname)
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'pgmq' and c.relname = pg_catalog.lower('q_' || $1)::pg_catalog.name
              and c.relkind in ('r', 'p')",
        )
        .bind(queue)
        .fetch_optional(pool)
        .await
        .map_err(|error| refused("find the queue", &error))?;
        if let Some(table) = table {
            return Ok(Self {
                queue: queue.to_owned(),
                table,
            });
        }
        let names = names_of_queues(pool).await;
        Err(Failure::new(
            format!("there is no queue {queue:?}"),
            instead_of(queue, &names),
        ))
    }

    /// The oldest ones, up to `most`.
    pub(super) async fn oldest(&self, pool: &PgPool, most: i64) -> Result<Vec<Letter>, Failure> {
        let sql = self.select("order by m.msg_id limit $1");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(most).fetch_all(pool);
        self.read(&rows.await.map_err(|error| self.refused("list", &error))?)
    }

    pub(super) async fn one(&self, pool: &PgPool, msg_id: i64) -> Result<Option<Letter>, Failure> {
        let sql = self.select("and m.msg_id = $1");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(msg_id).fetch_all(pool);
        let mut letters = self.read(&rows.await.map_err(|error| self.refused("show", &error))?)?;
        Ok(letters.pop())
    }

    pub(super) async fn count(&self, pool: &PgPool) -> Result<i64, Failure> {
        let table = &self.table;
        let sql = format!("select pg_catalog.count(*) from {table} m where m.headers ? '{HEADER}'");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await;
        count.map_err(|error| self.refused("count", &error))
    }

    /// Deletes those of these ids, or up to `most` of the oldest, and gives the ids of those that were there.
    /// What somebody has claimed stays.
    pub(super) async fn discard(
        &self,
        pool: &PgPool,
        ids: Option<&[i64]>,
        most: i64,
    ) -> Result<Vec<i64>, Failure> {
        let table = &self.table;
        let sql = format!(
            "with chosen as (
              select m.msg_id from {table} m
              where m.headers ? '{HEADER}' and m.vt <= pg_catalog.clock_timestamp()
                and ($1::bigint[] is null or m.msg_id = any ($1))
              order by m.msg_id
              limit $2
              for update skip locked
            ),
            gone as (
              delete from {table} m using chosen where m.msg_id = chosen.msg_id returning m.msg_id
            )
            select gone.msg_id from gone order by gone.msg_id"
        );
        let ids = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(ids)
            .bind(most)
            .fetch_all(pool)
            .await;
        ids.map_err(|error| self.refused("drop", &error))
    }

    /// The only foreign text is the table's name, quoted as an identifier.
    fn select(&self, which: &str) -> String {
        let table = &self.table;
        format!(
            "select m.msg_id, coalesce(m.message, 'null')::text, m.headers::text, m.vt > pg_catalog.clock_timestamp()
            from {table} m
            where m.headers ? '{HEADER}' {which}"
        )
    }

    fn read(&self, rows: &[PgRow]) -> Result<Vec<Letter>, Failure> {
        let letter = |row: &PgRow| -> Result<Letter, sqlx::Error> {
            Ok(Letter {
                queue: self.queue.clone(),
                msg_id: row.try_get(0)?,
                body: row.try_get(1)?,
                headers: row.try_get(2)?,
                is_invisible: row.try_get(3)?,
            })
        };
        let letters: Result<_, _> = rows.iter().map(letter).collect();
        letters.map_err(|error| self.refused("read", &error))
    }

    fn refused(&self, what: &str, error: &sqlx::Error) -> Failure {
        refused(
            &format!("{what} the dead letters of {:?}", self.queue),
            error,
        )
    }
}

/// Every queue whose name ends like that of dead letters.
pub(super) async fn dead_letter_queues(pool: &PgPool) -> Result<Vec<String>, Failure> {
    sqlx::query_scalar(
        "select m.queue_name::text from pgmq.meta m
        where pg_catalog.right(m.queue_name, 4) = $1 order by m.queue_name collate \"C\"",
    )
    .bind(SUFFIX)
    .fetch_all(pool)
    .await
    .map_err(|error| refused("list the queues", &error))
}
