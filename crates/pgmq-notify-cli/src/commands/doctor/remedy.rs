//! What is to be pasted.

use pgmq_notify_client::{Finding, FindingCode, PgmqNotifyConfig, Remedy};
use pgmq_notify_core::Delivery;

use crate::config::ConfigOptions;

/// The command that installs the configuration with which the database was compared.
pub(super) struct InstallCommand {
    text: String,
    /// Whether it says all of the configuration.
    is_whole: bool,
}

impl InstallCommand {
    /// With the options of this call, where there are any; else with those that say the same as `config`.
    pub(super) fn new(options: Option<&ConfigOptions>, config: &PgmqNotifyConfig) -> Self {
        let arguments = match options {
            Some(options) => Some(options.arguments()),
            None => arguments(config),
        };
        let is_whole = arguments.is_some();
        // The one that it was installed from, which is not where this was called.
        let arguments =
            arguments.unwrap_or_else(|| vec!["--config".into(), "pgmq-notify.toml".into()]);
        let words = arguments.iter().map(|it| format!(" {}", word(it)));
        Self {
            text: words.fold("pgmq-notify install".into(), |all, it| all + &it),
            is_whole,
        }
    }

    /// The kind and the text of what repairs it.
    pub(super) fn remedy(&self, finding: &Finding) -> (&'static str, String) {
        let triggers = [
            FindingCode::TriggerMissing,
            FindingCode::TriggerStale,
            FindingCode::NewQueuesUncovered,
        ];
        match &finding.remedy {
            Remedy::Sql(text) => ("sql", text.clone()),
            Remedy::Shell(text) => ("shell", text.clone()),
            // What is installed makes its triggers by itself.
            Remedy::Install if !self.is_whole && triggers.contains(&finding.code) => {
                ("sql", "select pgmq_notify.install_triggers();".into())
            }
            Remedy::Install => ("shell", self.text.clone()),
            other => ("advice", other.to_string()),
        }
    }
}

/// What is different from the defaults; none where a namespace is, which only a file can say.
fn arguments(config: &PgmqNotifyConfig) -> Option<Vec<String>> {
    let default = PgmqNotifyConfig::new();
    if config.namespace_payload().next().is_some() || config.namespace_delivery().next().is_some() {
        return None;
    }
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|it| (*it).to_owned()));
    if config.queue_naming_pattern() != default.queue_naming_pattern() {
        add(&["--queue-pattern", config.queue_naming_pattern()]);
    }
    if let Some(prefix) = config.channels_prefix() {
        add(&["--channel-prefix", prefix]);
    }
    if config.max_payload_size() != default.max_payload_size() {
        add(&["--max-payload-size", &config.max_payload_size().to_string()]);
    }
    if config.delivery() == Delivery::WakeUp {
        add(&["--delivery", "wake-up"]);
    }
    if !config.global_channel() {
        add(&["--no-global-channel"]);
    }
    if !config.payload() {
        add(&["--no-payload"]);
    }
    if !config.triggers_enabled() {
        add(&["--no-triggers"]);
    }
    Some(arguments)
}

/// A word of a shell.
fn word(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "_-./:@%+=,".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_what_is_not_the_default_and_quotes_it() {
        let command = |config: &PgmqNotifyConfig| InstallCommand::new(None, config).text;
        let config = PgmqNotifyConfig::new();
        assert_eq!(command(&config), "pgmq-notify install");
        let all = config
            .clone()
            .with_queue_naming_pattern(r"(?P<namespace>\w+)")
            .with_channels_prefix("it's")
            .with_max_payload_size(4000)
            .with_delivery(Delivery::WakeUp)
            .with_global_channel(false)
            .with_payload(false)
            .with_triggers_enabled(false);
        assert_eq!(
            command(&all),
            r"pgmq-notify install --queue-pattern '(?P<namespace>\w+)' --channel-prefix 'it'\''s' --max-payload-size 4000 --delivery wake-up --no-global-channel --no-payload --no-triggers"
        );
        assert_eq!(
            command(&config.with_namespace_payload("orders", false)),
            "pgmq-notify install --config pgmq-notify.toml"
        );
    }
}
