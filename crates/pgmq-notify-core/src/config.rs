use std::collections::{BTreeMap, BTreeSet};

use crate::{Channels, ConfigError, ConfigProblem, Delivery, Namespace, Setting};

/// What the generated SQL, the listener and the client have to agree on.
///
/// Setters take anything; [`validate`](Self::validate) reports every problem at once, and whatever
/// uses a configuration validates it first.
///
/// ```
/// use pgmq_notify_core::PgmqNotifyConfig;
///
/// let config = PgmqNotifyConfig::new()
///     .with_channels_prefix("myapp")
///     .with_default_namespace("orders")
///     .with_namespace_payload("payments", false);
/// config.validate()?;
///
/// let error = config.with_max_payload_size(100_000).validate().unwrap_err();
/// assert!(error.to_string().contains("100000"));
/// # Ok::<(), pgmq_notify_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgmqNotifyConfig {
    queue_naming_pattern: String,
    channels_prefix: Option<String>,
    triggers_enabled: bool,
    default_namespaces: Vec<String>,
    max_payload_size: usize,
    global_channel: bool,
    payload: bool,
    namespace_payload: BTreeMap<String, bool>,
    delivery: Delivery,
    namespace_delivery: BTreeMap<String, Delivery>,
}

impl PgmqNotifyConfig {
    /// The default [queue naming pattern](Self::with_queue_naming_pattern): `orders_queue` belongs to
    /// the namespace `orders`.
    pub const DEFAULT_QUEUE_NAMING_PATTERN: &str = r"(?P<namespace>\w+)_queue";

    /// The smallest [maximum payload size](Self::with_max_payload_size): the smallest event fits it
    /// whatever the queue is called.
    pub const MIN_PAYLOAD_SIZE: usize = 1024;

    /// The largest [maximum payload size](Self::with_max_payload_size): PostgreSQL refuses a
    /// payload of 8000 bytes.
    pub const MAX_PAYLOAD_SIZE: usize = 7999;

    /// The most bytes of a [prefix](Self::with_channels_prefix): with them, the longest channel
    /// that does not name a namespace still has at most 63 bytes.
    pub const MAX_PREFIX_BYTES: usize = 44;

    /// Every setting at its default.
    pub fn new() -> Self {
        Self {
            queue_naming_pattern: Self::DEFAULT_QUEUE_NAMING_PATTERN.into(),
            channels_prefix: None,
            triggers_enabled: true,
            default_namespaces: Vec::new(),
            max_payload_size: 7800,
            global_channel: true,
            payload: true,
            namespace_payload: BTreeMap::new(),
            delivery: Delivery::Every,
            namespace_delivery: BTreeMap::new(),
        }
    }

