//! Who sends and publishes nothing, by a setting that nobody sees.

use sqlx::Row as _;

use crate::ClientError;
use crate::doctor::examination::{Examination, failed};
use crate::doctor::{FindingCode, Remedy};

/// Settings of roles and databases. Those of another database are its own.
const MUTED: &str = "
select
  concat_ws(' in ', 'the role ' || r.rolname, 'the database ' || d.datname),
  case
    when r.oid is null then format('alter database %I reset pgmq_notify.mute;', d.datname)
    when d.oid is null then format('alter role %I reset pgmq_notify.mute;', r.rolname)
    else format('alter role %I in database %I reset pgmq_notify.mute;', r.rolname, d.datname)
  end
from pg_db_role_setting s
left join pg_roles r on r.oid = s.setrole
left join pg_database d on d.oid = s.setdatabase
where 'pgmq_notify.mute=on' = any (s.setconfig)
  and (s.setdatabase = 0 or d.datname = current_database())
  and (r.oid is not null or d.oid is not null)
order by 1";

pub(super) async fn check(it: &mut Examination<'_>) -> Result<(), ClientError> {
    for row in it.ask("settings of roles", MUTED).await? {
        let who: String = row.try_get(0).map_err(failed)?;
        let remedy: String = row.try_get(1).map_err(failed)?;
        it.find(
            FindingCode::Muted,
            who,
            "Its sessions have pgmq_notify.mute = on, so that nothing of what they send is published.",
            Remedy::Sql(remedy),
        );
    }
    Ok(())
}
