//! `listen_with_handler`: which event is handled when.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;

use pgmq_notify_core::{PgmqNotifyEvent, QueueName};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument;

use crate::handlers::{Handlers, Outcome};
use crate::{ListenerError, PgmqNotifyListener};

impl PgmqNotifyListener {
    /// Calls `handler` for each event, as
    /// [`listen_with_handler_until`](Self::listen_with_handler_until) does, without an end of its own.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the handlers at work are aborted where they wait; no other event is lost.
    ///
    /// # Errors
    ///
    /// Those of [`next_event`](Self::next_event).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use pgmq_notify_core::PgmqNotifyEvent;
    /// use pgmq_notify_listener::{Handlers, ListenerError, PgmqNotifyListener};
    ///
    /// # async fn example(mut listener: PgmqNotifyListener) -> Result<(), ListenerError> {
    /// let handlers = Handlers::new(8)?;
    /// listener
    ///     .listen_with_handler(&handlers, async |event: PgmqNotifyEvent| {
    ///         println!("{event:?}");
    ///         Ok::<_, std::io::Error>(())
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn listen_with_handler<F, H, E>(
        &mut self,
        handlers: &Handlers,
        handler: F,
    ) -> Result<(), ListenerError>
    where
        F: Fn(PgmqNotifyEvent) -> H + Send + Sync + 'static,
        H: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Debug,
    {
        self.listen_with_handler_until(handlers, handler, pending())
            .await
    }

    /// Calls `handler` for each event, until `shutdown` is ready. Of a listener that was disconnected
    /// before, it handles what was received, and ends.
    ///
    /// Each call is a task of its own, [as many at a time](Handlers::new) as `handlers` says. The events
    /// of one queue are handled in their order, one at a time; those of different queues at the same
    /// time. `Resumed` is a barrier: it is handled once everything before it is, and nothing behind it
    /// begins before it ends.
    ///
    /// While all handlers are at work no event is taken: they wait in the buffer of the listener, which
    /// may overflow. Where events wait for their queue and handlers are free, it looks ahead for other
    /// queues, by as many events as there are handlers.
    ///
    /// An error and a panic of `handler` are counted and traced, and the next event is handled; nothing is
    /// tried again.
    ///
    /// After `shutdown` no handler begins, and those at work come to their end. What was taken ahead is
    /// the first that the next call, or [`next_event`](Self::next_event), gets. The listener stays
    /// connected.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the handlers at work are aborted where they wait, and their events are not handled
    /// again. No other event is lost. Use `shutdown` to let them end.
    ///
    /// # Errors
    ///
    /// Those of [`next_event`](Self::next_event), after everything that was taken is handled.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn listen_with_handler_until<F, H, E>(
        &mut self,
        handlers: &Handlers,
        handler: F,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ListenerError>
    where
        F: Fn(PgmqNotifyEvent) -> H + Send + Sync + 'static,
        H: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Debug,
    {
        let handler = Arc::new(handler);
        let mut shutdown = pin!(shutdown);
        let mut at_work = AtWork::new(handlers.concurrency());
        let mut end = None;
        loop {
            while let Some(event) = at_work.next(&mut self.unhandled) {
                at_work.begin(event, &handler);
            }
            // Nothing is at work, so nothing waits either.
            if end.is_some() && at_work.tasks.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(outcome) = at_work.ended() => self.handled(handlers, outcome),
                taken = self.take_event(), if end.is_none() && at_work.takes(&self.unhandled) => {
                    match taken {
                        Ok(Some(event)) => self.unhandled.push_back(event),
                        Ok(None) => end = Some(Ok(())),
                        Err(error) => end = Some(Err(error)),
                    }
                }
            }
        }
        while let Some(outcome) = at_work.ended().await {
            self.handled(handlers, outcome);
        }
        end.unwrap_or(Ok(()))
    }

    fn handled(&self, handlers: &Handlers, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            handlers.count(outcome);
            self.shared.meters.handled(outcome);
        }
    }
}

