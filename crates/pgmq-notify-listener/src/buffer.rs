mod batch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pgmq_notify_core::{ResumeReason, ResumedEvent};
use tokio::time::Instant;

pub(crate) use batch::{Batch, Entry};

/// The most notifications that the reading task collects before it hands them over and lets another task
/// run.
const LARGEST_TURN: usize = 128;

/// Between the reading task and the application: bounded, and never in the way of the reader.
///
/// What the socket brings at once is handed over at once, and the application takes all that is there:
/// each locks once per batch.
#[derive(Debug)]
pub(crate) struct Buffer {
    capacity: usize,
    /// How many notifications the application has taken and not yet consumed. They count.
    unconsumed: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stored: Batch,
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

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// How many of its notifications found no room.
    pub(crate) dropped: u64,
    /// Whether the first of them begins a gap, of which the application will be told. Otherwise they
    /// belong to one that began before.
    pub(crate) overflows: bool,
    /// Whether the application waited.
    pub(crate) woke: bool,
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

impl Buffer {
    /// `capacity` counts notifications and is not 0. Without a reader until [`open`](Self::open).
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            unconsumed: AtomicUsize::new(0),
            state: Mutex::new(State {
                stored: Batch::default(),
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

    /// How many notifications the reader may collect before it must let the application run.
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

    /// Stores what has room of a batch without gaps, empties it, and wakes the application if it waits.
    /// Never waits for the application.
    ///
    /// After the first one that does not fit, nothing fits until the application has consumed
    /// everything: otherwise a slow application would get a gap between any two events.
    pub(crate) fn push(&self, batch: &mut Batch) -> Pushed {
        let mut guard = self.state();
        let state = &mut *guard;
        let count = batch.notifications();
        let stored = count.min(match state.overflow_since {
            Some(_) => 0,
            None => self.room(state, count),
        });
        if stored == count && state.stored.is_empty() {
            std::mem::swap(&mut state.stored, batch);
        } else {
            state.stored.extend(batch, stored);
        }
        let dropped = (count - stored) as u64;
        let overflows = dropped > 0 && state.overflow_since.is_none();
        if overflows {
            state.overflow_since = Some(Instant::now());
            state.overflows += 1;
        }
        state.overflowed += dropped;
        let woke = wake(guard);
        batch.clear();
        Pushed {
            dropped,
            overflows,
            woke,
        }
    }

    /// Whether there is room for so many, or for how many of them.
    fn room(&self, state: &State, wanted: usize) -> usize {
        let beside = |taken: usize| {
            let free = self.capacity.saturating_sub(state.stored.notifications());
            free.saturating_sub(taken)
        };
        // The counter is shared with the application's core: it is looked at only when it matters.
        match beside(state.taken) {
            room if room >= wanted => room,
            _ => beside(self.unconsumed.load(Ordering::Acquire)),
        }
    }

    /// Whether more than half of the room is taken, as it is when the application falls behind.
    pub(crate) fn is_filling(&self) -> bool {
        let unconsumed = self.unconsumed.load(Ordering::Acquire);
        self.state().stored.notifications() + unconsumed > self.capacity / 2
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
        state.stored.push_resumed(reason, gap);
        wake(state);
    }

    /// Moves everything into `taken`, of which everything was read.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, taken: &mut Batch) -> Poll<Take> {
        taken.clear();
        let mut state = self.state();
        if !state.stored.is_empty() {
            std::mem::swap(&mut state.stored, taken);
            state.taken = taken.notifications();
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes after unlocking: the woken application wants the lock.
fn wake(mut state: MutexGuard<'_, State>) -> bool {
    let waiting = state.waiting.take();
    drop(state);
    waiting.map(Waker::wake).is_some()
}

#[cfg(test)]
mod tests;
