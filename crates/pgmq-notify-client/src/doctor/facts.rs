use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::examination::rows;
use crate::diagnosis::{CATALOG, Installed};
use crate::installing::connection::Connection;
use crate::version::PgmqVersion;

/// From catalogs, which every role may read.
const SERVER: &str = "
select
  quote_ident(current_user),
  current_user::text,
  current_database()::text,
  pg_is_in_recovery(),
  host(inet_server_addr()),
  inet_server_port(),
  exists (select from pg_available_extensions e where e.name = 'pgmq'),
  coalesce(tables.meta, false), coalesce(tables.may_meta, false),
  coalesce(tables.installation, false), coalesce(tables.may_installation, false),
  coalesce(tables.parked, false), coalesce(tables.may_parked, false)
from (
  select
    bool_or(known.relation = 'pgmq.meta') as meta,
    bool_or(known.may) filter (where known.relation = 'pgmq.meta') as may_meta,
    bool_or(known.relation = 'pgmq_notify.installation') as installation,
    bool_or(known.may) filter (where known.relation = 'pgmq_notify.installation') as may_installation,
    bool_or(known.relation = 'pgmq_notify.parked') as parked,
    bool_or(known.may) filter (where known.relation = 'pgmq_notify.parked') as may_parked
  from (
    select n.nspname || '.' || c.relname as relation,
      has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as may
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where (n.nspname, c.relname) in (('pgmq', 'meta'), ('pgmq_notify', 'installation'), ('pgmq_notify', 'parked'))
  ) known
) tables";

/// The queues that have a table. PGMQ lower-cases it, so that two names may share one: the older one counts.
const QUEUES: &str = "
select distinct on (c.oid)
  m.queue_name::text, c.relname::text, format('%I.%I', n.nspname, c.relname),
  has_table_privilege(c.oid, 'select')
from pgmq.meta m
join pg_class c on c.relname = lower('q_' || m.queue_name)::name and c.relkind in ('r', 'p')
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'pgmq'
order by c.oid, m.created_at, m.queue_name";

/// What is known of the server and the database before anything is checked.
pub(super) struct Facts {
    /// The connected role, as SQL spells it.
    pub(super) role: String,
    /// The same, as it is called.
    pub(super) role_name: String,
    pub(super) database: String,
    pub(super) is_standby: bool,
    /// Where the server itself is, as it says; none on a local socket.
    pub(super) address: Option<(String, i32)>,
    /// Whether it has the files of the extension.
    pub(super) has_extension: bool,
    pub(super) pgmq: Pgmq,
    pub(super) installation: Table,
    pub(super) parked: Table,
    pub(super) queues: Vec<Queue>,
}

pub(super) struct Pgmq {
    pub(super) meta: Table,
    /// None where it is older than 1.5, or is not there.
    pub(super) version: Option<PgmqVersion>,
    pub(super) is_extension: bool,
}

/// A table that may be there, and be readable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Missing,
    Unreadable,
    Readable,
}

pub(super) struct Queue {
    pub(super) name: String,
    /// The name of its table.
    pub(super) table: String,
    /// The same with its schema, as SQL spells it.
    pub(super) relation: String,
    pub(super) is_readable: bool,
}

impl Queue {
    pub(super) fn is_dead_letter_queue(&self) -> bool {
        self.name.ends_with("_dlq")
    }
}

impl Facts {
    pub(super) async fn gather(connection: &mut Connection) -> Result<Self, sqlx::Error> {
        let server = one(rows(connection, SERVER).await?)?;
        let catalog = one(rows(connection, CATALOG).await?)?;
        let installed = Installed::read(&catalog)?;
        let address: Option<String> = server.try_get(4)?;
        let port: Option<i32> = server.try_get(5)?;
        let meta = table(&server, 7)?;
        let mut queues = Vec::new();
        if meta == Table::Readable {
            for row in rows(connection, QUEUES).await? {
                queues.push(Queue {
                    name: row.try_get(0)?,
                    table: row.try_get(1)?,
                    relation: row.try_get(2)?,
                    is_readable: row.try_get(3)?,
                });
            }
        }
        queues.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            role: server.try_get(0)?,
            role_name: server.try_get(1)?,
            database: server.try_get(2)?,
            is_standby: server.try_get(3)?,
            address: address.zip(port),
            has_extension: server.try_get(6)?,
            pgmq: Pgmq {
                meta,
                version: installed.version(),
                is_extension: installed.extension.is_some(),
            },
            installation: table(&server, 9)?,
            parked: table(&server, 11)?,
            queues,
        })
    }
}

fn table(row: &PgRow, at: usize) -> Result<Table, sqlx::Error> {
    Ok(match (row.try_get(at)?, row.try_get(at + 1)?) {
        (false, _) => Table::Missing,
        (true, false) => Table::Unreadable,
        (true, true) => Table::Readable,
    })
}

pub(super) fn one(rows: Vec<PgRow>) -> Result<PgRow, sqlx::Error> {
    rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}
