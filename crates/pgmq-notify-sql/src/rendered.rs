//! The templates, filled in.

use askama::Template;
use pgmq_notify_core::{ConfigError, Delivery, PgmqNotifyConfig};

use crate::quoted::{Integer, Literal, LiteralArray, OptionalLiteral, Remark};
use crate::sections::Sections;
use crate::settings::{SettingDifference, quoted, settings};
use crate::validate;

/// How the SQL waits for the locks of busy queues. Times are in milliseconds, and less than
/// PostgreSQL's default `deadlock_timeout` of 1 s: in a deadlock the migration gives way, not a sender.
const SHORT_WAIT: Integer = Integer(50);
const SHORT_ATTEMPTS: Integer = Integer(30);
const LOCK_TIMEOUT: Integer = Integer(750);
const LONG_ATTEMPTS: Integer = Integer(8);

/// How many of the messages that one transaction releases in a queue are published: about 6 MB of
/// notifications at most.
const MOST_RELEASED: Integer = Integer(10_000);

/// Parts of a change that run whatever differs: the triggers' arguments come from all of it.
const ALWAYS: &[&str] = &["triggers"];

/// A whole migration, in its parts.
pub(crate) struct Rendered {
    pub(crate) sections: Sections,
    pub(crate) down: String,
    /// What decides about the parts, beside the values in the configuration's row.
    shape: Shape,
}

#[derive(Clone)]
struct Shape {
    version: Literal,
    triggers_enabled: bool,
    /// Whether any namespace is delivered by wake-up.
    parks: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Rendered {
    pub(crate) fn new(config: &PgmqNotifyConfig) -> Result<Self, ConfigError> {
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
        let shape = Shape {
            version: Literal::new(env!("CARGO_PKG_VERSION")),
            triggers_enabled: config.triggers_enabled(),
            parks: config.has_wake_up(),
        };
        let up = Up {
            version: shape.version.clone(),
            header: header("whole", config),
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
        let sections = up.render().expect("writing to a string does not fail");
        Ok(Self {
            sections: Sections::parse(&sections),
            down: down.render().expect("writing to a string does not fail"),
            shape,
        })
    }
}

/// What leads from an installation of one configuration to that of another.
pub(crate) fn change(
    from: (&PgmqNotifyConfig, &Rendered),
    to: (&PgmqNotifyConfig, &Rendered),
    direction: Direction,
) -> String {
    let changes: Vec<Remark> = SettingDifference::between(from.0, to.0)
        .iter()
        .map(Remark::new)
        .collect();
    let (from, (config, to)) = (from.1, to);
    let (from_shape, to_shape) = (from.shape.clone(), to.shape.clone());
    let head = match direction {
        Direction::Up => Change {
            from: from_shape,
            to: to_shape,
            changes,
            header: header("change", config),
        }
        .render(),
        Direction::Down => ChangeBack {
            from: from_shape,
            to: to_shape,
            changes,
        }
        .render(),
    };
    let head = head.expect("writing to a string does not fail");
    let parts = to.sections.beyond(&from.sections, ALWAYS);
    format!("{}\n\n{parts}", head.trim_end())
}

/// The lines that say what an up migration was generated from.
fn header(kind: &str, config: &PgmqNotifyConfig) -> Vec<Remark> {
    let own = [
        ("version".to_owned(), quoted(env!("CARGO_PKG_VERSION"))),
        ("kind".to_owned(), quoted(kind)),
    ];
    own.into_iter()
        .chain(settings(config))
        .map(|(key, value)| Remark::new(format!("{key} = {value}")))
        .collect()
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
#[derive(Template)]
#[template(path = "up.sql")]
struct Up {
    version: Literal,
    header: Vec<Remark>,
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

#[derive(Template)]
#[template(path = "change.sql")]
struct Change {
    from: Shape,
    to: Shape,
    changes: Vec<Remark>,
    header: Vec<Remark>,
}

#[derive(Template)]
#[template(path = "change_back.sql")]
struct ChangeBack {
    from: Shape,
    to: Shape,
    changes: Vec<Remark>,
}
