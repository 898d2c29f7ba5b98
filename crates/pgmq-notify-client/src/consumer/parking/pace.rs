//! Whether a queue is busy, and how quickly it is then looked at. Knows the time only from its arguments.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Messages that come this close, on average, are cheaper to look for than to be told of.
const BUSY: Duration = Duration::from_millis(2);
/// And less close than this they are not.
const CALM: Duration = Duration::from_millis(4);
/// So many messages in a row whose senders were at work together: they may be waiting for each other.
const OVERLAPS: u32 = 3;
/// Between two looks at a busy queue.
const QUICKEST: Duration = Duration::from_micros(500);
const SLOWEST: Duration = Duration::from_millis(4);
/// A busy queue in which nothing was found for so long is not busy any more.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(10);
const LONGEST_PATIENCE: Duration = Duration::from_millis(30);
/// A longer time between two messages says no more than this one.
const LONGEST_GAP: Duration = Duration::from_millis(20);
/// One message changes the average by this part of the difference.
const WEIGHT: f64 = 1.0 / 8.0;

/// How close the messages of a queue come.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two messages, in seconds: an average of the last dozen or two.
    gap: f64,
    found: Option<Instant>,
    /// When the latest message was claimed, by the server's clock.
    claimed: Option<SystemTime>,
    overlaps: u32,
    is_busy: bool,
    /// Of a busy queue; none while a look is under way or about to be.
    next_look: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gap: LONGEST_GAP.as_secs_f64(),
            found: None,
            claimed: None,
            overlaps: 0,
            is_busy: false,
            next_look: None,
        }
    }
}

/// What a look at a queue found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) messages: usize,
    /// As many as were asked for.
    pub(crate) is_full: bool,
    /// When they were claimed, by the server's clock.
    pub(crate) claimed: Option<SystemTime>,
}

impl Pace {
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// A message was announced, by a trigger that ran then. When that was before the message before was
    /// claimed, its sender has waited for its commit for longer than a message takes to arrive.
    pub(super) fn told(&mut self, ready: SystemTime) {
        let overlaps = self.claimed.is_some_and(|claimed| ready < claimed);
        self.overlaps = if overlaps { self.overlaps + 1 } else { 0 };
    }

