//! A migration in steps, each a short transaction.

use pgmq_notify_core::{ConfigError, PgmqNotifyConfig};

use crate::FunctionDefinition;
use crate::rendered::Rendered;

/// Parts that wait until the last queue has its triggers, or has lost them: what they remove may be in use
/// until then.
const AT_THE_END: [&str; 3] = ["no_triggers", "unused", "unparked"];

/// The same as a [`Migration`](crate::Migration), in steps, for whoever will not lock all queues in one
/// transaction.
///
/// The order is: [`prepare`](Self::prepare); then [`on_meta`](Self::on_meta), where triggers are
/// wanted; then the change of each queue that [`queues`](Self::queues) names, as long as it names one;
/// then [`finish`](Self::finish). Each in a transaction of its own, with a `lock_timeout`, and again when
/// it did not get its lock. To remove everything: the changes of [`REMOVALS`](Self::REMOVALS), then the down
/// migration.
///
/// `pgmq-notify-client` does this with `client.install()`, and the command line tool with `pgmq-notify install`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    prepare: String,
    finish: String,
    functions: Vec<FunctionDefinition>,
    triggers_enabled: bool,
    parks: bool,
}

impl Steps {
    /// Lists the tables that still have a trigger, each with the statement that drops them. Columns:
    /// relation, statement. `pgmq.meta` comes first, so that no new queue gets one.
    pub const REMOVALS: &str = "\
select
  t.tgrelid::pg_catalog.regclass::text,
  pg_catalog.string_agg(
    pg_catalog.format('drop trigger %I on %s', t.tgname, t.tgrelid::pg_catalog.regclass), '; ' order by t.tgname
  )
from pg_catalog.pg_trigger t
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'pgmq_notify' and t.tgparentid = 0
group by t.tgrelid
order by coalesce(t.tgrelid = pg_catalog.to_regclass('pgmq.meta')::pg_catalog.oid, false) desc, 1";

    /// Lists every queue with a table. Columns: relation, state (`missing`, `stale`, `disabled`,
    /// `installed`), and for the first two the statement that puts its triggers on it.
    const QUEUES: &str = "\
select q.relation::text, q.trigger_state, q.trigger_definition
from pgmq_notify.queues() q
order by q.relation::text";

    /// Whether queues created from now on are covered.
    pub const ON_META_IS_DONE: &str = "\
select pg_catalog.count(*) = 2
from pg_catalog.pg_trigger t
where t.tgrelid = 'pgmq.meta'::pg_catalog.regclass
  and (t.tgname, t.tgfoid) in (
    ('pgmq_notify_queue_created', pg_catalog.to_regprocedure('pgmq_notify.queue_created()')::pg_catalog.oid),
    ('pgmq_notify_queue_dropped', pg_catalog.to_regprocedure('pgmq_notify.queue_dropped()')::pg_catalog.oid)
  )";

    /// Generates the steps of `config`.
    ///
    /// # Errors
    ///
    /// When `config` is not [valid](crate::validate), with every problem.
    pub fn new(config: &PgmqNotifyConfig) -> Result<Self, ConfigError> {
        let rendered = Rendered::new(config)?;
        let prepare = rendered
            .sections
            .only(|name| name != "triggers" && !AT_THE_END.contains(&name));
        Ok(Self {
            functions: FunctionDefinition::all(&prepare),
            prepare,
            finish: rendered.sections.only(|name| AT_THE_END.contains(&name)),
            triggers_enabled: config.triggers_enabled(),
            parks: config.has_wake_up(),
        })
    }

    /// Creates or replaces everything but triggers, and locks no queue.
    pub fn prepare(&self) -> &str {
        &self.prepare
    }

    /// Covers the queues that are created from then on; where triggers are wanted.
    pub fn on_meta(&self) -> Option<&'static str> {
        self.triggers_enabled
            .then_some(include_str!("../templates/objects/on_meta.sql").trim_ascii())
    }

    /// Lists what is left to do. Where triggers are wanted, every queue: relation, state, and for
    /// those that lack a trigger or have an outdated one the statement. Else none, because then
    /// [`REMOVALS`](Self::REMOVALS) are what is left to do.
    pub fn queues(&self) -> Option<&'static str> {
        self.triggers_enabled.then_some(Self::QUEUES)
    }

    /// Removes what only an earlier configuration needed.
    pub fn finish(&self) -> &str {
        &self.finish
    }

    /// Whether [`finish`](Self::finish) removes a function of this name, should there be one.
    pub fn removes(&self, function: &str) -> bool {
        self.finish.contains(&format!("\n        '{function}'"))
    }

    /// The functions that [`prepare`](Self::prepare) creates: all that the schema has in the end.
    pub fn functions(&self) -> &[FunctionDefinition] {
        &self.functions
    }

    /// Whether the table `pgmq_notify.parked` belongs to it.
    pub fn parks(&self) -> bool {
        self.parks
    }
}

#[cfg(test)]
mod tests {
    use pgmq_notify_core::Delivery;

    use super::*;
    use crate::Migration;

    fn configs() -> [PgmqNotifyConfig; 4] {
        let config = PgmqNotifyConfig::new();
        let wake_up = config.clone().with_delivery(Delivery::WakeUp);
        [
            config.clone(),
            config.with_triggers_enabled(false),
            wake_up.clone(),
            wake_up.with_triggers_enabled(false),
        ]
    }

    #[test]
    fn every_line_of_the_migration_is_in_one_of_the_steps() {
        for config in configs() {
            let steps = Steps::new(&config).unwrap();
            let migration = Migration::new(&config).unwrap();
            let up = migration.up();
            let body = &up[up.find("\n\n-- One installation").unwrap()..];
            let all = format!("{}\n{}", steps.prepare(), steps.finish());
            for line in body
                .lines()
                .filter(|line| !line.contains("perform pgmq_notify.install_triggers()"))
            {
                assert!(all.contains(line), "{line}");
            }
        }
    }

    #[test]
    fn what_is_called_at_once_locks_no_queue() {
        for config in configs() {
            let steps = Steps::new(&config).unwrap();
            let named = |name: &str| steps.functions().iter().any(|it| it.name == name);
            assert_eq!(named("message_inserted"), config.triggers_enabled());
            assert_eq!(named("send"), !config.triggers_enabled());
            assert_eq!(named("wakes"), config.has_wake_up());
            assert_eq!(steps.removes("send"), config.triggers_enabled());
            assert_eq!(
                steps.removes("message_inserted"),
                !config.triggers_enabled()
            );
            assert!(steps.functions().iter().all(|it| !steps.removes(&it.name)));
            let created = steps
                .prepare()
                .matches("\ncreate or replace function")
                .count();
            assert_eq!(steps.functions().len(), created);
            assert!(
                !steps
                    .prepare()
                    .contains("perform pgmq_notify.install_triggers()")
            );
            assert!(!steps.prepare().contains("\ncreate or replace trigger"));
        }
    }

    #[test]
    fn the_triggers_on_meta_are_those_of_the_migration() {
        let migration = Migration::new(&PgmqNotifyConfig::new()).unwrap();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words(migration.up())
                .contains(&words(include_str!("../templates/objects/on_meta.sql")))
        );
    }
}
