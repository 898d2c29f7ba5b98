//! Which queue is looked at next, and why. Knows the time only from its arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::queue::QueueId;

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

#[derive(Debug)]
struct State {
    /// It is in `ready`, or will be when its claim or its pause ends.
    wake: Option<Reason>,
    is_claiming: bool,
    is_paused: bool,
    /// Nothing before this time, after a failure.
    held_until: Option<Instant>,
    /// When something becomes visible, as far as is known.
    due: Option<Instant>,
    poll: Instant,
    /// As it stands in `timers`.
    timer: Instant,
}

impl State {
    fn wants_turn(&self) -> bool {
        self.wake.is_some() && !self.is_claiming && !self.is_paused && self.held_until.is_none()
    }

    fn next(&self) -> Instant {
        self.held_until
            .unwrap_or_else(|| self.due.map_or(self.poll, |due| due.min(self.poll)))
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
                is_claiming: false,
                is_paused: false,
                held_until: None,
                due: None,
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

    /// It is to be looked at; the first reason stays.
    pub(crate) fn wake(&mut self, id: QueueId, reason: Reason) {
        let Some(state) = self.queues.get_mut(&id) else {
            return;
        };
        if state.wake.is_none() {
            state.wake = Some(reason);
            if state.wants_turn() {
                self.ready.push_back(id);
            }
        }
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
    pub(crate) fn next(
        &mut self,
        may: impl Fn(QueueId, Reason) -> bool,
    ) -> Option<(QueueId, Reason)> {
        let queues = &self.queues;
        let place = self.ready.iter().position(|id| {
            let reason = queues.get(id).and_then(|it| it.wake);
            reason.is_some_and(|reason| may(*id, reason))
        })?;
        let id = self.ready.remove(place)?;
        let mut reason = Reason::Start;
        self.change(id, |state| {
            state.is_claiming = true;
            // The look will say.
            state.due = None;
            reason = state.wake.take().unwrap_or(reason);
        });
        Some((id, reason))
    }

    /// How many wait for their turn.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// A look has ended: with the next due time that it saw, and with a reason for another one.
    pub(crate) fn looked(
        &mut self,
        id: QueueId,
        now: Instant,
        due: Option<Duration>,
        again: Option<Reason>,
    ) {
        let poll = now + self.safety_poll;
        self.change(id, |state| {
            state.is_claiming = false;
            // What an event said meanwhile is true as well.
            let seen = due.map(|due| now + due);
            state.due = [state.due, seen].into_iter().flatten().min();
            state.poll = poll;
            state.wake = state.wake.or(again);
        });
        self.enqueue(id);
    }

    /// A look has failed; the next one is not before `until`.
    pub(crate) fn failed(&mut self, id: QueueId, until: Instant) {
        self.change(id, |state| {
            state.is_claiming = false;
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

    /// Wakes whose time has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                return;
            }
            let poll = now + self.safety_poll;
            let mut reason = None;
            self.change(id, |state| {
                if state.held_until.take().is_some() {
                    return;
                }
                let is_due = state.due.is_some_and(|due| due <= now);
                if is_due {
                    state.due = None;
                }
                state.poll = poll;
                reason = Some(if is_due {
                    Reason::Due
                } else {
                    Reason::SafetyPoll
                });
            });
            match reason {
                Some(reason) => self.wake(id, reason),
                None => self.enqueue(id),
            }
        }
    }

    /// Nothing to look at now, and nothing that becomes due before `until`.
    pub(crate) fn is_quiet(&self, until: Instant) -> bool {
        self.queues.values().all(|state| {
            state.is_paused
                || state.wake.is_none()
                    && !state.is_claiming
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

    /// Queues that were looked at and found empty.
    fn idle(ids: &[QueueId], now: Instant) -> Schedule {
        let mut schedule = Schedule::new(POLL);
        for id in ids {
            schedule.add(*id, now);
            assert_eq!(schedule.next(any), Some((*id, Reason::Start)));
            schedule.looked(*id, now, None, None);
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
            let (id, _) = schedule.next(any).unwrap();
            order.push(id);
            schedule.looked(id, now, None, Some(Reason::FullBatch));
        }
        assert_eq!(order[..3], order[3..]);
    }

    #[test]
    fn one_that_may_not_have_its_turn_yet_does_not_hold_up_the_others_and_keeps_its_place() {
        let now = Instant::now();
        let mut schedule = idle(&[1, 2], now);
        schedule.wake(1, Reason::Event);
        schedule.wake(2, Reason::Event);
        assert_eq!(schedule.next(|id, _| id != 1), Some((2, Reason::Event)));
        schedule.looked(2, now, None, Some(Reason::FullBatch));
        assert_eq!(schedule.next(any), Some((1, Reason::Event)));
    }

    #[test]
    fn an_event_during_a_look_leads_to_another_look() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        schedule.next(any).unwrap();
        schedule.wake(1, Reason::Event);
        assert_eq!(schedule.next(any), None);
        schedule.looked(1, now, None, None);
        assert_eq!(schedule.next(any), Some((1, Reason::Event)));
    }

    #[test]
    fn it_sleeps_until_the_earliest_due_time() {
        let now = Instant::now();
        let mut schedule = idle(&[1, 2], now);
        schedule.wake(1, Reason::Event);
        schedule.next(any).unwrap();
        // An event came while the look was under way.
        schedule.due(1, now + 3 * SECOND);
        schedule.looked(1, now, Some(5 * SECOND), None);
        assert_eq!(schedule.next_timer(), Some(now + 3 * SECOND));
        schedule.expire(now + 2 * SECOND);
        assert_eq!(schedule.next(any), None);
        schedule.expire(now + 3 * SECOND);
        assert_eq!(schedule.next(any), Some((1, Reason::Due)));
    }

    #[test]
    fn without_a_due_time_it_sleeps_until_the_safety_poll() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        assert_eq!(schedule.next_timer(), Some(now + POLL));
        schedule.expire(now + POLL);
        assert_eq!(schedule.next(any), Some((1, Reason::SafetyPoll)));
    }

    #[test]
    fn after_a_failure_nothing_wakes_it_before_its_time() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        schedule.next(any).unwrap();
        schedule.failed(1, now + SECOND);
        schedule.wake(1, Reason::Event);
        assert_eq!(schedule.next(any), None);
        schedule.expire(now + SECOND);
        assert_eq!(schedule.next(any), Some((1, Reason::Failed)));
    }

    #[test]
    fn a_paused_queue_is_not_looked_at_and_forgets_nothing() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        assert!(schedule.pause(1));
        assert_eq!(schedule.next(any), None);
        schedule.wake(1, Reason::Event);
        schedule.expire(now + POLL);
        assert_eq!(schedule.next(any), None);
        assert!(schedule.resume(1));
        assert_eq!(schedule.next(any), Some((1, Reason::Event)));
        assert!(!schedule.pause(7));
    }

    #[test]
    fn a_queue_that_has_left_is_not_looked_at() {
        let now = Instant::now();
        let mut schedule = idle(&[1], now);
        schedule.wake(1, Reason::Event);
        schedule.remove(1);
        assert_eq!(schedule.next(any), None);
        assert_eq!(schedule.next_timer(), None);
        schedule.looked(1, now, None, Some(Reason::FullBatch));
        assert_eq!(schedule.next(any), None);
    }
}
