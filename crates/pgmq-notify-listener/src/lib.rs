//! Receives the events of pgmq-notify over `LISTEN`, and survives lost connections.
//!
//! It hears; it claims no message, sends none and changes no table. The database needs the migration
//! that `pgmq-notify-sql` or the command line tool generates, made of the same configuration.
//!
//! ```no_run
//! use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
//! use pgmq_notify_listener::PgmqNotifyListener;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = sqlx::PgPool::connect("postgres://localhost/app").await?;
//! let mut listener = PgmqNotifyListener::new(pool, PgmqNotifyConfig::new(), 1000).await?;
//! listener.connect().await?;
//! listener.listen_message_ready_for_namespace("orders").await?;
//! while let Some(event) = listener.next_event().await? {
//!     match event {
//!         PgmqNotifyEvent::MessageWithPayload(e) => println!("{}: {}", e.queue_name, e.message),
//!         PgmqNotifyEvent::Resumed(e) => println!("missed something for {:?}", e.gap),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Delivery
//!
//! Where every message is published ([`Delivery::Every`](pgmq_notify_core::Delivery::Every), the default);
//! [below](#wake-up-delivery) is what differs otherwise.
//!
//! **Proven.** [`connect`](PgmqNotifyListener::connect) succeeds only when the migration of the same
//! configuration is installed and a notification has come the whole way, through the database and
//! whatever stands before it. After a lost session the way is proven again.
//!
//! **Missed.** While the session lasts and the buffer has room, nothing is. What is published while
//! there is no session, or while the buffer is full, is missed, and one
//! [`Resumed`](pgmq_notify_core::PgmqNotifyEvent::Resumed) event stands in its place: everything before
//! it came before the gap.
//!
//! **Caught up.** What follows `Resumed` is a look into the tables, in this order and before any other
//! event: queues that were dropped and created meanwhile, for those who listen to queues; then, for each
//! queue of a subscribed namespace, its visible messages as `message_ready` or `batch_ready` events, 1000
//! at most in one, and the delayed ones that nobody has read. A message that another consumer holds is
//! left out, and so is one that was read and is to be retried later, which looks the same. So each message that waits in a subscribed queue has had an event since it was sent, and
//! the only thing that a gap costs is the body, which is to be fetched by the id. Another gap makes
//! another look. [`with_catch_up`](PgmqNotifyListener::with_catch_up) switches this off; look into the
//! queues yourself then.
//!
//! **Repeated.** While the session lasts, no notification: what is published on two channels arrives
//! once. But a message has another event each time that it is given back or to be retried early, which
//! names it and carries no body. A catch-up repeats the events of messages that still wait, and one that is sent during a
//! catch-up may be found by it and published too.
//!
//! **Reordered.** Nothing: events arrive in the order in which their transactions committed; those of a
//! catch-up queue by queue, in the order of the ids.
//!
//! **Forged.** `NOTIFY` has no access control, so any role of the database can publish what looks like
//! an event. An event is a hint: claim the message before you act on it. What is no event is counted in
//! [`ListenerStats`], traced without its body, and left out.
//!
//! # Wake-up delivery
//!
//! In a namespace with [`Delivery::WakeUp`](pgmq_notify_core::Delivery::WakeUp) a message is published only
//! while a consumer of its queue sleeps and none is at work. A listener is no consumer: nobody asks
//! whether it listens, and it hears what is meant for those that sleep.
//!
//! - While the queue is quiet that is most messages, under load hardly any. Where no consumer runs it is
//!   none but those of transactions above READ COMMITTED, which cannot know who sleeps.
//! - No `Resumed` stands for a message that was not published. A catch-up, after a gap of another cause,
//!   finds it if it still waits.
//! - `wakes` has the numbers of the consumers that are to look. It does not concern a listener.
//! - A consumer that has more to do than handlers publishes a `message_ready` event of a message that is
//!   left, to wake another one. So an event may be of a message that was published before, or of one that
//!   was sent a while ago, and those of a queue need not be in the order of its commits.
//! - Queues that are created and dropped are published as ever.
//!
//! So whoever has to hear of each message wants `Every` for its namespace. The configuration of a listener
//! says the same as the migration, else [`connect`](PgmqNotifyListener::connect) refuses; a migration
//! that changes the delivery later takes effect without a word to the listeners that run.
//!
//! # A slow application
//!
//! The socket is read whatever the application does, because a listener that does not read fills the
//! server's notification queue for everybody. Events wait in a buffer of the size given to
//! [`PgmqNotifyListener::new`]. Once it is full, further events are dropped until the application has
//! taken all that waited; then comes one `Resumed` with the reason `Overflow`, and the catch-up. That reads
//! a page whenever the application has taken the one before, so the memory stays bounded.
//!
//! # Handlers
//!
//! [`listen_with_handler`](PgmqNotifyListener::listen_with_handler) calls a function for each event, for
//! different queues at the same time. The events of one queue are handled one after the other, in their
//! order. `Resumed` is handled alone: after everything before it, and before everything behind it.
//!
//! # Delayed messages
//!
//! The event of a delayed message comes when the message is sent, and says when it can be read. With
//! [`with_delivery_at_visibility`](PgmqNotifyListener::with_delivery_at_visibility) it comes then.
//!
//! A message that becomes visible earlier than it was going to be (`pgmq.set_vt`, in any language) has a
//! `message_ready` event, of which the same is true: `visible_at` is in the future for a retry with a
//! delay. Of the messages that one transaction releases in a queue, the first 10000 have one. Nothing tells
//! that a claim has expired: who consumes looks into the queue now and then.
//!
//! # A dead connection
//!
//! One that is closed or reset is noticed at once. One whose other end is gone without a word is asked
//! after a silence of 15 seconds and given 5 to answer, or what
//! [`with_heartbeat`](PgmqNotifyListener::with_heartbeat) says; then it counts as lost.
//!
//! # Observability
//!
//! [`stats`](PgmqNotifyListener::stats) and [`status`](PgmqNotifyListener::status) are there for the
//! asking. The crate `tracing` gets spans and events, whose targets begin with `pgmq_notify_listener`.
//! With the feature `metrics` (not on by default) the crate of that name gets the numbers, for the
//! recorder that is installed when the listener is made; listeners that share a recorder add up.
//!
//! These names, labels and fields stay. No field holds a password, and none a body unless the
//! application puts it into an error of its own.
//!
//! | | name | labels or fields | |
//! |---|---|---|---|
//! | counter | `pgmq_notify_listener_events_total` | `kind`: an `event_type`, or `resumed` | events that the application took |
//! | counter | `pgmq_notify_listener_gaps_total` | `reason`: `reconnected`, `overflow` | times that events may have been missed |
//! | counter | `pgmq_notify_listener_reconnects_total` | | sessions made after a lost one |
//! | counter | `pgmq_notify_listener_overflowed_events_total` | | notifications that a full buffer did not take |
//! | counter | `pgmq_notify_listener_unreadable_total` | `reason`: `unknown_event_type`, `invalid_payload` | notifications that are no event |
//! | counter | `pgmq_notify_listener_catch_ups_total` | | catch-ups that came to their end |
//! | counter | `pgmq_notify_listener_caught_up_events_total` | | events that a catch-up found; they are among the first |
//! | counter | `pgmq_notify_listener_handled_total` | `outcome`: `ok`, `error`, `panic` | events whose handler ended |
//! | histogram, seconds | `pgmq_notify_listener_round_trip_seconds` | | from a heartbeat to its answer |
//! | gauge | `pgmq_notify_listener_connected` | | listeners that have a session: of one, 0 or 1 |
//! | span, info | `pgmq_notify_listener.connect` | `attempt`: 0 for `connect`, from 1 after a lost session | from the connection to the last `LISTEN` |
//! | span, info | `pgmq_notify_listener.catch_up` | `namespaces`: how many, absent for all; `queues`: whether it looks for created and dropped ones | one catch-up |
//! | span, info | `pgmq_notify_listener.handle` | `kind`; `queue`, absent for `resumed` | one call of a handler |
//! | event, warn | `the listener has no session` | `attempt`, from 1; `wait_ms` before it; `reason`, a [`ListenerErrorKind`] | before each attempt to reconnect |
//! | event, info | `the listener has a session again` | `gap_ms` | after the last one |
//! | event, warn or debug | `the buffer is full` | `count` of overflows; `capacity` | a warning for each power of two |
//! | event, warn or debug | `unreadable notification` | `channel`; `count` of its sort; `reason`, at most 100 characters | a warning for each power of two |
//! | event, debug | `the catch-up looks again` | `at`: a queue or `all queues`; `attempt`, from 1; `reason`, a kind | a look failed |
//! | event, warn | `the catch-up leaves something out` | `at`; `reason`; `cause`: the error | the server refuses for good |
//! | event, debug | `the queues are not known yet` | `reason`, a kind | the look at them failed, and a later one is the first |
//! | event, debug | `the server has not heard of an unlisten yet` | `reason`, a kind | it is left out on this side |
//! | event, warn | `a handler failed` | `kind`; `queue`; `cause`: the application's error, as it prints for debugging | each error |
//! | event, error | `a handler panicked` | `kind`; `queue` | each panic |
//! | event, warn | `the server did not close the listening connection in time` | | `disconnect` went on without it |
//!
//! # Encryption
//!
//! The features `tls-rustls…` and `tls-native-tls` are those of sqlx. None is on by default, and
//! without one a connection is not encrypted.

mod abandon;
mod backoff;
mod beside;
mod buffer;
mod catch_up;
mod decode;
mod error;
mod handlers;
mod handling;
mod heartbeat;
mod held;
mod installation;
mod listener;
mod meters;
mod opening;
mod private_channel;
mod proof;
mod reader;
mod session;
mod stats;
mod status;
mod subscribing;
mod subscription;
mod taking;
mod wanted;

pub use catch_up::CatchUp;
pub use error::{ListenerError, ListenerErrorKind};
pub use handlers::{HandlerStats, Handlers};
pub use listener::PgmqNotifyListener;
pub use stats::ListenerStats;
pub use status::ListenerStatus;
pub use subscription::Subscription;

/// Its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
