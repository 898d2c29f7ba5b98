use std::collections::BTreeSet;

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row};

use super::OPERATION;
use crate::{ListenerError, ListenerErrorKind};

/// The delivery by way of JSON, because an older migration has no columns of it to select.
const CONFIGURED: &str = "
select
  i.channels_prefix, i.queue_naming_pattern, i.global_channel, i.triggers_enabled,
  pg_catalog.to_jsonb(i) ->> 'delivery' as delivery,
  array(
    select pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(i) -> 'namespaces_every')
  ) as namespaces_every,
  array(
    select pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(i) -> 'namespaces_wake_up')
  ) as namespaces_wake_up
from pgmq_notify.installation i";

/// What the migration stored of the settings that a listener depends on.
#[derive(Debug)]
pub(super) struct Installed {
    channels_prefix: Option<String>,
    queue_naming_pattern: String,
    global_channel: bool,
    pub(super) triggers_enabled: bool,
    /// As the migration spells it, which may be a newer one; `None` with a migration from before it.
    delivery: Option<String>,
    namespaces_every: Vec<String>,
    namespaces_wake_up: Vec<String>,
}

impl Installed {
    /// `None` when the table is empty.
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Option<Self>, ListenerError> {
        sqlx::query_as(CONFIGURED)
            .persistent(false)
            .fetch_optional(connection)
            .await
            .map_err(ListenerError::database(OPERATION))
    }

    /// Payloads are left out: a listener takes them as they come.
    pub(super) fn compare(&self, config: &PgmqNotifyConfig) -> Result<(), ListenerError> {
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
        if self.delivery.is_none() {
            return Err(ListenerError::new(
                ListenerErrorKind::Drift,
                "compare the configurations: the migration in the database is of an older \
                 pgmq-notify, which knows no delivery; apply the one that \
                 `pgmq-notify generate-migration` writes",
            ));
        }
        Ok(())
    }

    /// By what holds for each namespace, so that saying the default once more is no difference.
    pub(super) fn compare_delivery(&self, config: &PgmqNotifyConfig) -> Result<(), ListenerError> {
        let Some(default) = self.delivery.as_deref() else {
            return Ok(());
        };
        let configured = config.delivery().as_str();
        if default != configured {
            return Err(drift("delivery", &default, &configured));
        }
        let (every, wake_up) = (&self.namespaces_every, &self.namespaces_wake_up);
        let ours = config.namespace_delivery().map(|(namespace, _)| namespace);
        let theirs = every.iter().chain(wake_up).map(String::as_str);
        for namespace in theirs.chain(ours).collect::<BTreeSet<_>>() {
            let is_in = |list: &[String]| list.iter().any(|it| it == namespace);
            let installed = if is_in(every) {
                Delivery::Every.as_str()
            } else if is_in(wake_up) {
                Delivery::WakeUp.as_str()
            } else {
                default
            };
            let configured = config.delivery_of(namespace).as_str();
            if installed != configured {
                let setting = format!("delivery of the namespace {namespace:?}");
                return Err(drift(&setting, &installed, &configured));
            }
        }
        Ok(())
    }
}

impl FromRow<'_, PgRow> for Installed {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            channels_prefix: row.try_get("channels_prefix")?,
            queue_naming_pattern: row.try_get("queue_naming_pattern")?,
            global_channel: row.try_get("global_channel")?,
            triggers_enabled: row.try_get("triggers_enabled")?,
            delivery: row.try_get("delivery")?,
            namespaces_every: row.try_get("namespaces_every")?,
            namespaces_wake_up: row.try_get("namespaces_wake_up")?,
        })
    }
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
            delivery: Some("every".into()),
            namespaces_every: Vec::new(),
            namespaces_wake_up: Vec::new(),
        }
    }

    fn both(installed: &Installed, config: &PgmqNotifyConfig) -> Result<(), ListenerError> {
        installed.compare(config)?;
        installed.compare_delivery(config)
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
            (
                installed(),
                config.clone().with_delivery(Delivery::WakeUp),
                ["delivery is", "\"every\" in the database", "\"wake_up\""],
            ),
            (
                Installed {
                    delivery: Some("on_demand".into()),
                    ..installed()
                },
                config.clone(),
                ["delivery is", "\"on_demand\"", "\"every\""],
            ),
            (
                installed(),
                config
                    .clone()
                    .with_namespace_delivery("orders", Delivery::WakeUp),
                ["namespace \"orders\"", "\"every\" in the", "\"wake_up\""],
            ),
            (
                Installed {
                    namespaces_wake_up: vec!["mail".into(), "orders".into()],
                    ..installed()
                },
                config
                    .clone()
                    .with_namespace_delivery("mail", Delivery::WakeUp),
                ["namespace \"orders\"", "\"wake_up\" in the", "\"every\""],
            ),
            (
                Installed {
                    delivery: Some("wake_up".into()),
                    namespaces_every: vec!["orders".into()],
                    ..installed()
                },
                config.clone().with_delivery(Delivery::WakeUp),
                ["namespace \"orders\"", "\"every\" in the", "\"wake_up\""],
            ),
            (
                Installed {
                    delivery: None,
                    ..installed()
                },
                config,
                ["older pgmq-notify", "delivery", "generate-migration"],
            ),
        ] {
            let error = both(&installed, &config).unwrap_err();
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
        assert!(both(&installed(), &config).is_ok());
    }

    #[test]
    fn a_namespace_that_says_what_holds_anyway_is_no_difference() {
        let config = PgmqNotifyConfig::new().with_channels_prefix("app");
        let theirs = Installed {
            namespaces_every: vec!["orders".into()],
            ..installed()
        };
        assert!(both(&theirs, &config).is_ok());
        let ours = config.with_namespace_delivery("orders", Delivery::Every);
        assert!(both(&installed(), &ours).is_ok());
        assert!(both(&theirs, &ours).is_ok());
    }
}
