//! Do the queues have their triggers, and are these on?

use sqlx::Row as _;

use crate::doctor::examination::{Examination, failed};
use crate::doctor::quoted::some_of;
use crate::doctor::{FindingCode, Remedy};
use crate::{ClientError, Installation, TableState};

/// `R` fires on replicas only. Partitions have theirs from their parent.
const DISABLED: &str = "
select
  format('%I.%I', n.nspname, c.relname),
  format('alter table %I.%I enable trigger %I;', n.nspname, c.relname, t.tgname)
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_proc p on p.oid = t.tgfoid
join pg_namespace f on f.oid = p.pronamespace
where f.nspname = 'pgmq_notify' and t.tgenabled in ('D', 'R') and t.tgparentid = 0
order by 1, t.tgname";

pub(super) async fn check(
    it: &mut Examination<'_>,
    installation: &Installation,
) -> Result<(), ClientError> {
    for (state, code, explanation) in [
        (
            TableState::Missing,
            FindingCode::TriggerMissing,
            "A trigger of pgmq-notify is missing, so what is sent or released there is not published: consumers find it by \
             their safety polls only.",
        ),
        (
            TableState::Stale,
            FindingCode::TriggerStale,
            "A trigger is of another configuration than the one that is installed, and may publish where nobody listens.",
        ),
    ] {
        let tables: Vec<_> = installation
            .tables()
            .filter(|(_, is)| *is == state)
            .map(|(table, _)| table.to_owned())
            .collect();
        if !tables.is_empty() {
            let remedy = it.install_triggers();
            it.find(code, some_of(&tables), explanation, remedy);
        }
    }
    let rows = it.ask("disabled triggers", DISABLED).await?;
    let mut tables = Vec::new();
    let mut statements = Vec::new();
    for row in rows {
        tables.push(row.try_get::<String, _>(0).map_err(failed)?);
        statements.push(row.try_get::<String, _>(1).map_err(failed)?);
    }
    tables.dedup();
    if !tables.is_empty() {
        it.find(
            FindingCode::TriggerDisabled,
            some_of(&tables),
            "Somebody disabled a trigger of pgmq-notify there, and an installation leaves it so.",
            Remedy::Sql(statements.join("\n")),
        );
    }
    Ok(())
}
