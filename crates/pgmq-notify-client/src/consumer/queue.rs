use std::time::Duration;

use pgmq_notify_core::{Namespace, QueueName};
use sqlx::{PgConnection, Row as _};

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
}

/// PGMQ lower-cases the table, so that two names may share one: the older one names its events.
macro_rules! queues {
    ($namespace:literal) => {
        concat!(
            "select name, ",
            $namespace,
            ", q, pgmq.format_table_name(name, 'a'),
              exists (select from pg_catalog.pg_attribute a
                where a.attrelid = pg_catalog.to_regclass(pg_catalog.format('pgmq.%I', q))
                and a.attname = 'last_read_at' and not a.attisdropped)
            from (
              select distinct on (q) m.queue_name::text as name, q
              from pgmq.meta m, pgmq.format_table_name(m.queue_name, 'q') q
              order by q, m.created_at, m.queue_name
            ) as queues
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
        queues!("pgmq_notify.namespace_of(name)")
    } else {
        queues!("null::text")
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
        let namespace: Option<String> = row.try_get(1)?;
        found.push(Found {
            name,
            namespace: namespace.and_then(|name| Namespace::new(name).ok()),
            table: row.try_get(2)?,
            archive: row.try_get(3)?,
            has_last_read_at: row.try_get(4)?,
        });
    }
    Ok(found)
}

/// PostgreSQL cuts it to 63 bytes as it did when PGMQ created it.
fn quoted(table: &str) -> String {
    format!("pgmq.\"{}\"", table.replace('"', "\"\""))
}
