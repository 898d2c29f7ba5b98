use std::time::Duration;

use tokio::time::Instant;

use super::retry::drawn;

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(3);

/// While the server cannot be reached nobody tries, but for one attempt now and then.
///
/// The wait doubles from 50 milliseconds to 3 seconds and is drawn from the upper half below that.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    attempts: u32,
    until: Option<Instant>,
}

impl Outage {
    /// When it may be tried again; none while there is no outage, or the time has come.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// An attempt has failed; `chance` lies between 0 and 1. Attempts that were under way at the same
    /// time count as one.
    pub(crate) fn failed(&mut self, now: Instant, chance: f64) -> Instant {
        if let Some(until) = self.until {
            return until;
        }
        let until = now + drawn(SHORTEST, LONGEST, self.attempts, chance);
        self.attempts = self.attempts.saturating_add(1);
        self.until = Some(until);
        until
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
    }

    /// An attempt has succeeded.
    pub(crate) fn over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_three_seconds_and_starts_over_after_a_success() {
        let now = Instant::now();
        let mut outage = Outage::default();
        for millis in [50, 100, 200, 400, 800, 1_600, 3_000, 3_000] {
            let until = outage.failed(now, 1.0);
            assert_eq!(until - now, Duration::from_millis(millis));
            // Attempts that fail meanwhile change nothing.
            assert_eq!(outage.failed(now, 1.0), until);
            outage.expire(until - Duration::from_millis(1));
            assert!(outage.until().is_some());
            outage.expire(until);
            assert_eq!(outage.until(), None);
        }
        outage.over();
        assert_eq!(outage.failed(now, 0.0) - now, SHORTEST / 2);
    }
}
