use askama::Template;
use pgmq_notify_core::{ConfigError, ConfigProblem, Delivery, PgmqNotifyConfig, Setting};

use crate::NamespacePattern;
use crate::quoted::{Integer, Literal, LiteralArray, OptionalLiteral};

/// How the SQL waits for the locks of busy queues. Times are in milliseconds, and less than
/// PostgreSQL's default `deadlock_timeout` of 1 s: in a deadlock the migration gives way, not a sender.
const SHORT_WAIT: Integer = Integer(50);
const SHORT_ATTEMPTS: Integer = Integer(30);
const LOCK_TIMEOUT: Integer = Integer(750);
const LONG_ATTEMPTS: Integer = Integer(8);

/// How many of the messages that one transaction releases in a queue are published: about 6 MB of
/// notifications at most.
const MOST_RELEASED: Integer = Integer(10_000);

/// The SQL of a configuration: up installs, down removes.
///
/// Neither contains `begin` or `commit`: each belongs into one transaction, which most migration
/// tools make by themselves. They are two texts that are never to be executed together.
///
/// Up may run again at any time: it brings whatever an earlier up left to its own state, and takes
/// no lock on a queue whose trigger is already right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    up: String,
    down: String,
}

impl Migration {
    /// Generates the SQL of `config`. The same configuration gives the same bytes.
    ///
    /// # Errors
    ///
    /// When `config` is not [valid](validate), with every problem.
    ///
    #[expect(
        clippy::missing_panics_doc,
        reason = "writing to a string does not fail"
    )]
    pub fn new(config: &PgmqNotifyConfig) -> Result<Self, ConfigError> {
        let pattern = validate(config)?;
        let max_payload_size = u32::try_from(config.max_payload_size())
            .expect("a valid configuration has at most 7999 bytes");
        let namespaces = |with: bool| {
            let named = config
                .namespace_payload()
                .filter(|(_, payload)| *payload == with);
            LiteralArray(named.map(|(name, _)| Literal::new(name)).collect())
        };
        let delivered = |wanted: Delivery| {
            let named = config
                .namespace_delivery()
                .filter(|(_, delivery)| *delivery == wanted);
            LiteralArray(named.map(|(name, _)| Literal::new(name)).collect())
        };
        let up = Up {
            version: Literal::new(env!("CARGO_PKG_VERSION")),
            triggers_enabled: config.triggers_enabled(),
            pattern: Literal::new(pattern.as_str()),
            regex: Literal::new(pattern.postgres()),
            prefix: OptionalLiteral(config.channels_prefix().map(Literal::new)),
            global_channel: config.global_channel(),
            max_payload_size: Integer(max_payload_size),
            payload: config.payload(),
            most_released: MOST_RELEASED,
            with_payload: namespaces(true),
            without_payload: namespaces(false),
            parks: config.has_wake_up(),
            delivery: Literal::new(config.delivery().as_str()),
            every: delivered(Delivery::Every),
            waking: delivered(Delivery::WakeUp),
            short_wait: SHORT_WAIT,
            short_attempts: SHORT_ATTEMPTS,
            lock_timeout: LOCK_TIMEOUT,
            long_attempts: LONG_ATTEMPTS,
        };
        let down = Down {
            version: up.version.clone(),
            short_wait: SHORT_WAIT,
            short_attempts: SHORT_ATTEMPTS,
            lock_timeout: LOCK_TIMEOUT,
            long_attempts: LONG_ATTEMPTS,
        };
        Ok(Self {
            up: up.render().expect("writing to a string does not fail"),
            down: down.render().expect("writing to a string does not fail"),
        })
    }

    /// The SQL that installs.
    pub fn up(&self) -> &str {
        &self.up
    }

    /// The SQL that removes what [`up`](Self::up) installed, and nothing else.
    pub fn down(&self) -> &str {
        &self.down
    }
}

/// Checks `config` wholly, the naming pattern included, which it returns with its translation.
///
/// # Errors
///
/// All problems together, each naming the setting, the value, and what would be right.
#[expect(clippy::missing_panics_doc, reason = "it has a pattern or a problem")]
pub fn validate(config: &PgmqNotifyConfig) -> Result<NamespacePattern, ConfigError> {
    let mut problems = match config.validate() {
        Ok(()) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    };
    let pattern = match NamespacePattern::new(config.queue_naming_pattern()) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            // The parser says more than the core could.
            problems.retain(|problem| problem.setting() != Setting::QueueNamingPattern);
            let problem = ConfigProblem::new(Setting::QueueNamingPattern, error.to_string());
            problems.insert(0, problem);
            None
        }
    };
    ConfigError::check(problems)?;
    Ok(pattern.expect("a pattern that has no translation is a problem"))
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
#[derive(Template)]
#[template(path = "up.sql")]
struct Up {
    version: Literal,
    triggers_enabled: bool,
    pattern: Literal,
    regex: Literal,
    prefix: OptionalLiteral,
    global_channel: bool,
    max_payload_size: Integer,
    payload: bool,
    most_released: Integer,
    with_payload: LiteralArray,
    without_payload: LiteralArray,
    /// Whether any namespace is delivered by wake-up.
    parks: bool,
    delivery: Literal,
    every: LiteralArray,
    waking: LiteralArray,
    short_wait: Integer,
    short_attempts: Integer,
    lock_timeout: Integer,
    long_attempts: Integer,
}

#[derive(Template)]
#[template(path = "down.sql")]
struct Down {
    version: Literal,
    short_wait: Integer,
    short_attempts: Integer,
    lock_timeout: Integer,
    long_attempts: Integer,
}
