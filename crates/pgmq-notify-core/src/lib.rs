//! What every crate of pgmq-notify agrees on: the [configuration](PgmqNotifyConfig), the
//! [names](QueueName) of queues, namespaces and channels, and the [events](PgmqNotifyEvent).
//!
//! It does no I/O, knows no SQL, and by default depends on nothing. The feature `serde` adds JSON
//! both ways (`PgmqNotifyEvent::from_json`, `PgmqNotifyEvent::to_json`, `RawJson::decode`).
//!
//! An event is a hint; the queue table is the truth. Losing, repeating or forging a notification
//! may cost latency, never a message: claim a message before you act on it.
//!
//! ```
//! use pgmq_notify_core::{Namespace, PgmqNotifyConfig};
//!
//! let config = PgmqNotifyConfig::new().with_channels_prefix("myapp");
//! let channels = config.channels()?;
//! let orders = Namespace::new("orders")?;
//! assert_eq!(channels.message_ready(&orders).as_str(), "myapp.pgmq_message_ready.orders");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
mod config;
mod delivery;
mod event;
mod namespace;
mod problem;
mod queue_name;
mod raw_json;
mod sha256;
#[cfg(feature = "serde")]
mod wire;

pub use channel::{ChannelName, ChannelNameError, Channels};
pub use config::PgmqNotifyConfig;
pub use delivery::{Delivery, DeliveryError};
pub use event::{
    BatchReadyEvent, MessageReadyEvent, MessageWithPayloadEvent, PgmqNotifyEvent,
    QueueCreatedEvent, QueueDroppedEvent, ResumeReason, ResumedEvent,
};
pub use namespace::{Namespace, NamespaceError};
pub use problem::{ConfigError, ConfigProblem, Setting};
pub use queue_name::{QueueName, QueueNameError};
pub use raw_json::RawJson;
#[cfg(feature = "serde")]
pub use wire::DecodeEventError;

/// Its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
