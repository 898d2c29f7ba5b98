use std::fmt::Write as _;

use sqlx::Row as _;

use super::connection::Connection;
use crate::{ClientError, ErrorKind};

/// Who has locked a queue, or keeps the migrations' own lock. Of a partition its parent is named. What they
/// execute is left out, because it may hold a message.
fn blockers(strength: Strength) -> String {
    let weak = match strength {
        Strength::Writers => "and l.mode not in ('AccessShareLock', 'RowShareLock')",
        Strength::Everybody => "",
    };
    format!("
select
  case
    when l.locktype = 'advisory' then 'the lock of the migrations'
    else coalesce(pg_catalog.pg_partition_root(l.relation), l.relation)::pg_catalog.regclass::text
  end as locked,
  coalesce('backend ' || l.pid, 'a prepared transaction') as who,
  nullif(a.application_name, '') as application,
  a.client_addr::text as client,
  pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - max(a.xact_start))::text as since,
  pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - max(a.query_start))::text as last,
  l.locktype = 'advisory' or pg_catalog.bool_or(c.relname = 'parked') as always
from pg_catalog.pg_locks l
left join pg_catalog.pg_class c on c.oid = l.relation
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and (
    n.nspname = 'pgmq' {weak}
    or n.nspname = 'pgmq_notify' and c.relname = 'parked'
    or l.locktype = 'advisory' and l.objsubid = 1
      and (l.classid::bigint << 32) | l.objid::bigint = pg_catalog.hashtextextended('pgmq_notify', 0)
  )
group by 1, 2, 3, 4, l.locktype
order by max(a.xact_start) nulls first")
}

/// Whom the lock that was wanted has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// `CREATE TRIGGER`.
    Writers,
    /// `DROP TRIGGER`.
    Everybody,
}

/// At most this many tables, and blockers, are named.
const NAMED: usize = 10;

/// The error that names the tables which stay locked, and by whom.
pub(super) async fn busy(
    connection: &mut Connection,
    operation: &str,
    strength: Strength,
    tables: &[String],
) -> ClientError {
    let mut holders = Vec::new();
    for row in connection
        .rows(blockers(strength))
        .await
        .unwrap_or_default()
    {
        let text = |column: &str| row.try_get::<Option<String>, _>(column).ok().flatten();
        let (Some(locked), Some(who)) = (text("locked"), text("who")) else {
            continue;
        };
        let always = row.try_get("always").unwrap_or(false);
        if !tables.contains(&locked) && !always {
            continue;
        }
        let mut about = Vec::new();
        about.extend(text("application").map(|name| format!("application {name:?}")));
        about.extend(text("client").map(|address| format!("client {address}")));
        about.extend(text("since").map(|since| format!("in a transaction for {since}")));
        about.extend(text("last").map(|last| format!("its last statement began {last} ago")));
        let about = if about.is_empty() {
            String::new()
        } else {
            format!(" ({})", about.join(", "))
        };
        holders.push(format!("{who}{about} has {locked}"));
    }
    let count = tables.len();
    let names = named(tables);
    let by = if holders.is_empty() {
        "no transaction stays open on them at this moment".to_owned()
    } else {
        named(&holders)
    };
    ClientError::new(
        ErrorKind::Conflict,
        format!(
            "{operation}: {count} still busy: {names}; {by}; everything else is done, and running it again continues"
        ),
    )
}

fn named(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED {
        let _ = write!(text, " and {} more", names.len() - NAMED);
    }
    text
}
