use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::PgConnection;

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

const CONFIGURED: &str = "
select i.channels_prefix, i.queue_naming_pattern, i.global_channel, i.triggers_enabled
from pgmq_notify.installation i";

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

/// What the migration stored of the settings that a listener depends on.
#[derive(Debug)]
struct Installed {
    channels_prefix: Option<String>,
    queue_naming_pattern: String,
    global_channel: bool,
    triggers_enabled: bool,
}

/// Checks that the database publishes what a listener of `config` waits for.
///
/// Without this a listener of a database that lacks the migration, or has that of another
/// configuration, would look like one whose queues are empty.
pub(crate) async fn check_installation(
    connection: &mut PgConnection,
    config: &PgmqNotifyConfig,
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
    let row: Option<(Option<String>, String, bool, bool)> = sqlx::query_as(CONFIGURED)
        .persistent(false)
        .fetch_optional(&mut *connection)
        .await
        .map_err(ListenerError::database(OPERATION))?;
    let Some((channels_prefix, queue_naming_pattern, global_channel, triggers_enabled)) = row
    else {
        return Err(not_installed("pgmq_notify.installation has no row"));
    };
    let installed = Installed {
        channels_prefix,
        queue_naming_pattern,
        global_channel,
        triggers_enabled,
    };
    installed.compare(config)?;
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

impl Installed {
    /// Payloads are left out: a listener takes them as they come.
    fn compare(&self, config: &PgmqNotifyConfig) -> Result<(), ListenerError> {
        let prefix = (self.channels_prefix.as_deref(), config.channels_prefix());
        if prefix.0 != prefix.1 {
            return Err(drift(
                "channels prefix",
                &prefix.0.unwrap_or("none"),
                &prefix.1.unwrap_or("none"),
            ));
        }
        let pattern = (&*self.queue_naming_pattern, config.queue_naming_pattern());
        if pattern.0 != pattern.1 {
            return Err(drift("queue naming pattern", &pattern.0, &pattern.1));
        }
        if config.global_channel() && !self.global_channel {
            return Err(drift("global channel", &false, &true));
        }
        let triggers = (self.triggers_enabled, config.triggers_enabled());
        if triggers.0 != triggers.1 {
            return Err(drift("triggers enabled", &triggers.0, &triggers.1));
        }
        Ok(())
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

fn drift(
    setting: &str,
    installed: &dyn std::fmt::Debug,
    configured: &dyn std::fmt::Debug,
) -> ListenerError {
    ListenerError::new(
        ListenerErrorKind::Drift,
        format!(
            "compare the configurations: the {setting} is {installed:?} in the database and \
             {configured:?} in this listener; give both the same and migrate"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed() -> Installed {
        Installed {
            channels_prefix: Some("app".into()),
            queue_naming_pattern: PgmqNotifyConfig::DEFAULT_QUEUE_NAMING_PATTERN.into(),
            global_channel: true,
            triggers_enabled: true,
        }
    }

    #[test]
    fn a_setting_that_differs_is_named_with_both_values() {
        let config = PgmqNotifyConfig::new().with_channels_prefix("app");
        for (installed, config, texts) in [
            (
                installed(),
                PgmqNotifyConfig::new(),
                ["prefix", "\"app\"", "\"none\""],
            ),
            (
                installed(),
                config.clone().with_queue_naming_pattern("(?P<namespace>a)"),
                ["pattern", r"(?P<namespace>\\w+)_queue", "(?P<namespace>a)"],
            ),
            (
                Installed {
                    global_channel: false,
                    ..installed()
                },
                config.clone(),
                ["global channel", "false", "true"],
            ),
            (
                installed(),
                config.clone().with_triggers_enabled(false),
                ["triggers", "true", "false"],
            ),
        ] {
            let error = installed.compare(&config).unwrap_err();
            assert_eq!(error.kind(), ListenerErrorKind::Drift);
            for text in texts {
                assert!(error.to_string().contains(text), "{error}");
            }
        }
    }

    #[test]
    fn what_a_listener_does_not_depend_on_may_differ() {
        let config = PgmqNotifyConfig::new()
            .with_channels_prefix("app")
            .with_max_payload_size(2_000)
            .with_payload(false)
            .with_global_channel(false);
        assert!(installed().compare(&config).is_ok());
    }
}