    /// The regular expression, in the syntax of the crate `regex`, whose group `namespace` names the
    /// namespace of a queue. A queue that it does not match belongs to the namespace `default`.
    /// It is searched for anywhere in the name unless `^` and `$` anchor it. The SQL crate
    /// translates it to PostgreSQL and refuses what would not mean the same there.
    ///
    /// Defaults to [`(?P<namespace>\w+)_queue`](Self::DEFAULT_QUEUE_NAMING_PATTERN).
    pub fn with_queue_naming_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.queue_naming_pattern = pattern.into();
        self
    }

    /// Channels become `<prefix>.pgmq_*`, so that several installations of one database stay apart.
    /// 1 to 44 bytes without control characters.
    ///
    /// Defaults to none.
    pub fn with_channels_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.channels_prefix = Some(prefix.into());
        self
    }

    /// Whether triggers on PGMQ's tables publish the events. Where nobody may put triggers on
    /// these tables, `false` installs functions that send, or set a visibility, and notify in one
    /// transaction instead, and only what is sent or released through them is published.
    ///
    /// Defaults to true.
    pub fn with_triggers_enabled(mut self, enabled: bool) -> Self {
        self.triggers_enabled = enabled;
        self
    }

    /// Adds a namespace to those that `listen_default_namespaces` subscribes to.
    ///
    /// Defaults to none.
    pub fn with_default_namespace(mut self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        if !self.default_namespaces.contains(&namespace) {
            self.default_namespaces.push(namespace);
        }
        self
    }

    /// Adds several namespaces, as [`with_default_namespace`](Self::with_default_namespace) does.
    pub fn with_default_namespaces<N: Into<String>>(
        self,
        namespaces: impl IntoIterator<Item = N>,
    ) -> Self {
        namespaces
            .into_iter()
            .fold(self, Self::with_default_namespace)
    }

    /// The most bytes of a whole notification, 1024 to 7999. A message that does not fit with its
    /// body is published without it; nothing is ever truncated.
    ///
    /// Defaults to 7800.
    pub fn with_max_payload_size(mut self, bytes: usize) -> Self {
        self.max_payload_size = bytes;
        self
    }

    /// Whether messages are also published on `[prefix.]pgmq_message_ready`, for listeners of
    /// every namespace. Costs a second entry in the server's notification queue per event.
    ///
    /// Defaults to true.
    pub fn with_global_channel(mut self, enabled: bool) -> Self {
        self.global_channel = enabled;
        self
    }

    /// Whether notifications carry bodies and headers. Any role of the database can listen to
    /// them: switch it off where that is too much.
    ///
    /// Defaults to true.
    pub fn with_payload(mut self, enabled: bool) -> Self {
        self.payload = enabled;
        self
    }

    /// Overrides [`with_payload`](Self::with_payload) for one namespace.
    pub fn with_namespace_payload(mut self, namespace: impl Into<String>, enabled: bool) -> Self {
        self.namespace_payload.insert(namespace.into(), enabled);
        self
    }

    /// Which messages are published: every one, or those that have to wake somebody.
    ///
    /// Defaults to [`Delivery::Every`].
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Overrides [`with_delivery`](Self::with_delivery) for one namespace.
    pub fn with_namespace_delivery(
        mut self,
        namespace: impl Into<String>,
        delivery: Delivery,
    ) -> Self {
        self.namespace_delivery.insert(namespace.into(), delivery);
        self
    }

    /// The regular expression that finds the namespace in a queue's name.
    pub fn queue_naming_pattern(&self) -> &str {
        &self.queue_naming_pattern
    }

    /// The prefix of the channels.
    pub fn channels_prefix(&self) -> Option<&str> {
        self.channels_prefix.as_deref()
    }

    /// Whether triggers publish the events.
    pub fn triggers_enabled(&self) -> bool {
        self.triggers_enabled
    }

    /// The namespaces of `listen_default_namespaces`, each once, in the order they were given.
    pub fn default_namespaces(&self) -> &[String] {
        &self.default_namespaces
    }

    /// The most bytes of a whole notification.
    pub fn max_payload_size(&self) -> usize {
        self.max_payload_size
    }

    /// Whether messages are also published on the global channel.
    pub fn global_channel(&self) -> bool {
        self.global_channel
    }

    /// Whether notifications carry bodies, where no namespace says otherwise.
    pub fn payload(&self) -> bool {
        self.payload
    }

    /// The namespaces that say otherwise, in ascending order.
    pub fn namespace_payload(&self) -> impl Iterator<Item = (&str, bool)> {
        self.namespace_payload
            .iter()
            .map(|(namespace, enabled)| (namespace.as_str(), *enabled))
    }

    /// Which messages are published, where no namespace says otherwise.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// The namespaces that say otherwise, in ascending order.
    pub fn namespace_delivery(&self) -> impl Iterator<Item = (&str, Delivery)> {
        self.namespace_delivery
            .iter()
            .map(|(namespace, delivery)| (namespace.as_str(), *delivery))
    }

    /// Which messages of this namespace are published.
    pub fn delivery_of(&self, namespace: &str) -> Delivery {
        let own = self.namespace_delivery.get(namespace);
        own.copied().unwrap_or(self.delivery)
    }

    /// Whether there may be a namespace whose messages are only published to wake somebody.
    pub fn has_wake_up(&self) -> bool {
        let own = self.namespace_delivery.values();
        own.chain([&self.delivery])
            .any(|it| *it == Delivery::WakeUp)
    }

    /// The channels of this configuration.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn channels(&self) -> Result<Channels, ConfigError> {
        self.validate()?;
        Ok(Channels::new(self.channels_prefix()))
    }

    /// Checks every setting. What needs a parser for regular expressions is left to the SQL crate.
    ///
    /// # Errors
    ///
    /// All problems together, each naming the setting, the value, and what would be right.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.check_pattern(&mut problems);
        self.check_prefix(&mut problems);
        for namespace in &self.default_namespaces {
            check_namespace(Setting::DefaultNamespaces, namespace, &mut problems);
        }
        let range = Self::MIN_PAYLOAD_SIZE..=Self::MAX_PAYLOAD_SIZE;
        if !range.contains(&self.max_payload_size) {
            problems.push(ConfigProblem::new(
                Setting::MaxPayloadSize,
                format!(
                    "{} is out of range, use {} to {} bytes",
                    self.max_payload_size,
                    range.start(),
                    range.end()
                ),
            ));
        }
        let named: BTreeSet<&String> = self
            .namespace_payload
            .keys()
            .chain(self.namespace_delivery.keys())
            .collect();
        for namespace in named {
            check_namespace(Setting::Namespaces, namespace, &mut problems);
        }
        ConfigError::check(problems)
    }

    fn check_pattern(&self, problems: &mut Vec<ConfigProblem>) {
        let pattern = &self.queue_naming_pattern;
        let group = ["(?P<namespace>", "(?<namespace>"];
        if !group.iter().any(|group| pattern.contains(group)) {
            problems.push(ConfigProblem::new(
                Setting::QueueNamingPattern,
                format!("{pattern:?} has no group called namespace, write `(?P<namespace>…)`"),
            ));
        }
    }

    fn check_prefix(&self, problems: &mut Vec<ConfigProblem>) {
        let Some(prefix) = &self.channels_prefix else {
            return;
        };
        let mut refuse = |why: String| {
            let message = format!("{prefix:?} {why}");
            problems.push(ConfigProblem::new(Setting::ChannelsPrefix, message));
        };
        if prefix.is_empty() {
            refuse("is empty, leave the setting out for channels without a prefix".into());
        }
        if prefix.len() > Self::MAX_PREFIX_BYTES {
            let (length, most) = (prefix.len(), Self::MAX_PREFIX_BYTES);
            refuse(format!("has {length} bytes, use at most {most}"));
        }
        if prefix.chars().any(char::is_control) {
            refuse("contains a control character, use printable text".into());
        }
    }
}

