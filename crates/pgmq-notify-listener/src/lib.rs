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
//!         PgmqNotifyEvent::Resumed(e) => println!("look into the queues, {:?}", e.reason),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Delivery
//!
//! **Proven.** [`connect`](PgmqNotifyListener::connect) succeeds only when the migration of the same
//! configuration is installed and a notification has come the whole way, through the database and
//! whatever stands before it. After a lost session the way is proven again.
//!
//! **Lost.** While the session lasts and the buffer has room, nothing is. What is published while
//! there is no session, or while the buffer is full, is lost, and one
//! [`Resumed`](pgmq_notify_core::PgmqNotifyEvent::Resumed) event stands in its place: everything before
//! it came before the gap, everything after it after. Look into the queues then.
//!
//! **Repeated.** Nothing, by the listener: a message that is published on two channels arrives once.
//!
//! **Reordered.** Nothing: events arrive in the order in which their transactions committed.
//!
//! **Forged.** `NOTIFY` has no access control, so any role of the database can publish what looks like
//! an event. An event is a hint: claim the message before you act on it. What is no event is counted in
//! [`ListenerStats`], traced without its body, and left out.
//!
//! # A slow application
//!
//! The socket is read whatever the application does, because a listener that does not read fills the
//! server's notification queue for everybody. Events wait in a buffer of the size given to
//! [`PgmqNotifyListener::new`]. Once it is full, further events are dropped until the application has
//! taken all that waited; then comes one `Resumed` with the reason `Overflow`.
//!
//! # A dead connection
//!
//! One that is closed or reset is noticed at once. One whose other end is gone without a word is asked
//! after a silence of 15 seconds and given 5 to answer, or what
//! [`with_heartbeat`](PgmqNotifyListener::with_heartbeat) says; then it counts as lost.
//!
//! # Encryption
//!
//! The features `tls-rustls…` and `tls-native-tls` are those of sqlx. None is on by default, and
//! without one a connection is not encrypted.

mod abandon;
mod backoff;
mod beside;
mod buffer;
mod decode;
mod error;
mod heartbeat;
mod installation;
mod listener;
mod opening;
mod private_channel;
mod proof;
mod reader;
mod session;
mod stats;
mod status;
mod subscribing;
mod subscription;
mod wanted;

pub use error::{ListenerError, ListenerErrorKind};
pub use listener::PgmqNotifyListener;
pub use stats::ListenerStats;
pub use status::ListenerStatus;
pub use subscription::Subscription;
