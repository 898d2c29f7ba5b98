//! Which queue is looked at next, and why. Knows the time only from its arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::queue::QueueId;
use super::rivalry::{Rivalry, Verdict};

/// Why a queue is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Start,
    Event,
    Due,
    Reconnected,
    FullBatch,
    Settled,
    Failed,
    SafetyPoll,
}

impl Reason {
    pub(crate) const ALL: [Self; 8] = [
        Self::Start,
        Self::Event,
        Self::Due,
        Self::Reconnected,
        Self::FullBatch,
        Self::Settled,
        Self::Failed,
        Self::SafetyPoll,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Event => "event",
            Self::Due => "due",
            Self::Reconnected => "reconnected",
            Self::FullBatch => "full_batch",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::SafetyPoll => "safety_poll",
        }
    }

    /// Whether every other idle consumer of the queue has it too, at the same time.
    fn is_shared(self) -> bool {
        matches!(self, Self::Event | Self::Due)
    }
}

/// The queues that want to be looked at take turns; the others sleep until a point in time.
#[derive(Debug)]
pub(crate) struct Schedule {
    queues: HashMap<QueueId, State>,
    /// In the order of their turns.
    ready: VecDeque<QueueId>,
    timers: BTreeSet<(Instant, QueueId)>,
    safety_poll: Duration,
}

/// A queue's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) id: QueueId,
    pub(crate) reason: Reason,
    /// Others were let go first: most likely there is nothing left.
    pub(crate) has_yielded: bool,
}

/// What this consumer has claimed and not settled: it may itself be why there is nothing to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    /// Messages whose visibility it extends.
    Messages,
    /// And whose groups are closed to everybody meanwhile.
    Groups,
}

/// What a look at a queue has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) messages: &'a [i64],
    /// It was a look at the whole queue; otherwise what was known of the other messages is still true.
    pub(crate) is_whole: bool,
    /// They are as many as were asked for.
    pub(crate) is_full: bool,
    /// For how long one of them had been visible, at most.
    pub(crate) waited: Duration,
    /// Until the next message becomes visible.
    pub(crate) due: Option<Duration>,
    /// Messages that events told of were taken by somebody else. He may die with them, and nobody tells
    /// of that: they are visible again after this time at the latest.
    pub(crate) taken: Option<Duration>,
    /// Why to look again at once.
    pub(crate) again: Option<Reason>,
    pub(crate) holds: Holds,
}

/// A look that came so much too early says nothing about others.
const EARLY: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct State {
    /// It is in `ready`, or will be when its claim, its pause or its yielding ends.
    wake: Option<Reason>,
    /// What it is being looked at for.
    claiming: Option<Reason>,
    rivalry: Rivalry,
    /// The message of the latest event: not yet looked for, and being looked for.
    told: Option<i64>,
    looked_for: Option<i64>,
    /// Others go first until then.
    yields_until: Option<Instant>,
    has_yielded: bool,
    /// Before what it is being looked at for.
    had_yielded: bool,
    is_paused: bool,
    /// Nothing before this time, after a failure.
    held_until: Option<Instant>,
    /// When something becomes visible, as far as is known.
    due: Option<Instant>,
    /// The same, from before the look that is under way.
    due_before: Option<Instant>,
    poll: Instant,
    /// As it stands in `timers`.
    timer: Instant,
}

impl State {
    fn wants_turn(&self) -> bool {
        self.wake.is_some()
            && self.claiming.is_none()
            && !self.is_paused
            && self.held_until.is_none()
            && self.yields_until.is_none()
    }

    fn next(&self) -> Instant {
        self.held_until
            .or(self.yields_until)
            .unwrap_or_else(|| self.due.map_or(self.poll, |due| due.min(self.poll)))
    }

    /// Lets others go first, if they usually do. While it is being looked at, what that look brings
    /// decides.
    fn consider(&mut self, now: Instant, chance: f64) {
        if self.claiming.is_none()
            && self.held_until.is_none()
            && self.wake.is_some_and(Reason::is_shared)
        {
            self.yields_until = self.rivalry.until(now, chance);
            self.has_yielded = self.yields_until.is_some();
        }
    }

