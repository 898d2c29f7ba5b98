//! The configuration of a command: the file, and the options that override it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pgmq_notify_core::{ConfigError, ConfigProblem, Delivery, PgmqNotifyConfig, Setting};
use pgmq_notify_sql::Migration;

use crate::config_file::ConfigFile;
use crate::failure::Failure;

#[derive(Args, Debug)]
#[command(next_help_heading = "Configuration (options override the file)")]
pub(crate) struct ConfigOptions {
    /// The configuration file [default: pgmq-notify.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The regular expression whose group `namespace` finds a queue's namespace
    #[arg(long, value_name = "REGEX")]
    queue_pattern: Option<String>,

    /// Channels become PREFIX.pgmq_*
    #[arg(long, value_name = "PREFIX")]
    channel_prefix: Option<String>,

    /// The most bytes of a whole notification, 1024 to 7999
    #[arg(long, value_name = "BYTES")]
    max_payload_size: Option<usize>,

    /// Which messages are published, where no namespace of the file says otherwise
    #[arg(long, value_name = "WHICH")]
    delivery: Option<DeliveryOption>,

    #[command(flatten)]
    switches: Switches,
}

/// Each switch has its opposite, so that an option can override the file both ways. The last one
/// counts.
#[expect(
    clippy::struct_excessive_bools,
    reason = "clap reads a flag and its opposite into one field each"
)]
#[derive(Args, Debug, Default)]
struct Switches {
    /// Publish on the channel of all namespaces too
    #[arg(long, overrides_with = "no_global_channel")]
    global_channel: bool,

    /// Publish on the channel of the queue's namespace only
    #[arg(long, overrides_with = "global_channel")]
    no_global_channel: bool,

    /// Publish the bodies of messages that fit
    #[arg(long, overrides_with = "no_payload")]
    payload: bool,

    /// Publish no bodies, only that there is a message
    #[arg(long, overrides_with = "payload")]
    no_payload: bool,

    /// Publish with triggers on PGMQ's tables
    #[arg(long, overrides_with = "no_triggers")]
    triggers: bool,

    /// Install functions that send and notify instead of triggers
    #[arg(long, overrides_with = "triggers")]
    no_triggers: bool,
}

/// [`Delivery`], spelled as the values of options are; as the file spells it, it is understood too.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeliveryOption {
    /// Every message, for observers
    Every,
    /// Only those that have to wake a consumer, for work queues
    #[value(alias = "wake_up")]
    WakeUp,
}

impl From<DeliveryOption> for Delivery {
    fn from(option: DeliveryOption) -> Self {
        match option {
            DeliveryOption::Every => Self::Every,
            DeliveryOption::WakeUp => Self::WakeUp,
        }
    }
}

impl ConfigOptions {
    /// No options, and this file.
    #[cfg(feature = "database")]
    pub(crate) fn of_file(path: &Path) -> Self {
        Self {
            config: Some(path.to_owned()),
            queue_pattern: None,
            channel_prefix: None,
            max_payload_size: None,
            delivery: None,
            switches: Switches::default(),
        }
    }

    /// The migration of the file and the options.
    pub(crate) fn migration(&self) -> Result<Migration, Failure> {
        self.valid().map(|(_, migration)| migration)
    }

    /// The configuration of the file and the options.
    pub(crate) fn config(&self) -> Result<PgmqNotifyConfig, Failure> {
        self.valid().map(|(config, _)| config)
    }

    /// Whether there is a file, or an option that overrides it.
    #[cfg(feature = "database")]
    pub(crate) fn is_given(&self) -> bool {
        !self.arguments().is_empty() || self.path().is_some()
    }

