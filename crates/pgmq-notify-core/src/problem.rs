use std::fmt;

/// A setting of [`PgmqNotifyConfig`](crate::PgmqNotifyConfig), to say where a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// `queue_naming_pattern`
    QueueNamingPattern,
    /// `channels_prefix`
    ChannelsPrefix,
    /// `default_namespaces`
    DefaultNamespaces,
    /// `max_payload_size`
    MaxPayloadSize,
    /// `namespaces`: what differs for one namespace.
    Namespaces,
}

impl Setting {
    /// The name of the setting, as the builder and `pgmq-notify.toml` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueNamingPattern => "queue_naming_pattern",
            Self::ChannelsPrefix => "channels_prefix",
            Self::DefaultNamespaces => "default_namespaces",
            Self::MaxPayloadSize => "max_payload_size",
            Self::Namespaces => "namespaces",
        }
    }
}

/// One thing that is wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    setting: Setting,
    message: String,
}

impl ConfigProblem {
    /// A problem of `setting`; `message` quotes the value and says what would be right.
    pub fn new(setting: Setting, message: impl Into<String>) -> Self {
        Self {
            setting,
            message: message.into(),
        }
    }

    /// Where the problem is.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// What the problem is, without the setting's name.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting.name(), self.message)
    }
}

/// Everything that is wrong in a configuration, not the first problem only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
}

impl ConfigError {
    /// `Ok` when there are no problems.
    ///
    /// # Errors
    ///
    /// When there are some.
    pub fn check(problems: Vec<ConfigProblem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }

    /// Every problem, in the order of the settings.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration: ")?;
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
