use std::time::Duration;

use crate::seconds;

/// When a message whose handler failed is tried again, and how often.
///
/// The wait before the second attempt is drawn from the upper half below
/// [`initial`](Self::with_initial_delay), before the third below twice that, and so on up to
/// [`longest`](Self::with_longest_delay): messages that failed together do not come back together.
/// An attempt is a read of the message that began with it: one whose process died counts, one that
/// was given back unstarted does not.
///
/// Defaults to a first delay of 1 second, a longest one of 10 minutes, and 10 attempts, which takes
/// between 4 and 9 minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    initial: Duration,
    longest: Duration,
    attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            longest: Duration::from_mins(10),
            attempts: 10,
        }
    }
}

impl RetryPolicy {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bound of the first delay; what is longer than 68 years counts as that. Defaults to 1 second.
    pub fn with_initial_delay(mut self, delay: Duration) -> Self {
        self.initial = delay.min(seconds::LONGEST);
        self
    }

    /// The bound of every delay; what is longer than 68 years counts as that. Defaults to 10 minutes.
    pub fn with_longest_delay(mut self, delay: Duration) -> Self {
        self.longest = delay.min(seconds::LONGEST);
        self
    }

    /// How often a message is tried before it becomes a dead letter; at least 1, which means no
    /// second attempt. An attempt is a [read](crate::Message::read_count), so reads by somebody else, before
    /// the consumer, count too. Defaults to 10.
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How often a message is tried.
    pub fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait after `attempt`, counted from 1; `chance` lies between 0 and 1.
    pub(crate) fn delay(&self, attempt: u32, chance: f64) -> Duration {
        drawn(
            self.initial,
            self.longest,
            attempt.saturating_sub(1),
            chance,
        )
    }
}

/// A wait from the upper half below `shortest` doubled so many times, and below `longest`; `chance` lies
/// between 0 and 1.
pub(crate) fn drawn(
    shortest: Duration,
    longest: Duration,
    doublings: u32,
    chance: f64,
) -> Duration {
    let factor = 2_u32.saturating_pow(doublings);
    let bound = shortest.saturating_mul(factor).min(longest);
    bound.mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_never_overflows() {
        let policy = RetryPolicy::new()
            .with_initial_delay(Duration::from_millis(200))
            .with_longest_delay(Duration::from_secs(3));
        let endless = RetryPolicy::new()
            .with_initial_delay(Duration::MAX)
            .with_longest_delay(Duration::MAX);
        assert_eq!(endless.delay(1, 1.0), seconds::LONGEST);
        for (attempt, millis) in [
            (1, 200),
            (2, 400),
            (4, 1_600),
            (5, 3_000),
            (33, 3_000),
            (u32::MAX, 3_000),
        ] {
            let bound = Duration::from_millis(millis);
            assert_eq!(policy.delay(attempt, 1.0), bound, "{attempt}");
            assert_eq!(policy.delay(attempt, 0.0), bound / 2, "{attempt}");
        }
    }
}
