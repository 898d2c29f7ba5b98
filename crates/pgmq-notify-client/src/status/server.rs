use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::{PgConnection, Row as _};

use super::Plans;
use super::queues::unsigned;

/// From catalogs that every role may read. Names are looked up as rows: `to_regclass` is an error where a role may
/// not see the schema.
const SERVER: &str = "
select
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()),
  pg_catalog.pg_notification_queue_usage(),
  pg_catalog.current_database()::text,
  pg_catalog.current_setting('server_version'),
  pg_catalog.pg_is_in_recovery(),
  pg_catalog.quote_ident(current_user),
  (
    select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select')
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'pgmq' and c.relname = 'meta'
  ),
  -- A standby has no rows of unlogged tables.
  not pg_catalog.pg_is_in_recovery() and coalesce((
    select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select')
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'pgmq_notify' and c.relname = 'parked'
  ), false),
  session.listeners,
  session.consumers,
  session.hidden
from (
  select
    pg_catalog.count(*) filter (where a.application_name like 'pgmq-notify-listener%') as listeners,
    pg_catalog.count(*) filter (where a.application_name like 'pgmq-notify-consumer%') as consumers,
    pg_catalog.count(*) filter (where a.application_name is null) as hidden
  from pg_catalog.pg_stat_activity a
  -- Of the processes of the server itself only some have a database, and none a user.
  where a.datname = pg_catalog.current_database() and a.usesysid is not null
) session";

/// The server, and this database of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The name of the database.
    pub database: String,
    /// The version of PostgreSQL, as `server_version` has it: `15.18`, on some systems with the package's behind it.
    pub version: String,
    /// Whether it is a standby: there nobody can listen, and nothing is published.
    pub is_standby: bool,
    /// How much of the server's notification queue is in use, 0 to 1. From 0.5 on triggers publish nothing; at 1
    /// every transaction fails that notifies.
    pub notification_queue_usage: f64,
    /// The sessions of listeners and consumers in this database.
    pub sessions: Sessions,
    /// How far the server's clock is ahead of this process's, in seconds; negative where it is behind.
    pub clock_ahead: f64,
}

/// How many sessions say by their `application_name` that they are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sessions {
    /// Those that listen; a consumer has one of them too. `application_name` begins with `pgmq-notify-listener`.
    pub listeners: u64,
    /// The others of consumers, up to six for each. `application_name` begins with `pgmq-notify-consumer`.
    pub consumers: u64,
    /// Sessions of other roles, whose names this role may not see: it is neither a member of them nor of
    /// `pg_read_all_stats`. Each may be one of ours.
    pub hidden: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meta {
    Readable,
    Unreadable,
    Missing,
}

/// What decides over the next statements, beside the status.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) status: ServerStatus,
    /// Who asks, as SQL spells it.
    pub(super) role: String,
    pub(super) meta: Meta,
    pub(super) reads_parked: bool,
}

impl Server {
    pub(super) async fn look(
        connection: &mut PgConnection,
        plans: Plans,
    ) -> Result<Self, sqlx::Error> {
        let before = SystemTime::now();
        let row = sqlx::query(SERVER)
            .persistent(plans == Plans::Kept)
            .fetch_one(connection)
            .await?;
        let after = SystemTime::now();
        let clock: f64 = row.try_get(0)?;
        Ok(Self {
            status: ServerStatus {
                notification_queue_usage: row.try_get(1)?,
                database: row.try_get(2)?,
                version: row.try_get(3)?,
                is_standby: row.try_get(4)?,
                sessions: Sessions {
                    listeners: unsigned(row.try_get(8)?),
                    consumers: unsigned(row.try_get(9)?),
                    hidden: unsigned(row.try_get(10)?),
                },
                clock_ahead: clock - f64::midpoint(seconds(before), seconds(after)),
            },
            role: row.try_get(5)?,
            meta: match row.try_get(6)? {
                Some(true) => Meta::Readable,
                Some(false) => Meta::Unreadable,
                None => Meta::Missing,
            },
            reads_parked: row.try_get(7)?,
        })
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
