//! PGMQ's own notifications, which cost its senders each other's company.

use sqlx::Row as _;

use crate::ClientError;
use crate::doctor::examination::{Examination, failed};
use crate::doctor::quoted::{literal, some_of};
use crate::doctor::{FindingCode, Remedy};

/// Since PGMQ 1.7, by the function that its trigger calls.
const ENABLED: &str = "
select c.relname::text
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_proc p on p.oid = t.tgfoid
join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'pgmq' and p.proname = 'notify_queue_listeners' and t.tgparentid = 0";

pub(super) async fn check(it: &mut Examination<'_>) -> Result<(), ClientError> {
    let mut tables = Vec::new();
    for row in it.ask("PGMQ's own notifications", ENABLED).await? {
        tables.push(row.try_get::<String, _>(0).map_err(failed)?);
    }
    let queues = it
        .facts
        .queues
        .iter()
        .filter(|it| tables.contains(&it.table));
    let queues: Vec<_> = queues.map(|it| it.name.clone()).collect();
    if queues.is_empty() {
        return Ok(());
    }
    let statements = queues
        .iter()
        .map(|it| format!("select pgmq.disable_notify_insert({});", literal(it)))
        .collect::<Vec<_>>()
        .join("\n");
    it.find(
        FindingCode::PgmqOwnNotify,
        some_of(&queues),
        "PGMQ's own notifications (enable_notify_insert) are enabled too. Senders of the queue wait for each other because \
         of them, and pgmq-notify does not need them.",
        Remedy::Sql(statements),
    );
    Ok(())
}
