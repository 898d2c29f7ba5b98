use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgmq_notify_core::{Channels, PgmqNotifyConfig, PgmqNotifyEvent, ResumeReason};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::abandon::Opening;
use crate::buffer::Batch;
use crate::catch_up::{CatchingUp, KnownQueues};
use crate::heartbeat::Heartbeat;
use crate::held::Held;
use crate::installation::Expected;
use crate::opening::open;
use crate::private_channel::PrivateChannel;
use crate::reader::{Reader, Shared};
use crate::subscription::Subscriptions;
use crate::{CatchUp, ListenerError, ListenerErrorKind, ListenerStats, ListenerStatus};

/// For a server that does not take leave.
const DISCONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// Receives the events of one database, over one connection of its own.
///
/// The [crate's documentation](crate) says what it promises. Dropping it ends its task and its
/// connection; [`disconnect`](Self::disconnect) also waits for that.
pub struct PgmqNotifyListener {
    pub(crate) pool: PgPool,
    pub(crate) config: PgmqNotifyConfig,
    pub(crate) channels: Channels,
    pub(crate) shared: Arc<Shared>,
    pub(crate) subscriptions: Subscriptions,
    heartbeat: Heartbeat,
    pub(crate) reading: Reading,
    pub(crate) taken: Batch,
    takes_any_delivery: bool,
    pub(crate) catch_up: CatchUp,
    pub(crate) catching_up: Option<CatchingUp>,
    /// What the catch-up has found and the application has not taken: one page at most.
    pub(crate) found: VecDeque<PgmqNotifyEvent>,
    /// What was taken for a handler that has not begun with it.
    pub(crate) unhandled: VecDeque<PgmqNotifyEvent>,
    /// Delayed messages, where they are to be delivered when they are visible.
    pub(crate) held: Option<Held>,
    /// While there is a subscription of queues, and since they could be seen.
    pub(crate) known_queues: Option<KnownQueues>,
    pub(crate) stats: ListenerStats,
}

/// Whether there is a task to bring events.
pub(crate) enum Reading {
    /// There was none yet.
    Never,
    Task {
        task: JoinHandle<()>,
        /// Where it runs, and where the catch-up does.
        runtime: Handle,
    },
    /// It was ended, at this time.
    Ended(Instant),
}

