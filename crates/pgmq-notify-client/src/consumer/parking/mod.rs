//! What the senders to a consumer's queues have to know: who sleeps, and who looks by himself.
//!
//! The protocol, and why no wake-up is lost, is in `docs/wakeup-delivery.md` of the repository. Knows
//! the time only from its arguments.

mod job;
mod pace;
mod standing;

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub(crate) use job::{Answer, Job};
pub(crate) use pace::Sight;
use standing::{Attention, Row, Standing};

use super::outage::Outage;
use super::queue::QueueId;

/// How long a row is valid. It is refreshed three times as often.
const LEASE: Duration = Duration::from_secs(15);
/// Beyond this the safety poll is more often.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);
/// A session that attends says so, in a quarter of the time after which the server ends it.
const RENEWED: Duration = Duration::from_millis(500);

/// A queue whose senders notify only while somebody sleeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Its name in `pgmq_notify.parked`: that of its table.
    pub(crate) queue: String,
    /// Quoted.
    pub(crate) table: String,
    /// Where its events go, and the names that they begin with, as JSON.
    pub(crate) channel: String,
    pub(crate) names: String,
    /// The advisory lock of the one who attends to it.
    pub(crate) attention: i64,
}

#[derive(Debug)]
pub(crate) struct Parking {
    consumer: i64,
    lease: Duration,
    queues: HashMap<QueueId, Standing>,
    /// Those of which something is due, or may be.
    active: BTreeSet<QueueId>,
    /// Rows and locks of queues that are not consumed any more.
    left: Vec<Standing>,
    /// Before the last statement after which every valid row was as good as new.
    refreshed: Instant,
    /// Before the last statement.
    spoken: Instant,
    under_way: Option<(Job, Vec<QueueId>)>,
    outage: Outage,
}

/// A look that parking asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Before it sleeps.
    Before(QueueId),
    /// Because senders leave it to this consumer.
    Attending(QueueId),
}

impl Parking {
    /// `consumer` is a number that no other consumer has.
    pub(crate) fn new(consumer: i64, safety_poll: Duration, now: Instant) -> Self {
        Self {
            consumer,
            lease: safety_poll.clamp(SHORTEST_LEASE, LEASE),
            queues: HashMap::new(),
            active: BTreeSet::new(),
            left: Vec::new(),
            refreshed: now,
            spoken: now,
            under_way: None,
            outage: Outage::default(),
        }
    }

    pub(crate) fn consumer(&self) -> i64 {
        self.consumer
    }

    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    /// The senders to a queue notify those who sleep, or all messages.
    pub(crate) fn watch(&mut self, id: QueueId, watched: Option<Watched>) {
        if self.queues.get(&id).map(|it| &it.watched) == watched.as_ref() {
            return;
        }
        self.forget(id);
        if let Some(watched) = watched {
            self.queues.insert(id, Standing::new(watched));
            self.active.insert(id);
        }
    }

    /// The queue is not consumed any more.
    pub(crate) fn forget(&mut self, id: QueueId) {
        self.active.remove(&id);
        if let Some(standing) = self.queues.remove(&id) {
            self.left.push(standing);
        }
    }

    /// Whether an event that names these is for others only.
    pub(crate) fn is_for_others(&self, id: QueueId, wakes: &[i64]) -> bool {
        !wakes.is_empty() && !wakes.contains(&self.consumer) && self.queues.contains_key(&id)
    }

    /// An event told of a visible message, by a trigger that ran then.
    pub(crate) fn told(&mut self, id: QueueId, ready: SystemTime, now: Instant) {
        self.change(id, |standing| {
            standing.pace.told(ready);
            standing.told(now);
        });
    }

    /// A look begins.
    pub(crate) fn looks(&mut self, id: QueueId) {
        self.change(id, Standing::feed);
    }

    /// A look has ended. True when there should be another one, at the whole queue.
    pub(crate) fn looked(
        &mut self,
        id: QueueId,
        sight: Sight,
        is_whole: bool,
        now: Instant,
    ) -> bool {
        let mut again = false;
        self.change(id, |standing| {
            if sight.is_full {
                standing.is_rich(now);
            }
            if standing.pace.looked(sight, now) {
                standing.rest();
            }
            again = standing.looked(sight.messages > 0, is_whole, now);
        });
        again
    }

    /// The queue is not looked at any more, until it is: others are to know, and what there is left is
    /// theirs.
    pub(crate) fn pauses(&mut self, id: QueueId, now: Instant) {
        self.change(id, |standing| standing.pause(now));
    }

    /// A queue wants to be looked at, and there is no free handler.
    pub(crate) fn starves(&mut self, id: QueueId, now: Instant) {
        self.change(id, |standing| standing.starve(now));
    }

