//! `next_event` and `Stream`: what the application takes, and in which order.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_core::Stream;
use pgmq_notify_core::{PgmqNotifyEvent, ResumeReason, ResumedEvent};
use tokio::task::coop;
use tokio::time::Instant;

use crate::buffer::{Entry, Take};
use crate::catch_up::{CatchingUp, KnownQueues, Page};
use crate::decode::{Unreadable, decode};
use crate::held::Due;
use crate::listener::Reading;
use crate::{CatchUp, ListenerError, ListenerErrorKind, PgmqNotifyListener};

impl PgmqNotifyListener {
    /// The next event; waits for it. `None` after [`disconnect`](Self::disconnect).
    ///
    /// A lost session is no error: it is made again, and a
    /// [`Resumed`](PgmqNotifyEvent::Resumed) event says so. [`status`](Self::status) tells earlier.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: in a `select!` that another branch wins, no event is lost.
    ///
    /// # Errors
    ///
    /// When [`connect`](Self::connect) was never called, and once when the reading task has ended
    /// with the runtime of `connect`.
    pub async fn next_event(&mut self) -> Result<Option<PgmqNotifyEvent>, ListenerError> {
        if let Some(event) = self.unhandled.pop_front() {
            return Ok(Some(event));
        }
        self.take_event().await
    }

    /// The next event that nobody has taken; as [`next_event`](Self::next_event) otherwise.
    pub(crate) async fn take_event(&mut self) -> Result<Option<PgmqNotifyEvent>, ListenerError> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<PgmqNotifyEvent>, ListenerError>> {
        loop {
            let event = match self.due() {
                Some(event) => Some(event),
                None => match self.poll_undelayed(cx) {
                    Poll::Ready(Ok(Some(event))) => match &mut self.held {
                        Some(held) => held.hold(event),
                        None => Some(event),
                    },
                    Poll::Ready(end) => return Poll::Ready(end),
                    Poll::Pending => {
                        ready!(self.poll_due(cx));
                        None
                    }
                },
            };
            if let Some(event) = event {
                self.stats.count(&event);
                self.shared.meters.event(&event);
                return Poll::Ready(Ok(Some(event)));
            }
        }
    }

    /// What was held and is due.
    fn due(&mut self) -> Option<PgmqNotifyEvent> {
        while let Some(due) = self.held.as_mut()?.pop() {
            match due {
                Due::Event(event) if self.subscriptions.want(&event) => return Some(event),
                Due::Event(_) => self.stats.unsubscribed += 1,
                Due::Spilled(gap) => {
                    self.begin_catch_up();
                    let reason = ResumeReason::Overflow;
                    return Some(PgmqNotifyEvent::Resumed(ResumedEvent { reason, gap }));
                }
            }
        }
        None
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (&mut self.held, &self.reading) {
            (Some(held), Reading::Task { runtime, .. }) => {
                let _timers = runtime.enter();
                held.poll_due(cx)
            }
            _ => Poll::Pending,
        }
    }

    /// The next event, whether its message is visible or not.
    fn poll_undelayed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<PgmqNotifyEvent>, ListenerError>> {
        loop {
            // An application that never waits would keep the reading task from running.
            let progress = ready!(coop::poll_proceed(cx));
            if let Some(event) = self.found.pop_front() {
                progress.made_progress();
                if self.subscriptions.want(&event) {
                    self.stats.caught_up_events += 1;
                    self.shared.meters.caught_up();
                    return Poll::Ready(Ok(Some(event)));
                }
                continue;
            }
            if let Some(catching_up) = &mut self.catching_up {
                if let Some(page) = ready!(catching_up.poll_page(cx)) {
                    self.caught_up(page);
                } else {
                    self.catching_up = None;
                    self.stats.catch_ups += 1;
                    self.shared.meters.catch_up();
                }
                progress.made_progress();
                continue;
            }
            let event = match self.taken.next() {
                Some(Entry::Notification { channel, payload }) => {
                    self.shared.buffer.consumed();
                    match decode(payload) {
                        Ok(event) => self.wanted(event),
                        Err(unreadable) => {
                            let channel = channel.to_owned();
                            self.survive(&unreadable, &channel);
                            None
                        }
                    }
                }
                Some(Entry::Resumed(resumed)) => Some(PgmqNotifyEvent::Resumed(resumed)),
                None => match ready!(self.shared.buffer.poll_take(cx, &mut self.taken)) {
                    Take::Entries => {
                        self.stats.last_event_at = Some(SystemTime::now());
                        None
                    }
                    Take::Overflow(resumed) => Some(PgmqNotifyEvent::Resumed(resumed)),
                    Take::Ended => return Poll::Ready(self.ended()),
                },
            };
            progress.made_progress();
            if let Some(event) = event {
                if let PgmqNotifyEvent::Resumed(_) = event {
                    self.begin_catch_up();
                }
                return Poll::Ready(Ok(Some(event)));
            }
        }
    }