/// The handlers at work. Dropped, it aborts them.
#[derive(Debug)]
struct AtWork {
    concurrency: usize,
    tasks: JoinSet<Outcome>,
    /// What each of them is about, because a task that panics cannot tell.
    subjects: HashMap<Id, Subject>,
    queues: HashSet<QueueName>,
}

#[derive(Clone, Debug)]
struct Subject {
    kind: &'static str,
    /// `None` for what is handled alone.
    queue: Option<QueueName>,
}

impl AtWork {
    fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            tasks: JoinSet::new(),
            subjects: HashMap::new(),
            queues: HashSet::new(),
        }
    }

    /// Removes the first event that can be handled now.
    fn next(&self, unhandled: &mut VecDeque<PgmqNotifyEvent>) -> Option<PgmqNotifyEvent> {
        if !self.has_room() {
            return None;
        }
        let is_next = |event: &PgmqNotifyEvent| match event.queue_name() {
            Some(queue) => !self.queues.contains(queue),
            None => true,
        };
        let index = unhandled.iter().position(is_next)?;
        if is_barrier(&unhandled[index]) && (index > 0 || !self.tasks.is_empty()) {
            return None;
        }
        unhandled.remove(index)
    }

    /// Whether to look for another event that can be handled now, as none of these can.
    fn takes(&self, unhandled: &VecDeque<PgmqNotifyEvent>) -> bool {
        self.has_room()
            && unhandled.len() < self.concurrency
            && !unhandled.back().is_some_and(is_barrier)
    }

    fn has_room(&self) -> bool {
        let is_alone = !self.tasks.is_empty() && self.queues.is_empty();
        self.tasks.len() < self.concurrency && !is_alone
    }

    fn begin<F, H, E>(&mut self, event: PgmqNotifyEvent, handler: &Arc<F>)
    where
        F: Fn(PgmqNotifyEvent) -> H + Send + Sync + 'static,
        H: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Debug,
    {
        let subject = Subject {
            kind: event.event_type(),
            queue: event.queue_name().cloned(),
        };
        let queue = subject.queue.as_ref().map(QueueName::as_str);
        let span = tracing::info_span!("pgmq_notify_listener.handle", kind = subject.kind, queue);
        self.queues.extend(subject.queue.clone());
        let handler = Arc::clone(handler);
        let traced = subject.clone();
        // The call itself is in the task as well, because it may panic before it returns a future.
        let handling = async move {
            match handler(event).await {
                Ok(()) => Outcome::Handled,
                Err(error) => {
                    let queue = traced.queue.as_ref().map(QueueName::as_str);
                    tracing::warn!(kind = traced.kind, queue, cause = ?error, "a handler failed");
                    Outcome::Failed
                }
            }
        };
        let task = self.tasks.spawn(handling.instrument(span));
        self.subjects.insert(task.id(), subject);
    }

    /// The next one that ends, and how; `None` when none is at work. No outcome when its runtime has
    /// shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn ended(&mut self) -> Option<Option<Outcome>> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let subject = self.subjects.remove(&id);
        if let Some(queue) = subject.as_ref().and_then(|it| it.queue.as_ref()) {
            self.queues.remove(queue);
        }
        Some(match ended {
            Ok((_, outcome)) => Some(outcome),
            Err(error) => panicked(&error, subject.as_ref()),
        })
    }
}

/// The text of the panic is for the panic hook; it may quote a body.
fn panicked(error: &JoinError, subject: Option<&Subject>) -> Option<Outcome> {
    if !error.is_panic() {
        return None;
    }
    let kind = subject.map(|it| it.kind);
    let queue = subject.and_then(|it| it.queue.as_ref());
    let queue = queue.map(QueueName::as_str);
    tracing::error!(kind, queue, "a handler panicked");
    Some(Outcome::Panicked)
}

/// What is of no queue is handled alone.
fn is_barrier(event: &PgmqNotifyEvent) -> bool {
    event.queue_name().is_none()
}