    /// Events may have been missed, and the server may have crashed.
    pub(crate) fn is_lost(&mut self) {
        for (id, standing) in &mut self.queues {
            standing.lose_row();
            self.active.insert(*id);
        }
    }

    /// When [`expire`](Self::expire) has something to do, or there is a [job](Self::next_job).
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        if self.queues.is_empty() {
            return self.outage.until();
        }
        let standings = || self.active.iter().filter_map(|id| self.queues.get(id));
        let lapse = self.refreshed + self.lease;
        let state = standings().filter_map(Standing::next_timer).min();
        let job = if self.under_way.is_some() {
            None
        } else if let Some(retry) = self.outage.until() {
            Some(retry)
        } else {
            let own = standings().filter_map(Standing::next_job).min();
            let refresh = self.refreshed + self.lease / 3;
            let renew = self.attends().then_some(self.spoken + RENEWED);
            [own, Some(refresh), renew].into_iter().flatten().min()
        };
        [Some(lapse), state, job].into_iter().flatten().min()
    }

    /// What the time alone changes.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Wanted> {
        self.outage.expire(now);
        let mut wanted = Vec::new();
        if self.refreshed + self.lease <= now {
            // The rows have expired, or may have: this process was stopped, or cannot reach the server.
            self.refreshed = now;
            let relied = |it: &Standing| matches!(it.row, Row::Valid { .. });
            let lapsed = self.queues.iter().filter(|(_, it)| relied(it));
            wanted.extend(lapsed.map(|(id, _)| Wanted::Before(*id)));
            self.is_lost();
        }
        let active: Vec<QueueId> = self.active.iter().copied().collect();
        for id in active {
            self.change(id, |standing| {
                standing.expire(now);
                if standing.pace.expire(now) {
                    wanted.push(Wanted::Attending(id));
                }
            });
        }
        wanted
    }

    /// What to say or ask next; it is under way from now on.
    pub(crate) fn next_job(&mut self, now: Instant) -> Option<Job> {
        if self.under_way.is_some() || self.outage.until().is_some() {
            return None;
        }
        let (job, ids) = self.choose(now)?;
        self.under_way = Some((job.clone(), ids));
        self.spoken = now;
        Some(job)
    }

    fn choose(&mut self, now: Instant) -> Option<(Job, Vec<QueueId>)> {
        if !self.left.is_empty() {
            return Some((self.leave(&[]), Vec::new()));
        }
        let away = self.ids(|it| matches!(it.row, Row::Away { is_left: false, .. }));
        if !away.is_empty() {
            return Some((self.leave(&away), away));
        }
        let unparked = self.ids(|it| it.row == Row::None);
        if !unparked.is_empty() {
            return Some((self.park(&unparked), unparked));
        }
        let asking = self.ids(|it| it.fence().is_some_and(|fence| fence.next <= now));
        if !asking.is_empty() {
            let fences = asking.iter().filter_map(|id| self.queues[id].fence());
            let holders = fences.flat_map(|it| it.holders.clone()).collect();
            return Some((Job::Ask { holders }, asking));
        }
        if let Some(id) = self.ids(Standing::wants_attention).first().copied() {
            let standing = self.queues.get_mut(&id)?;
            standing.attention = Attention::Taken;
            let attention = standing.watched.attention;
            return Some((Job::Attend { attention }, vec![id]));
        }
        if let Some(id) = self.ids(|it| it.wakes_next(now)).first().copied() {
            let standing = self.queues.get_mut(&id)?;
            standing.has_woken(now);
            let watched = standing.watched.clone();
            return Some((Job::WakeNext { watched }, vec![id]));
        }
        if self.refreshed + self.lease / 3 <= now {
            let valid = self.queues.values();
            let valid = valid.filter(|it| matches!(it.row, Row::Valid { .. }));
            let queues: Vec<String> = valid.map(|it| it.watched.queue.clone()).collect();
            if queues.is_empty() {
                self.refreshed = now;
                return None;
            }
            return Some((Job::Refresh { queues }, Vec::new()));
        }
        let renews = self.attends() && self.spoken + RENEWED <= now;
        renews.then_some((Job::Renew, Vec::new()))
    }

    fn park(&mut self, ids: &[QueueId]) -> Job {
        let mut queues = Vec::new();
        let mut unlock = Vec::new();
        for id in ids {
            if let Some(standing) = self.queues.get_mut(id) {
                standing.row = Row::Written;
                queues.push(standing.watched.queue.clone());
                if standing.attention == Attention::Held {
                    standing.attention = Attention::None { not_before: None };
                    unlock.push(standing.watched.attention);
                }
            }
        }
        Job::Park {
            queues,
            unlock,
            attends: self.attends(),
        }
    }

    fn leave(&mut self, ids: &[QueueId]) -> Job {
        let mut queues = Vec::new();
        let mut unlock = Vec::new();
        let mut leave = |standing: &mut Standing| {
            standing.row = Row::Away {
                is_left: true,
                fence: None,
            };
            queues.push(standing.watched.queue.clone());
            if standing.attention == Attention::Held {
                unlock.push(standing.watched.attention);
            }
            standing.attention = Attention::None { not_before: None };
        };
        self.left.drain(..).for_each(|mut it| leave(&mut it));
        for id in ids {
            if let Some(standing) = self.queues.get_mut(id) {
                leave(standing);
            }
        }
        Job::Leave {
            queues,
            unlock,
            attends: self.attends(),
        }
    }

    /// The job has ended; it began `before`. Looks are wanted at these queues, before they may sleep.
    pub(crate) fn answered(
        &mut self,
        answer: Answer,
        before: Instant,
        now: Instant,
    ) -> Vec<QueueId> {
        self.outage.over();
        let Some((job, ids)) = self.under_way.take() else {
            return Vec::new();
        };
        let mut looks = Vec::new();
        match (job, answer) {
            (Job::Park { .. }, Answer::Holders(holders)) => {
                let others = self.queues.values();
                if !others
                    .into_iter()
                    .any(|it| matches!(it.row, Row::Valid { .. }))
                {
                    self.refreshed = before;
                }
                for id in ids {
                    self.change(id, |standing| {
                        let queue = &standing.watched.queue;
                        let own = holders.iter().filter(|it| it.queue == *queue);
                        let own = own.cloned().collect();
                        if standing.parked(own, now) {
                            looks.push(id);
                        }
                    });
                }
            }
            (Job::Leave { .. }, Answer::Holders(holders)) => {
                for id in ids {
                    self.change(id, |standing| {
                        let queue = &standing.watched.queue;
                        let own = holders.iter().filter(|it| it.queue == *queue);
                        let own = own.cloned().collect();
                        standing.left(own, now);
                    });
                }
            }
            (Job::Ask { .. }, Answer::Holders(remaining)) => {
                for id in ids {
                    self.change(id, |standing| {
                        if standing.asked(&remaining, now) {
                            looks.push(id);
                        }
                    });
                }
            }
            (Job::Attend { .. }, Answer::Attends(is_own)) => {
                for id in ids {
                    self.change(id, |standing| standing.tried(is_own, now));
                }
                // The queue may have gone meanwhile.
                let left = self.left.iter_mut();
                left.filter(|it| it.attention == Attention::Taken)
                    .for_each(|it| it.tried(is_own, now));
            }
            (Job::WakeNext { .. }, Answer::Others(false)) => {
                for id in ids {
                    self.change(id, Standing::found_nobody);
                }
            }
            (Job::Refresh { .. }, _) => self.refreshed = before,
            _ => {}
        }
        looks
    }

    /// The job has failed, and its connection is gone, with the locks. `chance` lies between 0 and 1.
    pub(crate) fn failed(&mut self, now: Instant, chance: f64) {
        let under_way = self.under_way.take();
        self.outage.failed(now, chance);
        self.is_lost();
        for (job, id) in under_way
            .iter()
            .flat_map(|(job, ids)| ids.iter().map(move |id| (job, *id)))
        {
            self.change(id, |standing| match job {
                Job::Leave { .. } => standing.has_not_left(),
                Job::WakeNext { .. } => standing.is_rich(now),
                _ => {}
            });
        }
        for standing in self.queues.values_mut() {
            standing.lose_all(now);
        }
    }

    /// What there is to leave, and which queues others are to look at.
    pub(crate) fn end(&mut self, now: Instant) -> Option<(Job, Vec<Watched>)> {
        let lively = self.queues.values().filter(|it| it.is_lively(now));
        let lively = lively.map(|it| it.watched.clone()).collect();
        self.left.extend(self.queues.drain().map(|(_, it)| it));
        if self.left.is_empty() {
            return None;
        }
        Some((self.leave(&[]), lively))
    }

    fn attends(&self) -> bool {
        let mut active = self.active.iter().filter_map(|id| self.queues.get(id));
        active.any(|it| it.attention == Attention::Held)
    }

    fn ids(&self, is_wanted: impl Fn(&Standing) -> bool) -> Vec<QueueId> {
        let active = self.active.iter().copied();
        active
            .filter(|id| self.queues.get(id).is_some_and(&is_wanted))
            .collect()
    }

    fn change(&mut self, id: QueueId, change: impl FnOnce(&mut Standing)) {
        let Some(standing) = self.queues.get_mut(&id) else {
            return;
        };
        change(standing);
        if standing.is_calm() {
            self.active.remove(&id);
        } else {
            self.active.insert(id);
        }
    }
}

#[cfg(test)]
mod tests;
