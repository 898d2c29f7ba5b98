//! How quick handlers and claims are, and what follows from that.

use std::time::Duration;

use tokio::time::Instant;

/// How long the handlers and the claims of a source take, by the last few dozen of them.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Microseconds.
    handler: f64,
    claim: f64,
}

impl Pace {
    pub(super) fn handled(&mut self, took: Duration) {
        self.handler += (took.as_secs_f64() * 1e6 - self.handler) / 32.0;
    }

    pub(super) fn claimed(&mut self, took: Duration) {
        self.claim += (took.as_secs_f64() * 1e6 - self.claim) / 32.0;
    }

    /// That was not foreseen.
    pub(super) fn is_slow(&mut self) {
        self.handler = LATE.as_secs_f64() * 1e6;
    }

    /// How often so many handlers end within a claim, and no more than are claimed at a time.
    pub(super) fn ahead(&self, handlers: usize, most: usize) -> usize {
        if self.handler == 0.0 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "neither is negative, and the result is bounded"
        )]
        let ahead = (handlers as f64 * (self.claim / self.handler)).min(1e6) as usize;
        ahead.min(most.saturating_sub(handlers))
    }
}

/// What waits for a handler for so long is given back: others may have one that is free.
pub(super) const LATE: Duration = Duration::from_secs(1);

/// Handlers that have not ended by then are not waited for.
const PATIENCE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(super) struct Patience(Option<Instant>);

impl Patience {
    pub(super) fn begin(&mut self) {
        self.0.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_some_and(|until| until <= Instant::now())
    }

    /// While it lasts.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.filter(|until| *until > Instant::now())
    }
}
