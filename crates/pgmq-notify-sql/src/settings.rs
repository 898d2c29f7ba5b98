//! The settings that the SQL depends on, as text.

use std::fmt::{self, Write as _};

use pgmq_notify_core::PgmqNotifyConfig;

/// The settings of `config` that the SQL depends on: keys and values as the configuration file spells
/// them, in the order of its documentation.
///
/// Each is there, also at its default, but for a prefix that there is not. What only listeners need is
/// left out.
pub fn settings(config: &PgmqNotifyConfig) -> Vec<(String, String)> {
    let mut settings = vec![(
        "queue_naming_pattern".to_owned(),
        quoted(config.queue_naming_pattern()),
    )];
    let mut add = |key: &str, value: String| settings.push((key.into(), value));
    if let Some(prefix) = config.channels_prefix() {
        add("channels_prefix", quoted(prefix));
    }
    add("triggers_enabled", config.triggers_enabled().to_string());
    add("max_payload_size", config.max_payload_size().to_string());
    add("global_channel", config.global_channel().to_string());
    add("payload", config.payload().to_string());
    add("delivery", quoted(config.delivery().as_str()));
    for (namespace, payload) in config.namespace_payload() {
        let key = format!("namespaces.{}.payload", quoted(namespace));
        add(&key, payload.to_string());
    }
    for (namespace, delivery) in config.namespace_delivery() {
        let key = format!("namespaces.{}.delivery", quoted(namespace));
        add(&key, quoted(delivery.as_str()));
    }
    settings
}

/// A setting that two configurations do not agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDifference {
    /// Its key in the configuration file, such as `namespaces."orders".payload`.
    pub setting: String,
    /// Its value as the file would spell it; none where it is not set.
    pub from: Option<String>,
    /// The other value.
    pub to: Option<String>,
}

impl SettingDifference {
    /// What differs `from` one configuration `to` another, of what the SQL depends on.
    pub fn between(from: &PgmqNotifyConfig, to: &PgmqNotifyConfig) -> Vec<Self> {
        let (from, to) = (settings(from), settings(to));
        let value = |of: &[(String, String)], key: &str| {
            let found = of.iter().find(|(other, _)| other == key);
            found.map(|(_, value)| value.clone())
        };
        // In the order of the settings, which neither of the two has wholly; namespaces are last.
        let rank = |key: &String| {
            let place = settings(&PgmqNotifyConfig::new().with_channels_prefix("any"))
                .iter()
                .position(|(other, _)| other == key);
            (place.unwrap_or(usize::MAX), key.clone())
        };
        let mut keys: Vec<_> = from.iter().chain(&to).map(|(key, _)| key).collect();
        keys.sort_by_cached_key(|key| rank(key));
        keys.dedup();
        keys.into_iter()
            .map(|key| Self {
                setting: key.clone(),
                from: value(&from, key),
                to: value(&to, key),
            })
            .filter(|difference| difference.from != difference.to)
            .collect()
    }
}

/// `max_payload_size: 7800 -> 4000`.
impl fmt::Display for SettingDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
        write!(
            f,
            "{}: {} -> {}",
            self.setting,
            value(&self.from),
            value(&self.to)
        )
    }
}

/// A basic string of TOML, on one line whatever it holds.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use pgmq_notify_core::Delivery;

    use super::*;

    #[test]
    fn what_differs_is_named_with_both_values() {
        let from = PgmqNotifyConfig::new()
            .with_channels_prefix("it's")
            .with_namespace_payload("a b", false);
        let to = PgmqNotifyConfig::new()
            .with_max_payload_size(4000)
            .with_default_namespace("of listeners only")
            .with_namespace_delivery("mail\n", Delivery::WakeUp);
        let back = SettingDifference::between(&to, &from);
        assert_eq!(back[0].to_string(), r#"channels_prefix: none -> "it's""#);
        let lines: Vec<_> = SettingDifference::between(&from, &to)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                r#"channels_prefix: "it's" -> none"#,
                "max_payload_size: 7800 -> 4000",
                r#"namespaces."a b".payload: false -> none"#,
                r#"namespaces."mail\u000A".delivery: none -> "wake_up""#,
            ]
        );
        assert_eq!(SettingDifference::between(&from, &from), []);
    }
}
