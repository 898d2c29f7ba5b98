use std::sync::atomic::{AtomicU64, Ordering};

use crate::{ListenerError, ListenerErrorKind};

/// How many events are handled at a time, and what became of them; for
/// [`listen_with_handler`](crate::PgmqNotifyListener::listen_with_handler).
///
/// It is borrowed, so that another task may ask for its [`stats`](Self::stats) meanwhile. Listeners that
/// share it add up, and have each as many handlers.
#[derive(Debug)]
pub struct Handlers {
    concurrency: usize,
    handled: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
}

/// What became of the events that a handler was called for, from [`Handlers::stats`].
///
/// An event that is handled right now is in none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Handlers that returned `Ok`.
    pub handled: u64,
    /// Handlers that returned an error.
    pub failed: u64,
    /// Handlers that panicked.
    pub panicked: u64,
}

/// How a handler has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Handled,
    Failed,
    Panicked,
}

impl Handlers {
    /// At most `concurrency` at a time, at least 1. Of one queue there is never more than one.
    ///
    /// # Errors
    ///
    /// When `concurrency` is 0.
    pub fn new(concurrency: usize) -> Result<Self, ListenerError> {
        if concurrency == 0 {
            return Err(ListenerError::new(
                ListenerErrorKind::Argument,
                "0 handlers at a time handle nothing, use at least 1",
            ));
        }
        Ok(Self {
            concurrency,
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
        })
    }

    /// What they have done so far.
    pub fn stats(&self) -> HandlerStats {
        HandlerStats {
            handled: self.handled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            panicked: self.panicked.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Handled => &self.handled,
            Outcome::Failed => &self.failed,
            Outcome::Panicked => &self.panicked,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
