mod installed;

use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::PgConnection;

use self::installed::Installed;
use crate::{ListenerError, ListenerErrorKind};

const OPERATION: &str = "read what pgmq-notify has installed";

/// What is there, from catalogs that every role may read.
const PRESENT: &str = "
select
  pg_catalog.quote_ident(current_user),
  coalesce(pg_catalog.bool_or(n.nspname = 'pgmq'), false),
  coalesce(pg_catalog.bool_or(n.nspname = 'pgmq_notify'), false),
  coalesce(pg_catalog.bool_and(
    pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select')
  ), true)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where (n.nspname, c.relname) in (('pgmq', 'meta'), ('pgmq_notify', 'installation'))";

/// Triggers on `pgmq.meta` that somebody disabled publish nothing either.
const TRIGGERS_OF_META: &str = "
select pg_catalog.count(*)
from pg_catalog.pg_trigger t
where t.tgrelid = 'pgmq.meta'::pg_catalog.regclass
  and t.tgname in ('pgmq_notify_queue_created', 'pgmq_notify_queue_dropped')
  and t.tgenabled <> 'D'";

/// A disabled trigger of a queue is somebody's decision, and left out.
const TRIGGERS_OF_QUEUES: &str = "
select q.queue_name, q.trigger_state
from pgmq_notify.queues() q
where q.trigger_state in ('missing', 'stale')
order by q.trigger_state, q.queue_name
limit 1";

/// What a listener waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) config: &'a PgmqNotifyConfig,
    pub(crate) any_delivery: bool,
}

/// Checks that the database publishes what a listener waits for.
///
/// Without this a listener of a database that lacks the migration, or has that of another
/// configuration, would look like one whose queues are empty.
pub(crate) async fn check_installation(
    connection: &mut PgConnection,
    expected: Expected<'_>,
) -> Result<(), ListenerError> {
    let (role, pgmq, migrated, readable): (String, bool, bool, bool) = sqlx::query_as(PRESENT)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(ListenerError::database(OPERATION))?;
    if !pgmq {
        return Err(ListenerError::new(
            ListenerErrorKind::PgmqMissing,
            "find PGMQ: there is no table pgmq.meta in this database; connect to the one with the \
             queues, or run `create extension pgmq` and then the migration of pgmq-notify",
        ));
    }
    if !migrated {
        return Err(not_installed(
            "there is no table pgmq_notify.installation in this database",
        ));
    }
    if !readable {
        return Err(ListenerError::new(
            ListenerErrorKind::Permission,
            format!(
                "{OPERATION}: the role {role} may not; as the owner, run: \
                 grant usage on schema pgmq, pgmq_notify to {role}; \
                 grant select on pgmq.meta, pgmq_notify.installation to {role}"
            ),
        ));
    }
    let Some(installed) = Installed::read(connection).await? else {
        return Err(not_installed("pgmq_notify.installation has no row"));
    };
    installed.compare(expected.config)?;
    if !expected.any_delivery {
        installed.compare_delivery(expected.config)?;
    }
    if installed.triggers_enabled {
        check_triggers(connection).await?;
    }
    Ok(())
}

async fn check_triggers(connection: &mut PgConnection) -> Result<(), ListenerError> {
    let of_meta: i64 = sqlx::query_scalar(TRIGGERS_OF_META)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(ListenerError::database(OPERATION))?;
    if of_meta < 2 {
        return Err(not_installed(
            "pgmq.meta lacks a trigger, or has it disabled",
        ));
    }
    let found: Option<(String, String)> = sqlx::query_as(TRIGGERS_OF_QUEUES)
        .persistent(false)
        .fetch_optional(connection)
        .await
        .map_err(ListenerError::database(OPERATION))?;
    match found {
        None => Ok(()),
        Some((queue, state)) if state == "stale" => Err(ListenerError::new(
            ListenerErrorKind::Drift,
            format!(
                "compare the triggers: that of the queue {queue:?} is of another configuration than \
                 the one installed; as the owner of the queues, run: \
                 select pgmq_notify.install_triggers()"
            ),
        )),
        Some((queue, _)) => Err(not_installed(&format!(
            "the queue {queue:?} has no trigger"
        ))),
    }
}

fn not_installed(why: &str) -> ListenerError {
    ListenerError::new(
        ListenerErrorKind::NotInstalled,
        format!(
            "find what publishes the events: {why}; apply the migration that \
             `pgmq-notify generate-migration` writes"
        ),
    )
}
