use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use pgmq_notify_core::ResumeReason;
use sqlx::PgPool;
use sqlx::postgres::PgNotification;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use crate::abandon::abandon;
use crate::backoff::Backoff;
use crate::buffer::{Batch, Buffer};
use crate::heartbeat::{Heartbeat, Silence};
use crate::meters::Meters;
use crate::opening::open;
use crate::private_channel::PrivateChannel;
use crate::session::Session;
use crate::stats::ReaderCounters;
use crate::wanted::Wanted;
use crate::{ListenerError, ListenerErrorKind, ListenerStatus};

/// How often the reading task lets others run before it reads on.
const LONGEST_PAUSE: u32 = 8;

/// What the reading task and the application both see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) private: PrivateChannel,
    pub(crate) wanted: Wanted,
    pub(crate) buffer: Buffer,
    status: watch::Sender<ListenerStatus>,
    pub(crate) counters: ReaderCounters,
    pub(crate) meters: Meters,
    /// The present session's own pool, for `disconnect` to wait for the connection's end.
    session: Mutex<Option<PgPool>>,
}

impl Shared {
    pub(crate) fn new(private: PrivateChannel, capacity: usize) -> Self {
        Self {
            private,
            wanted: Wanted::new(),
            buffer: Buffer::new(capacity),
            status: watch::Sender::new(ListenerStatus::Disconnected),
            counters: ReaderCounters::default(),
            meters: Meters::register(),
            session: Mutex::default(),
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<ListenerStatus> {
        self.status.subscribe()
    }

    pub(crate) fn set_status(&self, status: ListenerStatus) {
        let before = self.status.send_replace(status);
        let is_connected = status == ListenerStatus::Connected;
        if is_connected != (before == ListenerStatus::Connected) {
            self.meters.connected(is_connected);
        }
    }

    /// The session that `disconnect` ends.
    pub(crate) fn set_session(&self, session: &Session) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.pool().clone());
    }

    pub(crate) fn take_session(&self) -> Option<PgPool> {
        self.session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// The task that reads the socket, and nothing else: what it hears is decoded by the application.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    pool: PgPool,
    heartbeat: Heartbeat,
    backoff: Backoff,
}

impl Reader {
    pub(crate) fn new(
        shared: Arc<Shared>,
        pool: PgPool,
        heartbeat: Heartbeat,
        chance: fastrand::Rng,
    ) -> Self {
        shared.buffer.open();
        Self {
            shared,
            pool,
            heartbeat,
            backoff: Backoff::new(chance),
        }
    }

    /// Reads until it is aborted.
    pub(crate) async fn run(mut self, mut session: Session) {
        let mut batch = Batch::default();
        loop {
            let error = self.read(&mut session, &mut batch).await;
            let since = Instant::now();
            self.hand_over(&mut batch);
            self.shared.counters.session_lost();
            self.shared.meters.gap(ResumeReason::Reconnected);
            abandon(session);
            session = self.reconnect(error.kind(), since).await;
        }
    }

    /// Reads until the session is lost, and returns why. What was read last is in the batch.
    async fn read(&self, session: &mut Session, batch: &mut Batch) -> ListenerError {
        let Shared { wanted, buffer, .. } = &*self.shared;
        let private = self.shared.private.name().as_str();
        let turn = buffer.turn();
        let answer = self.heartbeat.answer;
        let mut silence = Silence::new(self.heartbeat.quiet);
        loop {
            let (received, waited) = {
                // Pinned where it is made: it is large, and to move it takes longer than to poll it.
                let receiving = pin!(session.receive());
                unless_silent(receiving, &mut silence, || {
                    self.hand_over(batch);
                })
                .await
            };
            let received = match received {
                Some(received) => received.map(Some),
                None => self.ask(session).await,
            };
            let notification = match received {
                Ok(Some(notification)) => notification,
                Ok(None) => continue,
                Err(error) => return error,
            };
            let channel = notification.channel();
            if channel != private {
                batch.push(channel, notification.payload());
            }
            if session.is_behind(wanted) {
                self.hand_over(batch);
                if let Err(error) = session.follow(wanted, answer).await {
                    return error;
                }
            }
            // After a silence the application runs first, before this task asks an empty socket: it
            // gets the event as early as from a loop of its own. In a burst it is woken once for many,
            // and this task pauses, because on a single thread the two have to take turns.
            if batch.notifications() >= turn {
                self.hand_over(batch);
                self.pause().await;
            } else if waited && self.hand_over(batch) {
                yield_now().await;
            }
        }
    }