    fn verdict(&self, seen: &Seen<'_>) -> Verdict {
        let Some(reason) = self.claiming.filter(|it| it.is_shared()) else {
            return Verdict::Neither;
        };
        if !seen.messages.is_empty() {
            return if seen.is_full {
                Verdict::Needed
            } else {
                Rivalry::success(self.had_yielded, seen.waited)
            };
        }
        let is_explained = match reason {
            Reason::Event => seen.holds == Holds::Groups,
            _ => seen.holds != Holds::Nothing || seen.due.is_some_and(|due| due <= EARLY),
        };
        // Its event may have come when the message was claimed already.
        let is_own = self.looked_for.is_some_and(|id| self.rivalry.is_own(id));
        if is_explained || is_own || seen.again.is_some() {
            Verdict::Neither
        } else {
            Verdict::Lost
        }
    }
}

impl Schedule {
    pub(crate) fn new(safety_poll: Duration) -> Self {
        Self {
            queues: HashMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            safety_poll,
        }
    }

    /// A queue that is looked at for the first time.
    pub(crate) fn add(&mut self, id: QueueId, now: Instant) {
        let poll = now + self.safety_poll;
        self.queues.insert(
            id,
            State {
                wake: None,
                claiming: None,
                rivalry: Rivalry::default(),
                told: None,
                looked_for: None,
                yields_until: None,
                has_yielded: false,
                had_yielded: false,
                is_paused: false,
                held_until: None,
                due: None,
                due_before: None,
                poll,
                timer: poll,
            },
        );
        self.timers.insert((poll, id));
        self.wake(id, Reason::Start);
    }

    pub(crate) fn remove(&mut self, id: QueueId) {
        if let Some(state) = self.queues.remove(&id) {
            self.timers.remove(&(state.timer, id));
            self.ready.retain(|it| *it != id);
        }
    }

    /// It is to be looked at, without regard to others; the first reason stays, unless it is an event,
    /// which says less than others.
    pub(crate) fn wake(&mut self, id: QueueId, reason: Reason) {
        self.change(id, |state| {
            if state.wake.is_none_or(Reason::is_shared) {
                state.wake = Some(reason);
                state.yields_until = None;
                state.has_yielded = false;
            }
        });
        self.enqueue(id);
    }

    /// An event tells of a visible message, if of one; `chance` lies between 0 and 1.
    pub(crate) fn told(&mut self, id: QueueId, message: Option<i64>, now: Instant, chance: f64) {
        self.change(id, |state| {
            state.told = message;
            if state.wake.is_none() {
                state.wake = Some(Reason::Event);
                state.consider(now, chance);
            }
        });
        self.enqueue(id);
    }

    pub(crate) fn wake_all(&mut self, reason: Reason) {
        let ids: Vec<QueueId> = self.queues.keys().copied().collect();
        for id in ids {
            self.wake(id, reason);
        }
    }

    /// A message becomes visible then.
    pub(crate) fn due(&mut self, id: QueueId, at: Instant) {
        self.change(id, |state| {
            state.due = Some(state.due.map_or(at, |due| due.min(at)));
        });
    }

    /// The first queue in turn that `may` be looked at; it is being looked at from now on.
    pub(crate) fn next(&mut self, may: impl Fn(QueueId, Reason) -> bool) -> Option<Turn> {
        let queues = &self.queues;
        let place = self.ready.iter().position(|id| {
            let reason = queues.get(id).and_then(|it| it.wake);
            reason.is_some_and(|reason| may(*id, reason))
        })?;
        let id = self.ready.remove(place)?;
        let mut turn = Turn {
            id,
            reason: Reason::Start,
            has_yielded: false,
        };
        self.change(id, |state| {
            turn.reason = state.wake.take().unwrap_or(turn.reason);
            turn.has_yielded = std::mem::take(&mut state.has_yielded);
            state.had_yielded = turn.has_yielded;
            state.claiming = Some(turn.reason);
            state.looked_for = state.told.take();
            state.due_before = state.due.take();
        });
        Some(turn)
    }

    /// How many wait for their turn.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// A look has ended; `chance` lies between 0 and 1.
    pub(crate) fn looked(&mut self, id: QueueId, now: Instant, seen: &Seen<'_>, chance: f64) {
        let poll = now + self.safety_poll;
        self.change(id, |state| {
            state.rivalry.claimed(seen.messages);
            state.rivalry.decided(state.verdict(seen), now);
            state.claiming = None;
            let before = state.due_before.take();
            // What an event said meanwhile is true as well.
            let due = if seen.is_whole {
                state.poll = poll;
                seen.due.map(|due| now + due)
            } else {
                before
            };
            let taken = seen.taken.map(|timeout| now + timeout);
            state.due = [state.due, due, taken].into_iter().flatten().min();
            // That there is more says more than an event.
            state.wake = seen.again.or(state.wake);
            state.consider(now, chance);
        });
        self.enqueue(id);
    }

