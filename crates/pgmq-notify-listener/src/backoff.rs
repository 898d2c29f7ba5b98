use std::time::Duration;

/// Short: after a terminated backend the server takes the next connection at once.
const SHORTEST: Duration = Duration::from_millis(50);
/// A server that is back is found this late at the most, plus what the attempt takes. One attempt in so much time from each
/// process is no load for one that is down.
const LONGEST: Duration = Duration::from_secs(3);

/// How long to wait before each attempt to reconnect.
///
/// The bound doubles from 50 milliseconds to 3 seconds; the wait is drawn from the upper half below
/// it, so that the listeners of a restarted server do not all come back in the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempt: u32,
    chance: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(chance: fastrand::Rng) -> Self {
        Self { attempt: 0, chance }
    }

    /// The attempt that comes next, counted from 1, and the wait before it.
    pub(crate) fn next_attempt(&mut self) -> (u32, Duration) {
        let bound = bound(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        let wait = bound.mul_f64(0.5 + self.chance.f64() / 2.0);
        (self.attempt, wait)
    }

    /// After a successful `LISTEN`.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }
}

fn bound(attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt);
    SHORTEST.saturating_mul(factor).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_three_seconds_and_never_overflows() {
        for (attempt, millis) in [
            (0, 50),
            (1, 100),
            (2, 200),
            (5, 1_600),
            (6, 3_000),
            (31, 3_000),
            (32, 3_000),
            (u32::MAX, 3_000),
        ] {
            assert_eq!(bound(attempt), Duration::from_millis(millis), "{attempt}");
        }
    }

    #[test]
    fn waits_lie_in_the_upper_half_and_differ_between_listeners() {
        let waits = |seed| {
            let mut backoff = Backoff::new(fastrand::Rng::with_seed(seed));
            (0..12).map(|_| backoff.next_attempt()).collect::<Vec<_>>()
        };
        for (index, (attempt, wait)) in (0..).zip(waits(7)) {
            assert_eq!(attempt, index + 1);
            assert!(wait >= bound(index) / 2 && wait <= bound(index), "{wait:?}");
        }
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn a_success_starts_it_over() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(1));
        for _ in 0..20 {
            backoff.next_attempt();
        }
        backoff.reset();
        let (attempt, wait) = backoff.next_attempt();
        assert_eq!(attempt, 1);
        assert!(wait <= SHORTEST);
    }
}
