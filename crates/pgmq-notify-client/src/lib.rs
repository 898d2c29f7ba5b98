//! Every operation of [PGMQ](https://github.com/pgmq/pgmq), typed, on a pool of connections.
//!
//! It sends, reads, claims and settles messages, and manages queues. It does not listen: the events
//! that say when to read come from `pgmq-notify-listener`. It does not install anything either: the
//! SQL comes from `pgmq-notify generate-migration`.
//!
//! PGMQ 1.5 or newer. What the installed release lacks is an error that names the release that has
//! it. A queue table is the truth: an id that came with an event is a hint until
//! [`read_by_id`](PgmqNotifyClient::read_by_id) has claimed the message.
//!
//! `pgmq.detach_archive`, which does nothing since PGMQ 1.6, and `pgmq.drop_queue(text, boolean)`,
//! whose second argument it ignores, are left out.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pgmq_notify_client::{PgmqNotifyClient, PgmqNotifyConfig};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Order {
//!     number: u64,
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = PgmqNotifyClient::new("postgres://localhost/shop", PgmqNotifyConfig::new()).await?;
//! client.create_queue("orders_queue").await?;
//! client
//!     .send("orders_queue", &Order { number: 7 })
//!     .delay(Duration::from_secs(5))
//!     .await?;
//!
//! let thirty_seconds = Duration::from_secs(30);
//! for message in client.read_batch::<Order>("orders_queue", thirty_seconds, 10).await? {
//!     match message {
//!         Ok(message) => {
//!             println!("order {}", message.body.number);
//!             client.delete("orders_queue", message.msg_id).await?;
//!         }
//!         Err(undecodable) => {
//!             println!("{undecodable}: {}", undecodable.body());
//!             client.archive("orders_queue", undecodable.msg_id()).await?;
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod call;
mod client;
mod consumer;
mod diagnosis;
mod error;
mod failure;
mod function;
mod json;
mod message;
mod operation;
mod operations;
mod partitions;
mod polling;
mod routing;
mod row;
mod seconds;
mod timestamp;
mod version;
mod when;

pub use client::PgmqNotifyClient;
pub use consumer::{
    Acknowledgement, Claim, Consumer, ConsumerBuilder, ConsumerError, ConsumerErrorKind,
    ConsumerStats, DeadLetter, Durability, HandlerError, Order, RetryPolicy, ShutdownReport,
    Source, WakeUps,
};
pub use error::{ClientError, ErrorKind};
pub use message::{Message, Received, UndecodableMessage};
pub use operation::Operation;
pub use operations::{
    BatchOptions, GroupedOptions, MessageVisibility, NotifyInsertThrottle, Queue, QueueMetrics,
    ReadOptions, Redriven, SendOptions, TopicBinding, TopicMatch, TopicMessage,
};
pub use partitions::Partitions;
pub use polling::Polling;
pub use when::When;

pub use pgmq_notify_core::{PgmqNotifyConfig, QueueName, RawJson};