    /// Lets the application run, and longer where it falls behind: Tokio gives it a budget, which may be
    /// used up after fewer events than were handed over. But not for long; it may as well be asleep.
    async fn pause(&self) {
        for _ in 0..LONGEST_PAUSE {
            yield_now().await;
            if !self.shared.buffer.is_filling() {
                break;
            }
        }
    }

    /// Gives the application what was read, and returns whether it waited for that.
    ///
    /// The reading task waits for nothing before: it may be aborted wherever it waits.
    fn hand_over(&self, batch: &mut Batch) -> bool {
        if batch.notifications() == 0 {
            return false;
        }
        let pushed = self.shared.buffer.push(batch);
        if pushed.dropped > 0 {
            self.overflowed(pushed.dropped, pushed.overflows);
        }
        pushed.woke
    }

    /// A slow application overflows again and again: each power of two is a warning.
    fn overflowed(&self, dropped: u64, is_first: bool) {
        self.shared.meters.overflowed(dropped);
        if is_first {
            self.shared.meters.gap(ResumeReason::Overflow);
            let (count, _) = self.shared.buffer.overflows();
            let capacity = self.shared.buffer.capacity();
            if count.is_power_of_two() {
                tracing::warn!(count, capacity, "the buffer is full");
            } else {
                tracing::debug!(count, capacity, "the buffer is full");
            }
        }
    }

    /// Whether the silent session lives; it may have a notification to say so.
    async fn ask(&self, session: &mut Session) -> Result<Option<PgNotification>, ListenerError> {
        let asked = Instant::now();
        let heard = session.answers(self.heartbeat.answer).await?;
        if heard.is_none() {
            let round_trip = asked.elapsed();
            self.shared.counters.answered(round_trip);
            self.shared.meters.answered(round_trip);
        }
        Ok(heard)
    }

    /// Tries until there is a session again. Every error is retried: even a refused password may be
    /// one that is being rotated.
    async fn reconnect(&mut self, mut reason: ListenerErrorKind, since: Instant) -> Session {
        loop {
            let (attempt, wait) = self.backoff.next_attempt();
            let status = ListenerStatus::Reconnecting { attempt, reason };
            self.shared.set_status(status);
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(attempt, wait_ms, reason = ?reason, "the listener has no session");
            sleep(wait).await;
            let span = tracing::info_span!("pgmq_notify_listener.connect", attempt);
            let opened = open(&self.shared, &self.pool, None).instrument(span);
            match opened.await {
                Ok(session) => {
                    self.backoff.reset();
                    self.resumed(since);
                    return session;
                }
                Err(error) => reason = error.kind(),
            }
        }
    }

    fn resumed(&self, since: Instant) {
        let gap = since.elapsed();
        self.shared.counters.reconnected();
        self.shared.meters.reconnected();
        self.shared
            .buffer
            .push_resumed(ResumeReason::Reconnected, gap);
        self.shared.set_status(ListenerStatus::Connected);
        let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(gap_ms, "the listener has a session again");
    }
}

impl Drop for Reader {
    /// However the task ends, nobody waits for it in vain.
    fn drop(&mut self) {
        self.shared.buffer.end();
        self.shared.set_status(ListenerStatus::Disconnected);
    }
}

/// The output, or `None` after a silence, and whether it was waited for; `before_waiting` runs before
/// each wait.
async fn unless_silent<F: Future>(
    mut future: Pin<&mut F>,
    silence: &mut Silence,
    mut before_waiting: impl FnMut(),
) -> (Option<F::Output>, bool) {
    let mut waited = false;
    let output = poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        before_waiting();
        if !waited {
            waited = true;
            silence.begin();
        }
        silence.poll_end(cx).map(|()| None)
    });
    (output.await, waited)
}
