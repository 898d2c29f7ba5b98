use std::time::Duration;

use sqlx::{PgConnection, Row as _};

use super::depth::Counts;
use super::{Depth, Plans, QueueConsumers, ServerStatus};

/// What is known without a look into any queue. The statistics of a partitioned one are those of its partitions.
const QUEUES: &str = "
with queue as materialized (
  -- Before anything is asked of a table: other tables have no ids.
  select
    m.queue_name::text as name, m.is_partitioned, m.is_unlogged, c.oid, c.relname::text, c.relpersistence,
    case when c.oid is not null then pg_catalog.format('%I.%I', n.nspname, c.relname) end as relation
  from pgmq.meta m
  cross join pg_catalog.pg_namespace n
  left join pg_catalog.pg_class c
    on c.relname = pg_catalog.lower('q_' || m.queue_name)::pg_catalog.name and c.relkind in ('r', 'p')
    and c.relnamespace = n.oid
  where n.nspname = 'pgmq'
)
select
  q.name,
  q.is_partitioned,
  q.is_unlogged,
  q.relname,
  q.relation,
  q.oid::pg_catalog.regclass::text,
  case when pg_catalog.has_sequence_privilege(s.sequence, 'select') then s.sequence end,
  statistics.live::bigint,
  statistics.deleted::bigint,
  coalesce(pg_catalog.has_table_privilege(q.oid, 'select'), false)
    -- A standby has no rows of it.
    and not (q.relpersistence = 'u' and pg_catalog.pg_is_in_recovery())
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

/// The numbers of all queues that have a table, by name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// The server.
    pub server: ServerStatus,
    /// Every queue whose table exists.
    pub queues: Vec<QueueFigures>,
}

/// The numbers of a queue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueueFigures {
    /// Its name, as its creator spelled it.
    pub name: String,
    /// Its messages; `None` where the role may not read its table, or somebody has locked it.
    pub messages: Option<QueueMessages>,
    /// Consumers that wait for it, if there are any; `None` too where the role may not read `pgmq_notify.parked`.
    pub consumers: Option<QueueConsumers>,
}

/// The messages of a queue, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueMessages {
    /// The messages in it, visible or not.
    pub depth: Depth,
    /// Those that a reader would get now. `None` where there are too many of both kinds to be counted.
    pub visible: Option<Depth>,
    /// Those that are delayed or claimed: their visibility timeout has not ended. `None` as above.
    pub invisible: Option<Depth>,
    /// How long ago the oldest visible message was sent; `None` where none is visible.
    ///
    /// The oldest age of [`metrics`](crate::PgmqNotifyClient::metrics) counts claimed and delayed ones too.
    pub oldest_visible: Option<Duration>,
    /// Ids that were given out, which is all messages that were ever sent; `None` where the role may not read the
    /// sequence.
    pub sent: Option<u64>,
    /// Messages that have left it, deleted or archived, as the statistics of PostgreSQL have it: some seconds late, and
    /// from zero after a crash.
    pub deleted: u64,
}

/// How a queue is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// In one table.
    Plain,
    /// In an unlogged one: a crash of the server empties it, and a standby cannot read it.
    Unlogged,
    /// In partitions, by `pg_partman`.
    Partitioned,
}

impl QueueKind {
    /// `plain`, `unlogged` or `partitioned`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Unlogged => "unlogged",
            Self::Partitioned => "partitioned",
        }
    }
}

/// A queue and where it is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) kind: QueueKind,
    pub(super) table: Option<Table>,
    live: u64,
    deleted: u64,
    pub(super) counted: Option<Counted>,
    pub(super) consumers: Option<QueueConsumers>,
}

/// A queue's table, which exists.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name, as `pgmq_notify.parked` has it.
    pub(super) name: String,
    /// The same as SQL, whatever the search path.
    pub(super) relation: String,
    /// As `regclass` prints it.
    pub(super) regclass: String,
    pub(super) is_readable: bool,
    /// As SQL, if this role may read it.
    pub(super) sequence: Option<String>,
}

/// What a look into a queue brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) counts: Counts,
    pub(super) oldest_visible: Option<Duration>,
    pub(super) sent: Option<u64>,
}

pub(super) async fn all(
    connection: &mut PgConnection,
    plans: Plans,
) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query(QUEUES)
        .persistent(plans == Plans::Kept)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let relation: Option<String> = row.try_get(4)?;
            let table = match relation {
                Some(relation) => Some(Table {
                    name: row.try_get(3)?,
                    relation,
                    regclass: row.try_get(5)?,
                    sequence: row.try_get(6)?,
                    is_readable: row.try_get(9)?,
                }),
                None => None,
            };
            Ok(Found {
                name: row.try_get(0)?,
                kind: match (row.try_get(1)?, row.try_get(2)?) {
                    (true, _) => QueueKind::Partitioned,
                    (false, true) => QueueKind::Unlogged,
                    (false, false) => QueueKind::Plain,
                },
                table,
                live: unsigned(row.try_get::<Option<_>, _>(7)?.unwrap_or(0)),
                deleted: unsigned(row.try_get::<Option<_>, _>(8)?.unwrap_or(0)),
                counted: None,
                consumers: None,
            })
        })
        .collect()
}

impl Found {
    pub(super) fn messages(&self) -> Option<QueueMessages> {
        let counted = self.counted?;
        let split = counted.counts.split(self.live);
        Some(QueueMessages {
            depth: split.depth,
            visible: split.visible,
            invisible: split.invisible,
            oldest_visible: counted.oldest_visible,
            sent: counted.sent,
            deleted: self.deleted,
        })
    }

    /// Of a queue that has a table.
    pub(super) fn figures(self) -> Option<QueueFigures> {
        self.table.as_ref()?;
        Some(QueueFigures {
            messages: self.messages(),
            name: self.name,
            consumers: self.consumers,
        })
    }
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