    /// The arguments that are the same configuration again.
    #[cfg(feature = "database")]
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([option.to_owned(), value]);
            }
        };
        add(
            "--config",
            self.config.as_ref().map(|it| it.display().to_string()),
        );
        add("--queue-pattern", self.queue_pattern.clone());
        add("--channel-prefix", self.channel_prefix.clone());
        add(
            "--max-payload-size",
            self.max_payload_size.map(|it| it.to_string()),
        );
        let delivery = self.delivery.and_then(|it| it.to_possible_value());
        add("--delivery", delivery.map(|it| it.get_name().to_owned()));
        let switches = &self.switches;
        for (is_on, option) in [
            (switches.global_channel, "--global-channel"),
            (switches.no_global_channel, "--no-global-channel"),
            (switches.payload, "--payload"),
            (switches.no_payload, "--no-payload"),
            (switches.triggers, "--triggers"),
            (switches.no_triggers, "--no-triggers"),
        ] {
            if is_on {
                arguments.push(option.to_owned());
            }
        }
        arguments
    }

    fn valid(&self) -> Result<(PgmqNotifyConfig, Migration), Failure> {
        let path = self.path();
        let file = path.map(ConfigFile::read).transpose()?;
        let file = path.zip(file.as_ref());
        if let Some((path, file)) = file
            && !file.unreadable().is_empty()
        {
            let lines = file.validate();
            let lines = lines
                .iter()
                .map(|problem| format!("{}:{problem}", path.display()));
            return Err(invalid(lines, Some(path)));
        }
        let config = file.map_or_else(PgmqNotifyConfig::new, |(_, file)| file.config().clone());
        let config = self.over(config);
        match Migration::new(&config) {
            Ok(migration) => Ok((config, migration)),
            Err(error) => Err(self.explain(&error, file)),
        }
    }

    /// The file that was named, or the default one where it exists.
    fn path(&self) -> Option<&Path> {
        let default = Path::new(ConfigFile::DEFAULT_NAME);
        match &self.config {
            Some(path) => Some(path),
            None => default.exists().then_some(default),
        }
    }

    fn over(&self, mut config: PgmqNotifyConfig) -> PgmqNotifyConfig {
        if let Some(pattern) = &self.queue_pattern {
            config = config.with_queue_naming_pattern(pattern);
        }
        if let Some(prefix) = &self.channel_prefix {
            config = config.with_channels_prefix(prefix);
        }
        if let Some(bytes) = self.max_payload_size {
            config = config.with_max_payload_size(bytes);
        }
        if let Some(delivery) = self.delivery {
            config = config.with_delivery(delivery.into());
        }
        let switches = &self.switches;
        if switches.global_channel || switches.no_global_channel {
            config = config.with_global_channel(switches.global_channel);
        }
        if switches.payload || switches.no_payload {
            config = config.with_payload(switches.payload);
        }
        if switches.triggers || switches.no_triggers {
            config = config.with_triggers_enabled(switches.triggers);
        }
        config
    }

    /// Says of each problem where its value came from.
    fn explain(&self, error: &ConfigError, file: Option<(&Path, &ConfigFile)>) -> Failure {
        let line = |problem: &ConfigProblem| {
            if let Some(option) = self.option_of(problem.setting()) {
                return format!("{option}: {}", problem.message());
            }
            let Some((path, file)) = file else {
                return problem.to_string();
            };
            let position = file.position_of(problem).unwrap_or_default();
            let (line, column) = (position.line, position.column);
            format!("{}:{line}:{column}: {problem}", path.display())
        };
        let from_options = |problem: &ConfigProblem| self.option_of(problem.setting()).is_some();
        let path = file
            .map(|(path, _)| path)
            .filter(|_| !error.problems().iter().all(from_options));
        invalid(error.problems().iter().map(line), path)
    }

    fn option_of(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::QueueNamingPattern => self.queue_pattern.as_ref().map(|_| "--queue-pattern"),
            Setting::ChannelsPrefix => self.channel_prefix.as_ref().map(|_| "--channel-prefix"),
            Setting::MaxPayloadSize => self.max_payload_size.map(|_| "--max-payload-size"),
            _ => None,
        }
    }
}

fn invalid(lines: impl Iterator<Item = String>, file: Option<&Path>) -> Failure {
    let message = lines.fold("the configuration is not valid".to_owned(), |all, line| {
        format!("{all}\n  {line}")
    });
    let hint = match file {
        Some(path) => format!(
            "correct these values; `pgmq-notify validate-config {}` checks the file alone",
            path.display()
        ),
        None => "correct these values".into(),
    };
    Failure::new(message, hint)
}
