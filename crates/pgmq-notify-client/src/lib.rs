//! Every operation of [PGMQ](https://github.com/pgmq/pgmq), typed, on a pool of connections; and a consumer
//! that handles messages as they come.
//!
//! [`PgmqNotifyClient`] sends, reads, claims and settles messages, and manages queues. [`Consumer`] listens
//! for their events, with `pgmq-notify-listener`, and gives each message to a function of yours, with no
//! polling in between: see [below](#consumer). To hear the events themselves, depend on that crate too.
//!
//! The SQL that publishes the events comes as a migration, from `pgmq-notify generate-migration`, or is
//! installed from here: see [below](#installing).
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
//!
//! # Installing
//!
//! ```no_run
//! # async fn example(client: pgmq_notify_client::PgmqNotifyClient) -> Result<(), pgmq_notify_client::ClientError> {
//! let report = client.install().await?;
//! println!("queues: {} changed, {} right already", report.queues_changed, report.queues_right);
//! # Ok(())
//! # }
//! ```
//!
//! Any number of processes may do that as they start, while messages flow: each queue gets its triggers in a
//! short transaction of its own, and what is right already is not touched. [`Install`] says who waits, and
//! for how long; [`uninstall`](PgmqNotifyClient::uninstall) is the way back, and
//! [`installation`](PgmqNotifyClient::installation) tells what a database has.
//!
//! **Privileges** of its role: it owns PGMQ's tables, or is a member of the role that does, and may create a
//! schema in the database.
//!
//! ```sql
//! grant create on database shop to installer;
//! grant pgmq_owner to installer; -- who owns the schema pgmq and its tables
//! ```
//!
//! [`status`](PgmqNotifyClient::status) shows all of that together with the queues, their depth and their consumers.
//! What is wrong, and the statement or command that repairs it, says [`doctor`](PgmqNotifyClient::doctor).
//!
//! # Consumer
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient, Source};
//! # use pgmq_notify_client::PgmqNotifyConfig;
//!
//! async fn ship(order: Message<u64>, claim: Claim) -> Result<(), HandlerError> {
//!     if order.body == 0 {
//!         return Err(HandlerError::fatal("there is no order 0"));
//!     }
//!     println!("{}: order {}, attempt {}", claim.queue(), order.body, claim.attempt());
//!     Ok(())
//! }
//!
//! # async fn example(client: PgmqNotifyClient) -> Result<(), Box<dyn std::error::Error>> {
//! let orders = Source::queue("orders_queue").with_visibility_timeout(Duration::from_secs(60));
//! let consumer = Consumer::builder(client).concurrency(32).source(orders, ship).start().await?;
//! # let interrupted = std::future::pending::<()>();
//! let report = consumer.run_until(interrupted).await;
//! println!("{report:?}");
//! # Ok(())
//! # }
//! ```
//!
//! What may be repeated or reordered is said at [`Consumer`], what each setting does and costs at
//! [`ConsumerBuilder`], [`Source`] and [`RetryPolicy`], and how a handler decides over its message at
//! [`HandlerError`] and [`Claim`].
//!
//! **It wakes** for an event of its queue; at the time at which the next delayed message, retry or expired
//! claim becomes visible, which each look at the queue tells; after a reconnect; after a claim that brought
//! as many messages as were asked for; while senders leave it to look (see Delivery); and, in case that all else has failed, for a poll every
//! [30 seconds](ConsumerBuilder::safety_poll). Between these it runs no statement.
//!
//! **It claims** no more messages than there are free handlers, and, for handlers that are quicker than a
//! claim, those that by the recent pace will be free when its answer comes. What has waited unstarted for 1
//! second is given back, and so is everything unstarted at a shutdown: it is visible at once, and that read
//! is taken off its count.
//!
//! **Leases** are extended while handlers run, in one statement for all that are due. So a visibility
//! timeout need not be longer than a handler; it is how late the messages of a dead process come back. A
//! handler whose lease was lost is [told](Claim::lost), and its result is not acknowledged if another
//! process has the message.
//!
//! **Durability.** Claims and lease extensions commit with `synchronous_commit = off`: when a crash of the
//! server loses one, the message is handled again, and nothing else. Acknowledgements are as durable as the
//! server is configured, unless [chosen otherwise](ConsumerBuilder::acknowledgements). What a handler writes
//! is its own, on connections of its own.
//!
//! **Delivery.** Where a namespace has [`Delivery::WakeUp`], senders
//! notify only while somebody sleeps, which the consumer tells them by itself: a row in
//! `pgmq_notify.parked`, valid for 15 seconds, says that it would like to be told, and while messages come
//! thick it looks for them every 0.5 to 4 milliseconds, holding an advisory lock, and no sender notifies.
//! Which delivery a queue has it learns from the database: at the start, and with each safety poll. Until
//! it has learned of a change to `WakeUp` only that poll finds messages. Two of the consumers that sleep are
//! told of a message; one that has more than it can start tells another. `docs/wakeup-delivery.md` in the
//! repository says why no message is missed, and what that costs.
//!
//! **Connections** of its own, none of the pool: two that claim (see
//! [`connections`](ConsumerBuilder::connections)), one that settles, one that extends leases, one that
//! listens, for any number of queues, and one that tells senders, where the delivery is `WakeUp`. Their `application_name` begins with `pgmq-notify-consumer`, that of
//! the one that listens with `pgmq-notify-listener`. The pool is used for a moment at the start, when queues come and
//! go, and by [`Claim::release`] and [`Claim::extend`].
//!
//! **Privileges** of its role: those that `pgmq.read`, `pgmq.delete` and `pgmq.archive` need, and those of
//! the listener. A dead-letter queue that does not exist yet is created, with the rights of that role:
//! where it may not do that, create the queue beforehand.
//!
//! ```sql
//! grant usage on schema pgmq, pgmq_notify to worker;
//! grant select on pgmq.meta, pgmq_notify.installation to worker;
//! -- public has these, unless they were revoked
//! grant execute on function pgmq_notify.route, pgmq_notify.namespace_of, pgmq_notify.channel_name to worker;
//! grant select, insert, update, delete on pgmq.q_orders_queue, pgmq.q_orders_queue_dlq to worker;
//! grant select, insert on pgmq.a_orders_queue to worker; -- to archive
//! ```
//!
//! With the delivery `WakeUp`, which creates that table, also:
//!
//! ```sql
//! grant select, insert, update, delete on pgmq_notify.parked to worker;
//! ```
//!
//! **Dead letters** are messages that were tried as often as the policy allows, whose handler called it
//! [fatal](HandlerError::fatal), or whose body does not decode. Each moves in one statement, with its body
//! and headers, to a queue whose name ends with `_dlq`, or [another](Source::with_dead_letter_queue).
//! [`Message::dead_letter`] says why it is there, and [`PgmqNotifyClient::redrive`] puts it back.
//!
//! **Tests** of handlers: call them with [`Message::by_hand`] and [`Claim::by_hand`], without a database; or
//! let [`drain`](ConsumerBuilder::drain) handle what there is.
//!
//! # Observability
//!
//! [`Consumer::stats`] is there for the asking. The crate `tracing` gets spans and events, whose targets
//! begin with `pgmq_notify_client::consumer`. With the feature `metrics` (not on by default) the crate of
//! that name gets the numbers, for the recorder that is installed when the consumer starts; consumers that
//! share a recorder add up. Those of its listener come beside them, under the names that
//! `pgmq-notify-listener` documents.
//!
//! These names, labels and fields stay. No field holds a password, and none a body unless the application
//! puts it into an error of its own. `queue`, `msg_id` and `attempt`, from 1, say which message; `cause` is
//! an error.
//!
//! | | name | labels or fields | |
//! |---|---|---|---|
//! | counter | `pgmq_notify_consumer_wake_ups_total` | `reason`: `start`, `event`, `due`, `reconnected`, `full_batch`, `settled`, `failed`, `attending`, `parking`, `safety_poll`: see [`WakeUps`] | why queues were looked at |
//! | counter | `pgmq_notify_consumer_claims_total` | | statements that looked for messages |
//! | counter | `pgmq_notify_consumer_empty_claims_total` | | those of them that found none |
//! | counter | `pgmq_notify_consumer_claimed_total` | | messages that were claimed |
//! | counter | `pgmq_notify_consumer_done_total` | | messages that were handled and acknowledged |
//! | counter | `pgmq_notify_consumer_retried_total` | | failures after which a message is tried again |
//! | counter | `pgmq_notify_consumer_dead_total` | | messages that became dead letters |
//! | counter | `pgmq_notify_consumer_released_total` | | messages that were given back, by their handler or unstarted |
//! | counter | `pgmq_notify_consumer_undecodable_total` | | bodies that did not decode |
//! | counter | `pgmq_notify_consumer_panicked_total` | | handlers that panicked |
//! | counter | `pgmq_notify_consumer_lost_leases_total` | | claims that another process took over, or whose message is gone |
//! | counter | `pgmq_notify_consumer_expired_leases_total` | | leases that could not be extended in time |
//! | counter | `pgmq_notify_consumer_unsettled_total` | | messages that could not be settled, and come back |
//! | counter | `pgmq_notify_consumer_parking_total` | | how often senders were told whether it sleeps, or asked about (delivery `wake_up`) |
//! | histogram, seconds | `pgmq_notify_consumer_wait_seconds` | | from a message's visibility to its handler's start |
//! | gauge | `pgmq_notify_consumer_in_flight` | | messages that are claimed and not settled |
//! | span, debug | `pgmq_notify_consumer.claim` | `queue`; `reason`, as above; `asked`: messages, or groups, at most; `claimed`: messages, absent after a failure | one look at a queue |
//! | span, info | `pgmq_notify_consumer.handle` | `queue`; `msg_id`; `attempt` | one call of a handler |
//! | event, debug | `a queue is consumed` | `queue` | at the start, and when it joins |
//! | event, debug | `a queue is not consumed any more` | `queue` | it was dropped |
//! | event, warn | `a queue is gone` | `queue`; `cause` | a claim has noticed |
//! | event, error | `a queue cannot be consumed` | `queue`; `cause` | the name of its dead-letter queue would be too long |
//! | event, warn | `the queues could not be looked at` | `cause` | after one came or went; it is tried again |
//! | event, warn | `the consumer has no connection` | `queue`; `cause` | a claim failed; attempts come at growing intervals, at most 3 seconds |
//! | event, warn | `senders could not be told whether the consumer sleeps` | `cause` | delivery `wake_up`; it is tried again at growing intervals, at most 3 seconds, and only polls are left meanwhile |
//! | event, warn | `senders could not be told that the consumer has left` | `cause` | delivery `wake_up`; they notice after 15 seconds |
//! | event, error | `messages could not be claimed` | `queue`; `cause` | the server refuses; it is tried again after a second |
//! | event, warn | `a handler failed` | `queue`; `msg_id`; `attempt`; `delay_ms` until the next one; `cause`, at most 4000 characters | each failure that is tried again, panics included |
//! | event, error | `a dead letter` | `queue`; `msg_id`; `attempt`; `dead_letters`: the queue that it is in now; `reason`: `attempts`, `fatal`, `undecodable`; `cause`, as above | each message that was moved |
//! | event, error | `a dead letter could not be moved, its message stays` | `queue`; `msg_id`; `attempt`; `dead_letters`; `cause` | it is tried again |
//! | event, warn | `leases were not extended` | `queue`; `messages`: how many; `cause` | it is tried again |
//! | event, warn | `a lease could not be extended in time` | `queue`; `msg_id`; `attempt` | somebody else may claim the message; its handler is told |
//! | event, warn | `a lease was lost` | `queue`; `msg_id`; `attempt`; `noticed`: `extension`, `settlement` | somebody else has claimed the message, or it is gone |
//! | event, warn | `messages are not settled yet` | `queue`; `messages`: how many; `cause` | it is tried again |
//! | event, error | `messages were not settled, and will come back` | `queue`; `messages`: how many; `cause` | the server refuses for good |
//! | event, error | `a message could not be settled` | `queue`; `msg_id`; `attempt`; `cause` | the settling task is gone; never seen |
//! | event, error | `no more events` | `cause` | the listening task is gone, and only polls are left; never seen |
//! | event, info | `the consumer has stopped` | `aborted`, `unsettled`: as in [`ShutdownReport`] | |

