//! Which queue is looked at next, and why. Knows the time only from its arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::queue::QueueId;
use super::reason::Reason;
use super::rivalry::{Rivalry, Verdict};

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

    /// Those that wait for their turn, and why.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (QueueId, Reason)> {
        let reason = |id: &QueueId| self.queues.get(id).and_then(|it| it.wake);
        self.ready
            .iter()
            .filter_map(move |id| Some((*id, reason(id)?)))
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
mod tests;
