use std::time::Duration;

use pgmq_notify_core::{Namespace, QueueName};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::parking::Watched;
use super::source::Source;
use super::{Acknowledgement, Order, RetryPolicy};
use crate::client::queue_name;
use crate::{ClientError, seconds};

/// Which of the consumer's queues: never given to another one.
pub(crate) type QueueId = u32;

/// A queue that is consumed: what does not change while it is.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    /// The source that it belongs to.
    pub(crate) route: usize,
    pub(crate) name: QueueName,
    /// Quoted.
    pub(crate) table: String,
    pub(crate) archive: String,
    pub(crate) has_last_read_at: bool,
    pub(crate) dead_letters: String,
    pub(crate) visibility_timeout: Duration,
    pub(crate) vt_seconds: i32,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) order: Order,
    pub(crate) retry: RetryPolicy,
    pub(crate) batch_size: usize,
}

impl Queue {
    pub(crate) fn new(
        id: QueueId,
        route: usize,
        found: &Found,
        source: &Source,
    ) -> Result<Self, ClientError> {
        let dead_letters = source.dead_letters.of(found.name.as_str());
        queue_name(&dead_letters)?;
        Ok(Self {
            id,
            route,
            name: found.name.clone(),
            table: quoted(&found.table),
            archive: quoted(&found.archive),
            has_last_read_at: found.has_last_read_at,
            dead_letters,
            visibility_timeout: source.visibility_timeout,
            vt_seconds: seconds::whole("a visibility timeout", source.visibility_timeout)?,
            acknowledgement: source.acknowledgement,
            order: source.order,
            retry: source.retry.clone(),
            batch_size: source.batch_size,
        })
    }

    /// Of a message that is in no database.
    pub(crate) fn by_hand(name: &str) -> Result<Self, ClientError> {
        let found = Found {
            name: queue_name(name)?,
            namespace: None,
            table: String::new(),
            archive: String::new(),
            has_last_read_at: true,
            watched: None,
        };
        Self::new(0, 0, &found, &Source::queue(name))
    }
}

/// A queue as the database has it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: QueueName,
    /// Where the migration is installed.
    pub(crate) namespace: Option<Namespace>,
    table: String,
    archive: String,
    has_last_read_at: bool,
    /// Where its senders notify only those who sleep.
    pub(crate) watched: Option<Watched>,
}

/// PGMQ lower-cases the table, so that two names may share one: the older one names its events.
macro_rules! queues {
    ($route:literal, $join:literal) => {
        concat!(
            "select name, ",
            $route,
            ", q, pgmq.format_table_name(name, 'a') as archive,
              exists (select from pg_catalog.pg_attribute a
                where a.attrelid = pg_catalog.to_regclass(pg_catalog.format('pgmq.%I', q))
                and a.attname = 'last_read_at' and not a.attisdropped) as has_last_read_at
            from (
              select distinct on (q) m.queue_name::text as name, q
              from pgmq.meta m, pgmq.format_table_name(m.queue_name, 'q') q
              order by q, m.created_at, m.queue_name
            ) as queues",
            $join,
            "
            where pg_catalog.to_regclass(pg_catalog.format('pgmq.%I', q)) is not null
            order by name"
        )
    };
}

/// Every queue that there is.
///
/// With namespaces the migration has to be installed: it says what they are, here as for its triggers.
pub(crate) async fn find(
    connection: &mut PgConnection,
    with_namespaces: bool,
) -> Result<Vec<Found>, sqlx::Error> {
    let sql = if with_namespaces {
        queues!(
            "r.namespace, r.names, r.channel, r.parked, r.attention",
            " cross join lateral pgmq_notify.route(name) r"
        )
    } else {
        queues!("null::text as namespace, null::text as parked", "")
    };
    let rows = sqlx::query(sql)
        .persistent(false)
        .fetch_all(connection)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        // A name that PGMQ would not have given is nobody's.
        let Ok(name) = QueueName::new(row.try_get::<String, _>(0)?) else {
            continue;
        };
        let namespace: Option<String> = row.try_get("namespace")?;
        let table: String = row.try_get("q")?;
        found.push(Found {
            name,
            namespace: namespace.and_then(|name| Namespace::new(name).ok()),
            watched: watched(&row, &table)?,
            table,
            archive: row.try_get("archive")?,
            has_last_read_at: row.try_get("has_last_read_at")?,
        });
    }
    Ok(found)
}

fn watched(row: &PgRow, table: &str) -> Result<Option<Watched>, sqlx::Error> {
    let parked: Option<String> = row.try_get("parked")?;
    let Some(queue) = parked.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(Watched {
        queue,
        table: quoted(table),
        channel: row.try_get("channel")?,
        names: row.try_get("names")?,
        attention: row.try_get("attention")?,
    }))
}

/// PostgreSQL cuts it to 63 bytes as it did when PGMQ created it.
fn quoted(table: &str) -> String {
    format!("pgmq.\"{}\"", table.replace('"', "\"\""))
}