mod call;
mod client;
mod consumer;
mod diagnosis;
mod doctor;
mod error;
mod failure;
mod function;
mod installing;
mod json;
mod message;
mod operation;
mod operations;
mod partitions;
mod polling;
mod routing;
mod row;
mod seconds;
mod status;
mod timestamp;
mod version;
mod when;

pub use client::PgmqNotifyClient;
pub use consumer::{
    Acknowledgement, Claim, Consumer, ConsumerBuilder, ConsumerError, ConsumerErrorKind,
    ConsumerStats, DeadLetter, Durability, HandlerError, Order, RetryPolicy, ShutdownReport,
    Source, WakeUps,
};
pub use doctor::{Diagnosis, Doctor, Finding, FindingCode, Remedy, RoleKind, Severity};
pub use error::{ClientError, ErrorKind};
pub use installing::{
    FunctionDifference, Install, InstallProgress, InstallReport, Installation,
    InstallationDifferences, TableState, Uninstall, UninstallReport,
};
pub use message::{Message, Received, UndecodableMessage};
pub use operation::Operation;
pub use operations::{
    BatchOptions, GroupedOptions, MessageVisibility, NotifyInsertThrottle, Queue, QueueMetrics,
    ReadOptions, Redriven, SendOptions, TopicBinding, TopicMatch, TopicMessage,
};
pub use partitions::Partitions;
pub use polling::Polling;
pub use status::{
    Depth, Figures, InstallationStatus, PgmqStatus, QueueConsumers, QueueFigures, QueueKind,
    QueueMessages, QueueStatus, ServerStatus, Sessions, Status,
};
pub use when::When;

pub use pgmq_notify_core::{ChannelName, Delivery, PgmqNotifyConfig, QueueName, RawJson};
pub use pgmq_notify_sql::SettingDifference;

/// Its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
