//! How long a consumer leaves a message to others that want it too. Knows time and chance only from its
//! arguments.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// After one loss, and after many: beyond this nothing is left to others.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(50);
/// What has been visible for so long is waited for by nobody who need not yield.
const TAKEN_WITHIN: Duration = Duration::from_millis(2);
/// More losses change nothing.
const MOST_LOSSES: u32 = 5;
/// The latest messages that this consumer claimed: an event of one of them was not lost to anybody.
const REMEMBERED: usize = 128;

/// What a look at the queue, caused by something that every consumer of it knows, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It brought all that was asked for: there is work for more than one.
    Needed,
    /// It brought something that nobody else had taken in time.
    Won,
    /// It brought something that had just come, after others had been let go first: they would have
    /// taken it as well.
    Snatched,
    /// Somebody else was there before.
    Lost,
    /// It says nothing about others.
    Neither,
}

/// The losses of one consumer at one queue.
///
/// Every idle consumer of a queue hears of a message, and one of them gets it. Who has lost lately
/// waits before it looks, for a random time that doubles with its losses; who has won does not. So
/// one of many looks at once, and each of the others at most once in [`LONGEST`], however many
/// messages there are. None relies on the one that wins: all of them look, within [`LONGEST`].
#[derive(Debug, Default)]
pub(crate) struct Rivalry {
    losses: u32,
    last_loss: Option<Instant>,
    own: VecDeque<i64>,
}

impl Rivalry {
    /// Before this time it should not look. None where it has not lost lately; `chance` lies between
    /// 0 and 1.
    pub(crate) fn until(&self, now: Instant, chance: f64) -> Option<Instant> {
        let losses = self.losses.checked_sub(1)?;
        let bound = SHORTEST.saturating_mul(1 << losses).min(LONGEST);
        // Where messages never end the drawn time alone would be half of the bound on average.
        let spaced = self.last_loss.map(|last| last + bound);
        let until = (now + bound.mul_f64(chance)).max(spaced.unwrap_or(now));
        (until > now).then_some(until)
    }

    /// What a message says that was claimed after `has_yielded`, and had been visible for so long.
    pub(crate) fn success(has_yielded: bool, waited: Duration) -> Verdict {
        if has_yielded && waited < TAKEN_WITHIN {
            Verdict::Snatched
        } else {
            Verdict::Won
        }
    }