    /// A look has ended. True when the queue was busy until now.
    pub(super) fn looked(&mut self, sight: Sight, now: Instant) -> bool {
        if sight.messages > 0 {
            self.count(sight.messages, now);
            self.claimed = sight.claimed.or(self.claimed);
        }
        if !self.is_busy {
            let is_close = self.gap < BUSY.as_secs_f64() || self.overlaps >= OVERLAPS;
            if !is_close && !sight.is_full {
                return false;
            }
            // What it turns out to be is seen within a few messages.
            self.gap = self.gap.min(BUSY.as_secs_f64() / 2.0);
            self.overlaps = 0;
            self.is_busy = true;
        }
        let gap = Duration::from_secs_f64(self.gap);
        let patience = (gap * 8).clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE);
        let is_quiet = self.found.is_none_or(|found| found + patience <= now);
        if is_quiet || gap > CALM {
            self.is_busy = false;
            self.next_look = None;
            return true;
        }
        // After a full one the next look is due at once, for that reason.
        self.next_look = (!sight.is_full).then(|| now + gap.clamp(QUICKEST, SLOWEST));
        false
    }

    /// Whether it is time to look; then it is not any more.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let is_time = self.next_look.is_some_and(|next| next <= now);
        if is_time {
            self.next_look = None;
        }
        is_time
    }

    fn count(&mut self, messages: usize, now: Instant) {
        let since = self.found.map_or(LONGEST_GAP, |found| now - found);
        // A stream of a million messages between two looks counts no more than a dozen.
        let messages = u32::try_from(messages).unwrap_or(u32::MAX).min(16);
        let gap = since.min(LONGEST_GAP).as_secs_f64() / f64::from(messages);
        for _ in 0..messages {
            self.gap += (gap - self.gap) * WEIGHT;
        }
        self.found = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sight(messages: usize) -> Sight {
        Sight {
            messages,
            is_full: false,
            claimed: None,
        }
    }

    /// Messages that come regularly: after how many the queue is busy.
    fn busy_after(gap: Duration) -> Option<u32> {
        let mut pace = Pace::default();
        let begin = Instant::now();
        (0..1_000).find(|i| {
            pace.looked(sight(1), begin + gap * *i);
            pace.is_busy()
        })
    }

    #[test]
    fn a_queue_is_busy_when_messages_come_close() {
        assert_eq!(busy_after(5 * MS), None);
        let after = busy_after(MS).unwrap();
        assert!((10..40).contains(&after), "{after}");
    }

    #[test]
    fn a_full_claim_makes_it_busy_and_the_next_look_needs_no_timer() {
        let mut pace = Pace::default();
        let now = Instant::now();
        let full = Sight {
            is_full: true,
            ..sight(16)
        };
        assert!(!pace.looked(full, now));
        assert!(pace.is_busy());
        assert_eq!(pace.next_look(), None);
    }

    #[test]
    fn senders_that_wait_for_each_other_make_it_busy_however_slow_they_are() {
        let mut pace = Pace::default();
        let (begin, clock) = (Instant::now(), SystemTime::now());
        for i in 1..10 {
            let (now, claimed) = (begin + 10 * MS * i, clock + 10 * MS * i);
            // The trigger ran while the one before waited for its commit.
            pace.told(claimed - 15 * MS);
            let sight = Sight {
                claimed: Some(claimed),
                ..sight(1)
            };
            pace.looked(sight, now);
            assert_eq!(pace.is_busy(), i > OVERLAPS, "{i}");
            if pace.is_busy() {
                return;
            }
        }
    }

    #[test]
    fn senders_one_after_the_other_do_not() {
        let mut pace = Pace::default();
        let (begin, clock) = (Instant::now(), SystemTime::now());
        for i in 1..100 {
            let (now, claimed) = (begin + 10 * MS * i, clock + 10 * MS * i);
            pace.told(claimed - MS);
            let sight = Sight {
                claimed: Some(claimed),
                ..sight(1)
            };
            pace.looked(sight, now);
            assert!(!pace.is_busy());
        }
    }

    #[test]
    fn looks_follow_the_messages_within_bounds_and_end_when_there_are_none() {
        for (gap, wanted) in [
            (Duration::from_micros(20), QUICKEST),
            (MS, MS),
            (3 * MS, 3 * MS),
        ] {
            let mut pace = Pace::default();
            let mut now = Instant::now();
            let full = Sight {
                is_full: true,
                ..sight(1)
            };
            pace.looked(full, now);
            for _ in 0..200 {
                now += gap;
                assert!(!pace.looked(sight(1), now));
            }
            let next = pace.next_look().unwrap() - now;
            assert!(
                next.abs_diff(wanted) < Duration::from_micros(100),
                "{next:?} for {gap:?}"
            );
            assert!(!pace.expire(now));
            let quiet = now;
            loop {
                now = pace.next_look().unwrap();
                assert!(pace.expire(now) && pace.next_look().is_none());
                if pace.looked(sight(0), now) {
                    break;
                }
            }
            let took = now - quiet;
            assert!(took >= SHORTEST_PATIENCE && took <= LONGEST_PATIENCE + SLOWEST);
            assert!(!pace.is_busy());
        }
    }

    #[test]
    fn messages_that_come_more_rarely_are_told_of_again() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let full = Sight {
            is_full: true,
            ..sight(1)
        };
        pace.looked(full, now);
        let mut messages = 0;
        loop {
            now += 6 * MS;
            messages += 1;
            if pace.looked(sight(1), now) {
                break;
            }
        }
        assert!(messages < 20, "{messages}");
    }
}
