use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pgmq_notify_core::{ResumeReason, ResumedEvent};
use tokio::time::Instant;

/// The most notifications that the reading task stores before it lets another task run.
const LARGEST_TURN: usize = 64;

/// Between the reading task and the application: bounded, and never in the way of the reader.
///
/// The application takes everything at once, so that it locks once per batch.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    capacity: usize,
    /// How many notifications the application has taken and not yet consumed. They count.
    unconsumed: AtomicUsize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    entries: VecDeque<Entry<T>>,
    /// How many of the entries are notifications.
    notifications: usize,
    /// How many notifications the application took last: never less than are unconsumed.
    taken: usize,
    overflow_since: Option<Instant>,
    overflows: u64,
    overflowed: u64,
    waiting: Option<Waker>,
    reader: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    Ended,
}

/// What the application takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    Notification(T),
    Resumed(ResumedEvent),
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// The application finds it, but a waiting one is not woken by it.
    Stored,
    /// The first that found no room: here a gap begins, of which the application will be told.
    Full,
    /// It belongs to that gap.
    Overflowed,
}

/// What there was to take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// At least one entry was appended.
    Entries,
    /// Everything is consumed, and events were dropped after it.
    Overflow(ResumedEvent),
    /// Everything is consumed, and no reader is there to bring more.
    Ended,
}

impl<T> Buffer<T> {
    /// `capacity` counts notifications and is not 0. Without a reader until [`open`](Self::open).
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            unconsumed: AtomicUsize::new(0),
            state: Mutex::new(State {
                entries: VecDeque::new(),
                notifications: 0,
                taken: 0,
                overflow_since: None,
                overflows: 0,
                overflowed: 0,
                waiting: None,
                reader: Side::Ended,
            }),
        }
    }

    /// How many notifications it holds.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many notifications the reader may store before it must let the application run.
    ///
    /// On a runtime of one thread a reader that never yields would fill the buffer before an
    /// application that is quick enough ever runs.
    pub(crate) fn turn(&self) -> usize {
        (self.capacity / 2).clamp(1, LARGEST_TURN)
    }

    /// A reader begins.
    pub(crate) fn open(&self) {
        self.state().reader = Side::Open;
    }

    /// The reader ended; what it stored can still be taken.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.reader = Side::Ended;
        wake(state);
    }

    /// Stores a notification, or notes that it did not fit. Never waits for the application.
    ///
    /// After the first one that does not fit, nothing fits until the application has consumed
    /// everything: otherwise a slow application would get a gap between any two events.
    pub(crate) fn push(&self, notification: T) -> Push {
        let mut state = self.state();
        if state.overflow_since.is_some() {
            state.overflowed += 1;
            return Push::Overflowed;
        }
        // The counter is shared with the application's core: it is looked at only when it matters.
        if state.notifications + state.taken >= self.capacity
            && state.notifications + self.unconsumed.load(Ordering::Acquire) >= self.capacity
        {
            state.overflow_since = Some(Instant::now());
            state.overflows += 1;
            state.overflowed += 1;
            return Push::Full;
        }
        state.notifications += 1;
        state.entries.push_back(Entry::Notification(notification));
        Push::Stored
    }

    /// Wakes the application, if it waits; returns whether it did.
    ///
    /// Apart from [`push`](Self::push), because a wake-up may cost more than everything else that is
    /// done for a notification: in a burst, one is enough for many.
    pub(crate) fn wake(&self) -> bool {
        wake(self.state())
    }

    /// Marks a gap behind what is stored.
    ///
    /// It takes no room, and stays bounded all the same: with another gap right before it, the two
    /// are one, and while the buffer overflows the mark of the overflow covers it.
    pub(crate) fn push_resumed(&self, reason: ResumeReason, gap: Duration) {
        let mut state = self.state();
        if state.overflow_since.is_some() {
            return;
        }
        if let Some(Entry::Resumed(before)) = state.entries.back_mut() {
            before.gap += gap;
        } else {
            let resumed = ResumedEvent { reason, gap };
            state.entries.push_back(Entry::Resumed(resumed));
        }
        wake(state);
    }

    /// Moves everything into `taken`, which is empty.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        taken: &mut VecDeque<Entry<T>>,
    ) -> Poll<Take> {
        let mut state = self.state();
        if !state.entries.is_empty() {
            std::mem::swap(&mut state.entries, taken);
            state.taken = std::mem::take(&mut state.notifications);
            self.unconsumed.store(state.taken, Ordering::Release);
            return Poll::Ready(Take::Entries);
        }
        state.taken = 0;
        if let Some(since) = state.overflow_since.take() {
            return Poll::Ready(Take::Overflow(ResumedEvent {
                reason: ResumeReason::Overflow,
                gap: since.elapsed(),
            }));
        }
        if state.reader == Side::Ended {
            return Poll::Ready(Take::Ended);
        }
        match &mut state.waiting {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The application has consumed one of the notifications that it took.
    pub(crate) fn consumed(&self) {
        // The application is the only one who writes while it has any, so this need not be one step.
        let unconsumed = self.unconsumed.load(Ordering::Relaxed);
        self.unconsumed
            .store(unconsumed.saturating_sub(1), Ordering::Release);
    }

    /// How often it overflowed, and how many notifications that cost.
    pub(crate) fn overflows(&self) -> (u64, u64) {
        let state = self.state();
        (state.overflows, state.overflowed)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes after unlocking: the woken application wants the lock.
fn wake<T>(mut state: MutexGuard<'_, State<T>>) -> bool {
    let waiting = state.waiting.take();
    drop(state);
    waiting.map(Waker::wake).is_some()
}

#[cfg(test)]
mod tests;
