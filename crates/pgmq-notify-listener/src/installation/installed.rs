use pgmq_notify_core::PgmqNotifyConfig;

use crate::{ListenerError, ListenerErrorKind};

/// What the migration stored of the settings that a listener depends on.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) channels_prefix: Option<String>,
    pub(super) queue_naming_pattern: String,
    pub(super) global_channel: bool,
    pub(super) triggers_enabled: bool,
}

impl Installed {
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
        Ok(())
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
