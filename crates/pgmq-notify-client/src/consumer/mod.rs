mod builder;
mod changes;
mod claim;
mod claiming;
mod connection;
mod counters;
mod dead_letter;
mod dispatcher;
mod engine;
mod error;
mod handler;
mod held;
mod in_flight;
mod keeper;
mod outage;
mod parking;
mod queue;
mod reason;
mod retry;
mod rivalry;
mod schedule;
mod settlement;
mod settler;
mod source;
mod stats;
mod supervise;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use builder::ConsumerBuilder;
pub use claim::Claim;
pub use connection::Durability;
pub use dead_letter::DeadLetter;
pub(crate) use dead_letter::{DEAD_LETTER, OTHER_HEADERS};
pub use error::{ConsumerError, ConsumerErrorKind};
pub use handler::HandlerError;
pub use retry::RetryPolicy;
pub use source::{Acknowledgement, Order, Source};
pub use stats::{ConsumerStats, WakeUps};
pub use supervise::ShutdownReport;

use crate::PgmqNotifyClient;
use crate::client::queue_name;
use dispatcher::{Command, Deadline};
use engine::Engine;
use supervise::Tasks;

/// Turns wake-ups into processed messages: at least once, and with no polling while there are none.
///
/// ```no_run
/// use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
/// use pgmq_notify_client::PgmqNotifyConfig;
///
/// async fn ship(order: Message<u64>, _claim: Claim) -> Result<(), HandlerError> {
///     println!("order {} is on its way", order.body);
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = PgmqNotifyClient::new("postgres://localhost/shop", PgmqNotifyConfig::new()).await?;
/// let consumer = Consumer::builder(client)
///     .concurrency(32)
///     .queue("orders_queue", ship)
///     .start()
///     .await?;
/// # let interrupted = std::future::pending::<()>();
/// consumer.run_until(interrupted).await;
/// # Ok(())
/// # }
/// ```
///
/// # Delivery
///
/// **Lost.** Nothing. A message leaves its queue when its handler has succeeded and that was
/// acknowledged, or when it moves to the dead-letter queue; both in one statement.
///
/// **Repeated.** A message whose handler ran to its end is handled again when its acknowledgement did
/// not get through: the process or the server died first, or its lease was lost. The effect of a
/// handler that uses [`Claim::finish`] is there once.
///
/// **Reordered.** Messages are started oldest first and handled at the same time, so they end in any
/// order; with [`Order::FifoGroups`] those of a group one after the other, in their order.
///
/// **Late.** A message is started as soon as its event arrives, or its time has come, and a handler is
/// free. Where neither was noticed, the safety poll finds it.
///
/// Several consumers, in one process or on many machines, share the messages of a queue: PostgreSQL gives
/// each to one of them.
///
/// # Many consumers of one queue
///
/// All of them hear of a message, and one gets it. A consumer that usually comes too late lets others go
/// first: before it looks it waits for a random time, up to 2 milliseconds after one loss and up to 50
/// after six, in which further events cost nothing. So an idle consumer that always loses looks at most
/// 20 times a second, however many messages there are, and mostly finds in an index that there is
/// nothing. One that wins looks at once. It claims for its own free handlers only, so that while they
/// are all busy the others start what comes, within those 50 milliseconds; a message that had to wait
/// for that makes its consumer quicker the next time. Due times are treated like events.
///
/// # What it does to the database
///
/// The [crate's documentation](crate#consumer) says on what it wakes, how much it claims, what commits
/// without waiting for the disk, which connections and privileges it needs; and
/// [there](crate#observability) are the names of its spans, events and metrics.
///
/// Dropping a consumer ends its handlers in the middle; their messages come back when their
/// visibility timeout ends. [`shutdown`](Self::shutdown) does better.
pub struct Consumer {
    engine: Arc<Engine>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<ShutdownReport>,
    deadline: Duration,
}

impl Consumer {
    /// A consumer of the database of `client`, whose pool and configuration it shares: a clone will do.
    pub fn builder(client: PgmqNotifyClient) -> ConsumerBuilder {
        ConsumerBuilder::new(client)
    }

    fn spawn(tasks: Tasks, commands: mpsc::Sender<Command>, deadline: Duration) -> Self {
        Self {
            engine: Arc::clone(&tasks.engine),
            commands,
            task: tokio::spawn(tasks.run()),
            deadline,
        }
    }

    /// What it has done so far. Each number is of its own moment: under load they need not add up.
    pub fn stats(&self) -> ConsumerStats {
        self.engine.stats()
    }

    /// Begins no more messages of `queue` until [`resume`](Self::resume), in this process; others go on.
    /// Handlers that have begun go on, and what was claimed for others is given back. A queue that is
    /// dropped and created again is not paused.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may have happened or not.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ConsumerErrorKind::InvalidArgument) when it is no queue of this consumer,
    /// [`Stopped`](ConsumerErrorKind::Stopped) when this is not working any more.
    pub async fn pause(&self, queue: impl AsRef<str>) -> Result<(), ConsumerError> {
        self.command(queue, Command::Pause).await
    }

    /// Goes on after [`pause`](Self::pause), with a look at the queue. Nothing changes where it was not
    /// paused.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may have happened or not.
    ///
    /// # Errors
    ///
    /// As for [`pause`](Self::pause).
    pub async fn resume(&self, queue: impl AsRef<str>) -> Result<(), ConsumerError> {
        self.command(queue, Command::Resume).await
    }

    async fn command(
        &self,
        queue: impl AsRef<str>,
        command: impl FnOnce(pgmq_notify_core::QueueName, oneshot::Sender<bool>) -> Command,
    ) -> Result<(), ConsumerError> {
        let name = queue_name(&queue)?;
        let (answer, answered) = oneshot::channel();
        let stopped = || ConsumerError::new(ConsumerErrorKind::Stopped, "the consumer has stopped");
        let sent = self.commands.send(command(name, answer)).await;
        sent.map_err(|_| stopped())?;
        if answered.await.map_err(|_| stopped())? {
            Ok(())
        } else {
            Err(ConsumerError::argument(format!(
                "{:?} is no queue of this consumer",
                queue.as_ref()
            )))
        }
    }

    /// Works until `signal` is ready, and [shuts down](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it is as if the consumer had been dropped.
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> ShutdownReport {
        signal.await;
        self.shutdown().await
    }

    /// Claims nothing more, gives back at once what has not begun, lets handlers finish, acknowledges
    /// what they did, and ends those that still run shortly before the
    /// [deadline](ConsumerBuilder::shutdown_deadline); their messages are visible at once.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it is as if the consumer had been dropped.
    pub async fn shutdown(mut self) -> ShutdownReport {
        let now = Instant::now();
        // Time to acknowledge what the handlers did in the last moment.
        let rest = (self.deadline / 4).min(Duration::from_secs(1));
        let deadline = Deadline {
            handlers: now + self.deadline.saturating_sub(rest),
            all: now + self.deadline,
        };
        let _ = self.commands.send(Command::Shutdown(deadline)).await;
        (&mut self.task).await.unwrap_or_default()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
