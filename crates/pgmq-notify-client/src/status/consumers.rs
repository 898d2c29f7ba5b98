use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};

use super::Plans;
use super::queues::{Found, unsigned};

/// Consumers of work queues, by the names of their tables; and whether one is at work.
const CONSUMERS: &str = "
with held as materialized (
  select l.classid::bigint << 32 | l.objid::bigint as key
  from pg_catalog.pg_locks l
  where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
),
parked as (
  select p.queue, pg_catalog.count(*) as consumers
  from pgmq_notify.parked p
  where p.parked_until > pg_catalog.statement_timestamp()
  group by p.queue
)
select
  p.queue,
  p.consumers,
  -- As pgmq_notify.route works it out, of the name of a queue.
  ('x' || pg_catalog.left(pg_catalog.encode(
    pg_catalog.sha256(pg_catalog.convert_to('pgmq_notify.attended:' || p.queue, 'UTF8')), 'hex'
  ), 16))::bit(64)::bigint in (select h.key from held h)
from parked p";

/// The consumers of a queue with the delivery `wake_up`, which alone tell senders of themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConsumers {
    /// How many would like to be told of a message: they sleep, or are at work. Each says so for 15 seconds at a time,
    /// so one that has crashed counts until then.
    pub parked: u64,
    /// Whether one of them is at work and looks by itself, so that senders need not notify.
    pub is_attended: bool,
}

pub(super) async fn add(
    connection: &mut PgConnection,
    plans: Plans,
    queues: &mut [Found],
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(CONSUMERS)
        .persistent(plans == Plans::Kept)
        .fetch_all(connection)
        .await?;
    let mut consumers = HashMap::new();
    for row in &rows {
        let of_queue = QueueConsumers {
            parked: unsigned(row.try_get(1)?),
            is_attended: row.try_get(2)?,
        };
        consumers.insert(row.try_get::<String, _>(0)?, of_queue);
    }
    for queue in queues {
        let name = queue.table.as_ref().map(|it| &it.name);
        queue.consumers = name.and_then(|name| consumers.get(name)).copied();
    }
    Ok(())
}