    /// A look has failed; the next one is not before `until`.
    pub(crate) fn failed(&mut self, id: QueueId, until: Instant) {
        self.change(id, |state| {
            state.claiming = None;
            state.held_until = Some(until);
            state.wake = Some(Reason::Failed);
        });
    }

    /// False when there is no such queue.
    pub(crate) fn pause(&mut self, id: QueueId) -> bool {
        self.ready.retain(|it| *it != id);
        self.queues
            .get_mut(&id)
            .map(|state| state.is_paused = true)
            .is_some()
    }

    pub(crate) fn is_paused(&self, id: QueueId) -> bool {
        self.queues.get(&id).is_some_and(|state| state.is_paused)
    }

    /// False when there is no such queue.
    pub(crate) fn resume(&mut self, id: QueueId) -> bool {
        let Some(state) = self.queues.get_mut(&id) else {
            return false;
        };
        if state.is_paused {
            state.is_paused = false;
            state.wake = state.wake.or(Some(Reason::Start));
            self.enqueue(id);
        }
        true
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Wakes whose time has come; `chance` draws from 0 to 1.
    pub(crate) fn expire(&mut self, now: Instant, mut chance: impl FnMut() -> f64) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                return;
            }
            let poll = now + self.safety_poll;
            self.change(id, |state| {
                if state.held_until.take().is_some() || state.yields_until.take().is_some() {
                    return;
                }
                let is_due = state.due.is_some_and(|due| due <= now);
                if is_due {
                    state.due = None;
                }
                state.poll = poll;
                let was = state.wake;
                if was.is_none_or(|it| it == Reason::Event) {
                    state.wake = Some(if is_due {
                        Reason::Due
                    } else {
                        Reason::SafetyPoll
                    });
                }
                if was.is_none() {
                    state.consider(now, chance());
                }
            });
            self.enqueue(id);
        }
    }

    /// Nothing to look at now, and nothing that becomes due before `until`.
    pub(crate) fn is_quiet(&self, until: Instant) -> bool {
        self.queues.values().all(|state| {
            state.is_paused
                || state.wake.is_none()
                    && state.claiming.is_none()
                    && state.due.is_none_or(|due| due > until)
        })
    }

    fn enqueue(&mut self, id: QueueId) {
        if self.queues.get(&id).is_some_and(State::wants_turn) && !self.ready.contains(&id) {
            self.ready.push_back(id);
        }
    }

    fn change(&mut self, id: QueueId, change: impl FnOnce(&mut State)) {
        let Some(state) = self.queues.get_mut(&id) else {
            return;
        };
        change(state);
        let timer = state.next();
        if timer != state.timer {
            self.timers.remove(&(state.timer, id));
            self.timers.insert((timer, id));
            state.timer = timer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    fn any(_: QueueId, _: Reason) -> bool {
        true
    }

    const NOTHING: Seen<'_> = Seen {
        messages: &[],
        is_whole: true,
        is_full: false,
        waited: Duration::ZERO,
        due: None,
        taken: None,
        again: None,
        holds: Holds::Nothing,
    };
    const FULL_BATCH: Seen<'_> = Seen {
        messages: &[1],
        is_full: true,
        again: Some(Reason::FullBatch),
        ..NOTHING
    };

    fn next(schedule: &mut Schedule) -> Option<(QueueId, Reason)> {
        schedule.next(any).map(|turn| (turn.id, turn.reason))
    }

    /// Queues that were looked at and found empty.
    fn idle(ids: &[QueueId], now: Instant) -> Schedule {
        let mut schedule = Schedule::new(POLL);
        for id in ids {
            schedule.add(*id, now);
            assert_eq!(next(&mut schedule), Some((*id, Reason::Start)));
            schedule.looked(*id, now, &NOTHING, 0.5);
        }
        schedule
    }

    #[test]
    fn queues_take_turns() {
        let now = Instant::now();
        let mut schedule = idle(&[1, 2, 3], now);
        schedule.wake_all(Reason::Event);
        let mut order = Vec::new();
        for _ in 0..6 {
            let (id, _) = next(&mut schedule).unwrap();
            order.push(id);
            schedule.looked(id, now, &FULL_BATCH, 0.5);
        }
        assert_eq!(order[..3], order[3..]);
    }

    #[test]
    fn one_that_may_not_have_its_turn_yet_does_not_hold_up_the_others_and_keeps_its_place() {
        let now = Instant::now();
        let mut schedule = idle(&[1, 2], now);
        schedule.wake(1, Reason::Event);
        schedule.wake(2, Reason::Event);
        let turn = schedule.next(|id, _| id != 1).unwrap();
        assert_eq!((turn.id, turn.reason), (2, Reason::Event));
        schedule.looked(2, now, &FULL_BATCH, 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
    }

    #[test]
    fn an_event_during_a_look_leads_to_another_look() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Start);
        next(&mut schedule).unwrap();
        schedule.told(1, Some(7), now, 0.5);
        assert_eq!(next(&mut schedule), None);
        schedule.looked(1, now, &NOTHING, 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
    }

    #[test]
    fn it_sleeps_until_the_earliest_due_time() {
        let now = Instant::now();
        let mut schedule = idle(&[1, 2], now);
        schedule.wake(1, Reason::Start);
        next(&mut schedule).unwrap();
        // An event came while the look was under way.
        schedule.due(1, now + 3 * SECOND);
        let seen = Seen {
            due: Some(5 * SECOND),
            ..NOTHING
        };
        schedule.looked(1, now, &seen, 0.5);
        assert_eq!(schedule.next_timer(), Some(now + 3 * SECOND));
        schedule.expire(now + 2 * SECOND, || 0.5);
        assert_eq!(next(&mut schedule), None);
        schedule.expire(now + 3 * SECOND, || 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
    }

    #[test]
    fn a_look_at_single_messages_keeps_the_due_time_and_the_safety_poll() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.due(1, now + 3 * SECOND);
        schedule.told(1, Some(7), now, 0.5);
        next(&mut schedule).unwrap();
        schedule.due(1, now + 5 * SECOND);
        let seen = Seen {
            messages: &[7],
            is_whole: false,
            ..NOTHING
        };
        schedule.looked(1, now, &seen, 0.5);
        assert_eq!(schedule.next_timer(), Some(now + 3 * SECOND));
        schedule.expire(now + 3 * SECOND, || 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
        schedule.looked(1, now, &NOTHING, 0.5);
        assert_eq!(schedule.next_timer(), Some(now + POLL));
    }

    #[test]
    fn what_becomes_due_is_looked_for_though_an_event_came_first() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.due(1, now + SECOND);
        schedule.told(1, None, now, 0.5);
        schedule.expire(now + SECOND, || 0.5);
        schedule.told(1, None, now, 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
    }

    #[test]
    fn what_somebody_else_took_is_looked_for_when_his_claim_may_have_ended() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.told(1, Some(7), now, 0.5);
        next(&mut schedule).unwrap();
        let seen = Seen {
            is_whole: false,
            taken: Some(5 * SECOND),
            ..NOTHING
        };
        schedule.looked(1, now, &seen, 0.5);
        schedule.expire(now + 4 * SECOND, || 0.5);
        assert_eq!(next(&mut schedule), None);
        // Who has lost lets others go first.
        schedule.expire(now + 5 * SECOND, || 0.5);
        schedule.expire(now + 6 * SECOND, || 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
    }

    #[test]
    fn without_a_due_time_it_sleeps_until_the_safety_poll() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        assert_eq!(schedule.next_timer(), Some(now + POLL));
        schedule.expire(now + POLL, || 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::SafetyPoll)));
    }

    #[test]
    fn after_a_failure_nothing_wakes_it_before_its_time() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        next(&mut schedule).unwrap();
        schedule.failed(1, now + SECOND);
        schedule.wake(1, Reason::Event);
        assert_eq!(next(&mut schedule), None);
        schedule.expire(now + SECOND, || 0.5);
        assert_eq!(next(&mut schedule), Some((1, Reason::Failed)));
    }

    #[test]
    fn a_paused_queue_is_not_looked_at_and_forgets_nothing() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        assert!(schedule.pause(1));
        assert_eq!(next(&mut schedule), None);
        schedule.wake(1, Reason::Event);
        schedule.expire(now + POLL, || 0.5);
        assert_eq!(next(&mut schedule), None);
        assert!(schedule.resume(1));
        assert_eq!(next(&mut schedule), Some((1, Reason::SafetyPoll)));
        assert!(!schedule.pause(7));
    }

    #[test]
    fn a_queue_that_has_left_is_not_looked_at() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        schedule.remove(1);
        assert_eq!(next(&mut schedule), None);
        assert_eq!(schedule.next_timer(), None);
        schedule.looked(1, now, &FULL_BATCH, 0.5);
        assert_eq!(next(&mut schedule), None);
    }

    /// A queue at which others were quicker often enough to wait for 50 milliseconds.
    fn losing(now: Instant) -> Schedule {
        let mut schedule = idle(&[1], now);
        for n in 0..6 {
            schedule.told(1, Some(n), now, 0.0);
            schedule.expire(now + millis(50), || 0.0);
            assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
            schedule.looked(1, now, &NOTHING, 0.0);
        }
        schedule
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn who_has_lost_often_lets_others_go_first_and_looks_once_for_many_events() {
        let now = Instant::now();
        let mut schedule = losing(now);
        let now = now + SECOND;
        schedule.told(1, Some(100), now, 0.5);
        schedule.told(1, Some(101), now + millis(1), 0.9);
        assert_eq!(next(&mut schedule), None);
        assert!(!schedule.is_quiet(now));
        assert_eq!(schedule.next_timer(), Some(now + millis(25)));
        schedule.expire(now + millis(25), || 0.5);
        let turn = schedule.next(any).unwrap();
        assert_eq!((turn.reason, turn.has_yielded), (Reason::Event, true));
        schedule.looked(1, now + millis(26), &NOTHING, 0.5);
        assert_eq!(next(&mut schedule), None);
        assert_eq!(schedule.next_timer(), Some(now + millis(26) + POLL));
    }

    #[test]
    fn a_due_time_that_others_know_too_is_left_to_them_first() {
        let now = Instant::now();
        let mut schedule = losing(now);
        schedule.due(1, now + SECOND);
        schedule.expire(now + SECOND, || 0.2);
        assert_eq!(next(&mut schedule), None);
        schedule.expire(now + SECOND + millis(10), || 0.2);
        let turn = schedule.next(any).unwrap();
        assert_eq!((turn.reason, turn.has_yielded), (Reason::Due, true));
    }

    #[test]
    fn what_only_this_consumer_knows_waits_for_nobody() {
        let now = Instant::now();
        let mut schedule = losing(now);
        for reason in [Reason::Reconnected, Reason::Settled, Reason::Start] {
            let now = now + SECOND;
            schedule.told(1, Some(100), now, 1.0);
            assert_eq!(next(&mut schedule), None);
            schedule.wake(1, reason);
            assert_eq!(next(&mut schedule), Some((1, reason)));
            // An event during a look that brings as much as was asked for.
            schedule.told(1, Some(101), now, 1.0);
            schedule.looked(1, now, &FULL_BATCH, 1.0);
            assert_eq!(next(&mut schedule), Some((1, Reason::FullBatch)));
            schedule.looked(1, now, &NOTHING, 1.0);
        }
    }

    #[test]
    fn an_event_of_a_message_that_was_claimed_already_is_no_loss() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        for n in 0..20 {
            schedule.told(1, Some(2 * n), now, 1.0);
            assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
            // The event of the second one comes when it is claimed already.
            schedule.told(1, Some(2 * n + 1), now, 1.0);
            let seen = Seen {
                messages: &[2 * n, 2 * n + 1],
                ..NOTHING
            };
            schedule.looked(1, now, &seen, 1.0);
            assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
            schedule.looked(1, now, &NOTHING, 1.0);
        }
    }

    #[test]
    fn the_due_time_of_an_own_lease_is_no_loss() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        let seen = Seen {
            holds: Holds::Messages,
            ..NOTHING
        };
        for _ in 0..20 {
            schedule.due(1, now);
            schedule.expire(now, || 1.0);
            assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
            schedule.looked(1, now, &seen, 1.0);
        }
    }

    #[test]
    fn a_pause_does_not_end_with_the_yielding() {
        let now = Instant::now();
        let mut schedule = losing(now);
        let now = now + SECOND;
        schedule.told(1, Some(100), now, 1.0);
        assert!(schedule.pause(1));
        schedule.expire(now + millis(50), || 1.0);
        assert_eq!(next(&mut schedule), None);
        assert!(schedule.resume(1));
        assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
    }
}