    /// The event, if it is one that the application wants.
    fn wanted(&mut self, event: PgmqNotifyEvent) -> Option<PgmqNotifyEvent> {
        if let Some(known) = &mut self.known_queues {
            known.observe(&event);
        }
        if self.subscriptions.want(&event) {
            return Some(event);
        }
        if !self.subscriptions.listen_for(&event) {
            self.stats.unsubscribed += 1;
        }
        None
    }

    /// Looks for what was missed, while the events that came since wait in the buffer.
    fn begin_catch_up(&mut self) {
        if self.catch_up == CatchUp::Never {
            return;
        }
        if let Reading::Task { runtime, .. } = &self.reading {
            if let Some(held) = &mut self.held {
                held.expect_a_look();
            }
            let (pool, scope) = (self.pool.clone(), self.subscriptions.scope());
            self.catching_up = Some(CatchingUp::begin(runtime, pool, scope));
        }
    }

    fn caught_up(&mut self, page: Page) {
        self.stats.last_event_at = Some(SystemTime::now());
        match page {
            Page::Messages(events) => self.found = events,
            Page::Queues(queues) => match &mut self.known_queues {
                Some(known) => self.found = known.replace(queues).into(),
                // Unsubscribed meanwhile, or seen for the first time.
                none if self.subscriptions.want_queues() => {
                    *none = Some(KnownQueues::new(queues));
                }
                _ => {}
            },
        }
    }

    /// Whoever sends nonsense at full speed shall not fill the log: each power of two is a warning.
    fn survive(&mut self, unreadable: &Unreadable, channel: &str) {
        let count = if unreadable.is_unknown_type {
            &mut self.stats.unknown_event_types
        } else {
            &mut self.stats.invalid_payloads
        };
        *count += 1;
        self.shared.meters.unreadable(unreadable.is_unknown_type);
        let (count, reason) = (*count, &unreadable.reason);
        if count.is_power_of_two() {
            tracing::warn!(channel, count, reason, "unreadable notification");
        } else {
            tracing::debug!(channel, count, reason, "unreadable notification");
        }
    }

    fn ended(&mut self) -> Result<Option<PgmqNotifyEvent>, ListenerError> {
        if let Some(held) = &mut self.held {
            held.clear();
        }
        match self.reading {
            Reading::Ended(_) => Ok(None),
            Reading::Never => Err(ListenerError::new(
                ListenerErrorKind::NotConnected,
                "wait for an event of a listener that was never connected, call `connect` first",
            )),
            Reading::Task { .. } => {
                self.reading = Reading::Ended(Instant::now());
                Err(ListenerError::new(
                    ListenerErrorKind::Stopped,
                    "wait for an event of a listener whose reading task has ended, as its runtime does",
                ))
            }
        }
    }
}

impl Stream for PgmqNotifyListener {
    type Item = Result<PgmqNotifyEvent, ListenerError>;

    /// As [`next_event`](PgmqNotifyListener::next_event).
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.unhandled.pop_front() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => self.poll_event(cx).map(Result::transpose),
        }
    }
}