impl Default for PgmqNotifyConfig {
    fn default() -> Self {
        Self::new()
    }
}

fn check_namespace(setting: Setting, namespace: &str, problems: &mut Vec<ConfigProblem>) {
    if let Err(error) = Namespace::new(namespace) {
        problems.push(ConfigProblem::new(setting, error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_valid() {
        assert_eq!(PgmqNotifyConfig::new().validate(), Ok(()));
    }

    #[test]
    fn every_problem_is_reported_with_its_value() {
        let error = PgmqNotifyConfig::new()
            .with_queue_naming_pattern("orders")
            .with_channels_prefix("tab\there")
            .with_default_namespaces(["fine", ""])
            .with_max_payload_size(8000)
            .with_namespace_payload("n".repeat(48), false)
            .validate()
            .unwrap_err();
        let settings: Vec<_> = error
            .problems()
            .iter()
            .map(ConfigProblem::setting)
            .collect();
        assert_eq!(
            settings,
            [
                Setting::QueueNamingPattern,
                Setting::ChannelsPrefix,
                Setting::DefaultNamespaces,
                Setting::MaxPayloadSize,
                Setting::Namespaces,
            ]
        );
        let text = error.to_string();
        for value in ["\"orders\"", "\"tab\\there\"", "8000", "1024 to 7999"] {
            assert!(text.contains(value), "{text}");
        }
    }

    #[test]
    fn payload_limits_are_the_bounds_of_notify() {
        for (bytes, valid) in [(1023, false), (1024, true), (7999, true), (8000, false)] {
            let config = PgmqNotifyConfig::new().with_max_payload_size(bytes);
            assert_eq!(config.validate().is_ok(), valid, "{bytes}");
        }
    }

    #[test]
    fn the_longest_prefix_leaves_the_fixed_channels_whole() {
        let prefix = "p".repeat(PgmqNotifyConfig::MAX_PREFIX_BYTES);
        let config = PgmqNotifyConfig::new().with_channels_prefix(prefix.clone());
        let channels = config.channels().unwrap();
        let expected = format!("{prefix}.pgmq_message_ready");
        assert_eq!(channels.message_ready_global().as_str(), expected);
        assert_eq!(channels.queue_dropped().as_str().len(), 63);
        let longer = config.with_channels_prefix("p".repeat(45));
        assert!(longer.channels().is_err());
    }

    #[test]
    fn a_namespace_may_be_delivered_otherwise() {
        let config = PgmqNotifyConfig::new();
        assert!(!config.has_wake_up());
        let config = config
            .with_delivery(Delivery::WakeUp)
            .with_namespace_delivery("audit", Delivery::Every);
        assert_eq!(config.delivery_of("audit"), Delivery::Every);
        assert_eq!(config.delivery_of("orders"), Delivery::WakeUp);
        assert!(config.has_wake_up());
        let config = config.with_namespace_delivery("n".repeat(48), Delivery::Every);
        assert!(config.validate().is_err());
    }

    #[test]
    fn a_default_namespace_given_twice_is_kept_once() {
        let config = PgmqNotifyConfig::new().with_default_namespaces(["a", "b", "a"]);
        assert_eq!(config.default_namespaces(), ["a", "b"]);
    }
}