impl PgmqNotifyListener {
    /// A listener of the database that `pool` connects to. It does not connect yet.
    ///
    /// With the feature `metrics`, its numbers go to the recorder that is installed now.
    ///
    /// The pool says how to connect, and sends the notifications by which the reading task learns of
    /// changed subscriptions. None of its connections is kept, so it needs no room for the listener;
    /// its hooks, such as `after_connect`, do not see the listening connection.
    ///
    /// `buffer` is the number of events that wait for the application, at least 1. A notification has
    /// at most 8 kilobytes.
    ///
    /// # Errors
    ///
    /// When `config` is invalid or `buffer` is 0.
    #[expect(
        clippy::unused_async,
        reason = "the public contract awaits it, which leaves room to look at the database here"
    )]
    pub async fn new(
        pool: PgPool,
        config: PgmqNotifyConfig,
        buffer: usize,
    ) -> Result<Self, ListenerError> {
        let channels = config.channels().map_err(|error| {
            let operation = "make a listener of this configuration";
            ListenerError::because(ListenerErrorKind::Configuration, operation, error)
        })?;
        if buffer == 0 {
            return Err(ListenerError::new(
                ListenerErrorKind::Argument,
                "a buffer of 0 events holds none, use at least 1",
            ));
        }
        let private = PrivateChannel::new(&mut fastrand::Rng::new())?;
        Ok(Self {
            pool,
            config,
            channels,
            shared: Arc::new(Shared::new(private, buffer)),
            subscriptions: Subscriptions::default(),
            heartbeat: Heartbeat::default(),
            reading: Reading::Never,
            taken: Batch::default(),
            takes_any_delivery: false,
            catch_up: CatchUp::default(),
            catching_up: None,
            found: VecDeque::new(),
            unhandled: VecDeque::new(),
            held: None,
            known_queues: None,
            stats: ListenerStats::default(),
        })
    }

    /// When nothing has been heard for `quiet`, the server is asked whether it is still there; when it
    /// does not answer within `answer`, the session counts as lost and is made again.
    ///
    /// A connection whose other end is gone without a word (a machine without power, a router that has
    /// forgotten it) looks like one on which nothing happens, for ever. It is noticed after the sum of
    /// the two. The question is asked on the listening connection, is no statement, and whatever is heard
    /// meanwhile counts as an answer. `answer` also bounds a change of subscriptions.
    ///
    /// Both are at least 10 milliseconds and at most 365 days. It takes effect with the next
    /// [`connect`](Self::connect).
    ///
    /// Defaults to 15 seconds and 5 seconds.
    pub fn with_heartbeat(mut self, quiet: Duration, answer: Duration) -> Self {
        self.heartbeat = Heartbeat::new(quiet, answer);
        self
    }

    /// Takes what is published as it comes, whichever [`Delivery`](pgmq_notify_core::Delivery) the database
    /// has and the configuration says: for whoever also looks into the queues, and finds there what nobody
    /// told.
    ///
    /// Without it, a database with another delivery is an error of [`connect`](Self::connect).
    pub fn with_any_delivery(mut self) -> Self {
        self.takes_any_delivery = true;
        self
    }

    /// Whether to look into the tables after a gap: for messages of the subscribed namespaces, and for
    /// queues that were created or dropped.
    ///
    /// A catch-up needs no right but `select` on what it looks at. It runs one short statement at a time
    /// over the pool, as fast as the application takes what it finds, and costs a look at every message
    /// of a subscribed namespace. A table that the role may not read is traced and left out.
    ///
    /// Defaults to [`CatchUp::AfterEveryGap`].
    pub fn with_catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Delivers the event of a delayed message when the message becomes visible, not when it is sent;
    /// that of a retry when it is due.
    ///
    /// Until then the event waits in the listener, for as long as the message is invisible, never
    /// shorter. As many events wait as the buffer holds, those that are due first. When the first of the
    /// others is due, there is a `Resumed` with the reason `Overflow`, and the catch-up finds it. After a
    /// gap, what waited is found anew, retries go on waiting, and [`disconnect`](Self::disconnect) forgets
    /// both.
    ///
    /// A batch is delivered when the first of its messages becomes visible. Call it before
    /// [`connect`](Self::connect).
    ///
    /// Defaults to delivery at once, with `visible_at` in the event.
    pub fn with_delivery_at_visibility(mut self) -> Self {
        self.held = Some(Held::new(self.shared.buffer.capacity()));
        self
    }

    /// Connects, and listens to everything that was subscribed before.
    ///
    /// Before it returns, it has checked that the migration of this configuration is installed, and a
    /// notification has come the whole way from a connection of the pool to this listener.
    ///
    /// It gives up at the first error, and after 10 seconds at the latest; only once it has succeeded
    /// is a lost session made again. Does nothing when it is connected. After
    /// [`disconnect`](Self::disconnect) it connects again, and a `Resumed` event says for how long
    /// nobody listened.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it leaves the listener disconnected.
    ///
    /// # Errors
    ///
    /// [`kind`](ListenerError::kind) says which, and the text what to do:
    ///
    /// - nobody answers, wrong password, no such database…;
    /// - [`Standby`](ListenerErrorKind::Standby): a server where nobody can listen;
    /// - [`NotDelivered`](ListenerErrorKind::NotDelivered): a proxy that pools transactions;
    /// - [`PgmqMissing`](ListenerErrorKind::PgmqMissing),
    ///   [`NotInstalled`](ListenerErrorKind::NotInstalled): there is nothing that publishes;
    /// - [`Drift`](ListenerErrorKind::Drift): it publishes elsewhere, or otherwise;
    /// - [`Permission`](ListenerErrorKind::Permission): the role may not look.
    pub async fn connect(&mut self) -> Result<(), ListenerError> {
        let ended = match &self.reading {
            Reading::Task { task, .. } if !task.is_finished() => return Ok(()),
            Reading::Never => None,
            Reading::Task { .. } => Some(Instant::now()),
            Reading::Ended(at) => Some(*at),
        };
        let shared = Arc::clone(&self.shared);
        let connecting = Connecting::begin(&shared);
        let attempt = tracing::info_span!("pgmq_notify_listener.connect", attempt = 0_u32);
        let expected = Expected {
            config: &self.config,
            any_delivery: self.takes_any_delivery,
        };
        let session = open(&shared, &self.pool, Some(expected))
            .instrument(attempt)
            .await?;
        let opening = Opening::new(session);
        self.learn_queues().await?;
        let session = opening.finish();
        if let Some(ended) = ended {
            let buffer = &self.shared.buffer;
            buffer.push_resumed(ResumeReason::Reconnected, ended.elapsed());
        }
        connecting.succeeded();
        let reader = Reader::new(
            Arc::clone(&self.shared),
            self.pool.clone(),
            self.heartbeat,
            fastrand::Rng::new(),
        );
        let runtime = Handle::current();
        let task = runtime.spawn(reader.run(session));
        self.reading = Reading::Task { task, runtime };
        Ok(())
    }

    /// Ends the connection, and waits until it is closed, 5 seconds at most.
    ///
    /// [`next_event`](Self::next_event) still returns what was received before, then `None`. The
    /// subscriptions are kept, and [`connect`](Self::connect) may be called again.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the connection is closed all the same.
    pub async fn disconnect(&mut self) {
        let ended = Reading::Ended(Instant::now());
        let task = match std::mem::replace(&mut self.reading, ended) {
            Reading::Task { task, .. } => task,
            before => {
                self.reading = before;
                return;
            }
        };
        self.catching_up = None;
        if let Some(held) = &mut self.held {
            held.clear();
        }
        task.abort();
        drop(task.await);
        if let Some(session) = self.shared.take_session()
            && timeout(DISCONNECTED_WITHIN, session.close()).await.is_err()
        {
            tracing::warn!("the server did not close the listening connection in time");
        }
    }

    /// What it has seen so far.
    pub fn stats(&self) -> ListenerStats {
        let (overflows, overflowed_events) = self.shared.buffer.overflows();
        let counters = &self.shared.counters;
        ListenerStats {
            gaps: counters.lost_sessions() + overflows,
            reconnects: counters.reconnects(),
            round_trip: counters.round_trip(),
            overflows,
            overflowed_events,
            ..self.stats.clone()
        }
    }

    /// Whether it hears anything, to be looked at or waited for. It outlives the listener.
    pub fn status(&self) -> watch::Receiver<ListenerStatus> {
        self.shared.status()
    }
}

impl Drop for PgmqNotifyListener {
    fn drop(&mut self) {
        if let Reading::Task { task, .. } = &self.reading {
            task.abort();
        }
    }
}

impl fmt::Debug for PgmqNotifyListener {
    /// Without the pool, whose options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgmqNotifyListener")
            .field("subscriptions", &self.subscriptions)
            .field("status", &*self.shared.status().borrow())
            .finish_non_exhaustive()
    }
}

/// Says `Connecting` while `connect` is at work, and takes it back when that fails or is cancelled.
struct Connecting<'a> {
    shared: &'a Shared,
    result: ListenerStatus,
}

impl<'a> Connecting<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.set_status(ListenerStatus::Connecting);
        let result = ListenerStatus::Disconnected;
        Self { shared, result }
    }

    fn succeeded(mut self) {
        self.result = ListenerStatus::Connected;
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.shared.set_status(self.result);
    }
}