    pub(crate) fn decided(&mut self, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Needed => self.losses = 0,
            Verdict::Won => self.losses /= 2,
            // Of a stream everybody gets some by chance. If all stopped waiting for that, there would
            // be a herd again.
            Verdict::Snatched => self.losses = self.losses.saturating_sub(1),
            Verdict::Lost => {
                self.losses = (self.losses + 1).min(MOST_LOSSES + 1);
                self.last_loss = Some(now);
            }
            Verdict::Neither => {}
        }
    }

    pub(crate) fn claimed(&mut self, ids: &[i64]) {
        let latest = &ids[ids.len().saturating_sub(REMEMBERED)..];
        let surplus = (self.own.len() + latest.len()).saturating_sub(REMEMBERED);
        self.own.drain(..surplus);
        self.own.extend(latest);
    }

    pub(crate) fn is_own(&self, id: i64) -> bool {
        self.own.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(losses: u32, now: Instant) -> Rivalry {
        let mut rivalry = Rivalry::default();
        for _ in 0..losses {
            rivalry.decided(Verdict::Lost, now);
        }
        rivalry
    }

    #[test]
    fn who_has_not_lost_does_not_wait() {
        let now = Instant::now();
        assert_eq!(Rivalry::default().until(now, 1.0), None);
        let mut rivalry = Rivalry::default();
        rivalry.decided(Verdict::Won, now);
        rivalry.decided(Verdict::Neither, now);
        assert_eq!(rivalry.until(now, 1.0), None);
    }

    #[test]
    fn the_wait_doubles_with_each_loss_up_to_fifty_milliseconds() {
        let now = Instant::now();
        let later = now + Duration::from_mins(1);
        for (losses, millis) in [2, 4, 8, 16, 32, 50, 50, 50].into_iter().enumerate() {
            let rivalry = after(u32::try_from(losses).unwrap() + 1, now);
            let bound = Duration::from_millis(millis);
            assert_eq!(rivalry.until(later, 1.0), Some(later + bound));
            assert_eq!(rivalry.until(later, 0.5), Some(later + bound / 2));
            assert_eq!(
                rivalry.until(later, 0.0),
                None,
                "the first of them is at once"
            );
        }
    }

    #[test]
    fn however_many_events_there_are_a_loser_looks_twenty_times_a_second() {
        let begin = Instant::now();
        let mut chance = fastrand::Rng::with_seed(1);
        let mut rivalry = after(6, begin);
        let (mut now, mut looks) = (begin, 0);
        while now < begin + Duration::from_secs(10) {
            now = rivalry.until(now, chance.f64()).unwrap_or(now);
            rivalry.decided(Verdict::Lost, now);
            looks += 1;
            // The next event.
            now += Duration::from_micros(100);
        }
        assert!((190..=200).contains(&looks), "{looks} looks");
    }

    #[test]
    fn a_wait_is_never_longer_than_its_bound_whenever_the_last_loss_was() {
        let begin = Instant::now();
        let mut chance = fastrand::Rng::with_seed(2);
        for losses in 1..10 {
            let rivalry = after(losses, begin);
            for micros in (0..200_000).step_by(500) {
                let now = begin + Duration::from_micros(micros);
                let until = rivalry.until(now, chance.f64()).unwrap_or(now);
                assert!(until - now <= LONGEST);
            }
        }
    }

    #[test]
    fn three_wins_undo_any_number_of_losses_and_a_full_batch_does_at_once() {
        let now = Instant::now();
        let mut rivalry = after(1_000, now);
        for _ in 0..3 {
            assert!(rivalry.until(now, 1.0).is_some());
            rivalry.decided(Verdict::Won, now);
        }
        assert_eq!(rivalry.until(now, 1.0), None);
        let mut rivalry = after(1_000, now);
        rivalry.decided(Verdict::Needed, now);
        assert_eq!(rivalry.until(now, 1.0), None);
    }

    #[test]
    fn what_was_about_to_be_taken_by_others_does_not_end_the_waiting() {
        let now = Instant::now();
        let later = now + Duration::from_mins(1);
        let soon = TAKEN_WITHIN / 2;
        assert_eq!(Rivalry::success(true, soon), Verdict::Snatched);
        assert_eq!(Rivalry::success(false, soon), Verdict::Won);
        assert_eq!(Rivalry::success(true, TAKEN_WITHIN), Verdict::Won);
        let mut rivalry = after(6, now);
        rivalry.decided(Verdict::Snatched, now);
        let bound = Duration::from_millis(32);
        assert_eq!(rivalry.until(later, 1.0), Some(later + bound));
        // One unlucky loss is made good by it.
        let mut rivalry = after(1, now);
        rivalry.decided(Verdict::Snatched, now);
        assert_eq!(rivalry.until(later, 1.0), None);
    }

    #[test]
    fn it_knows_the_latest_of_its_own_messages() {
        let mut rivalry = Rivalry::default();
        rivalry.claimed(&[1, 2, 10]);
        rivalry.claimed(&[20]);
        assert!(rivalry.is_own(1) && rivalry.is_own(20));
        assert!(!rivalry.is_own(11));
        let many: Vec<i64> = (1_000..2_000).collect();
        rivalry.claimed(&many);
        assert!(rivalry.is_own(1_999) && rivalry.is_own(1_872));
        assert!(!rivalry.is_own(1_871) && !rivalry.is_own(20));
        assert_eq!(rivalry.own.len(), REMEMBERED);
    }
}
