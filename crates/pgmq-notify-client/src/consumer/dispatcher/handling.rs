//! Gives messages to handlers, and decides by the outcome.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::pace::LATE;
use super::{Consumed, Dispatcher, Ended, Waiting};
use crate::consumer::Order;
use crate::consumer::claim::{Claim, Claimed};
use crate::consumer::handler::{Decision, Outcome, kept};
use crate::consumer::queue::QueueId;
use crate::consumer::settlement::{DeadReason, End, Settlement};

impl Dispatcher {
    /// Gives free handlers what waits for them, from each queue in turn.
    pub(super) fn start_ahead(&mut self) {
        let mut passed = 0;
        while self.running < self.concurrency && passed < self.turns.len() {
            let Some(id) = self.turns.pop_front() else {
                return;
            };
            let Some(consumed) = self.queues.get_mut(&id) else {
                continue;
            };
            let route = &mut self.routes[consumed.queue.route];
            if route.running >= route.most(self.concurrency) {
                self.turns.push_back(id);
                passed += 1;
                continue;
            }
            let Some(waiting) = consumed.ahead.pop_front() else {
                continue;
            };
            passed = 0;
            route.outstanding -= 1;
            self.outstanding -= 1;
            self.turns.push_back(id);
            if self.engine.held.holds(waiting.claimed.key) {
                self.start(waiting.claimed.key.msg_id, waiting);
            }
        }
    }

    /// Gives back what was claimed for handlers that turned out to be slow.
    pub(super) fn forgo_late(&mut self, now: Instant) {
        let late = |it: &Consumed| it.ahead.front().is_some_and(|it| it.since + LATE <= now);
        let late: Vec<QueueId> = self
            .queues
            .iter()
            .filter(|(_, it)| late(it))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(consumed) = self.queues.get_mut(&id) {
                let ahead = std::mem::take(&mut consumed.ahead);
                self.routes[consumed.queue.route].pace.is_slow();
                self.forgo(ahead);
            }
        }
    }

    pub(super) fn forgo(&mut self, ahead: VecDeque<Waiting>) {
        for waiting in ahead {
            self.outstanding -= 1;
            self.routes[waiting.claimed.queue.route].outstanding -= 1;
            self.settle(waiting.claimed, End::GiveBack);
        }
    }

    /// When what is claimed ahead is late.
    pub(super) fn late(&self) -> Option<Instant> {
        let ahead = self.turns.iter().filter_map(|id| self.queues.get(id));
        ahead
            .filter_map(|it| it.ahead.front())
            .map(|it| it.since + LATE)
            .min()
    }

    /// Gives the message to its handler, or moves it where it was tried often enough.
    pub(super) fn start(&mut self, group: i64, waiting: Waiting) {
        let Waiting {
            message,
            claimed,
            waited,
            since,
        } = waiting;
        let key = claimed.key;
        let most = claimed.queue.retry.max_attempts();
        if key.read_count > most {
            let error = format!(
                "none of {most} attempts had a result: the process ended, or lost its lease"
            );
            let reason = DeadReason::Attempts;
            self.settle(claimed, End::Dead { reason, error });
            return;
        }
        let route = &mut self.routes[claimed.queue.route];
        route.running += 1;
        route.outstanding += 1;
        self.running += 1;
        self.outstanding += 1;
        self.engine.counters.started(waited + since.elapsed());
        let engine = &self.engine;
        let claim = Claim::new(
            Arc::clone(&claimed),
            engine.client.clone(),
            Arc::clone(&engine.held),
        );
        let span = tracing::info_span!(
            "pgmq_notify_consumer.handle",
            queue = claimed.queue.name.as_str(),
            msg_id = key.msg_id,
            attempt = key.read_count,
        );
        let handling = route.handler.handle(message, claim);
        let running = claimed.running();
        let handling = async move {
            let _running = running;
            let begin = Instant::now();
            let outcome = handling.await;
            Ended {
                claimed,
                group,
                took: begin.elapsed(),
                outcome,
            }
        };
        self.handlers.spawn(handling.instrument(span));
    }

    pub(super) fn ended(&mut self, ended: Ended) {
        let Ended {
            claimed,
            group,
            took,
            outcome,
        } = ended;
        self.routes[claimed.queue.route].pace.handled(took);
        let id = claimed.key.queue;
        let route = &mut self.routes[claimed.queue.route];
        route.running -= 1;
        route.outstanding -= 1;
        self.running -= 1;
        self.outstanding -= 1;
        let may_go_on = self.conclude(&claimed, outcome);
        if claimed.queue.order == Order::FifoGroups {
            if may_go_on {
                self.next_of_group(id, group);
            } else {
                self.give_back_group(id, group);
            }
        }
    }

    /// Settles a message by its outcome; whether the next one of its group may begin.
    pub(super) fn conclude(&mut self, claimed: &Arc<Claimed>, outcome: Outcome) -> bool {
        let key = claimed.key;
        let counters = &self.engine.counters;
        if claimed.is_released() {
            if let Some(at) = claimed.released_until() {
                self.schedule.due(key.queue, at);
            }
            counters.released.add(1);
            self.engine.held.remove(key);
            return false;
        }
        let (decision, error) = match outcome {
            Outcome::Done if claimed.is_finished() => {
                counters.done.add(1);
                self.engine.held.remove(key);
                return true;
            }
            Outcome::Done => {
                return self.settle(Arc::clone(claimed), End::Acknowledge);
            }
            Outcome::Undecodable(error) => {
                counters.undecodable.add(1);
                let error = kept(&format!("the body does not decode: {error}"));
                let reason = DeadReason::Undecodable;
                return self.settle(Arc::clone(claimed), End::Dead { reason, error });
            }
            Outcome::Panicked(text) => {
                counters.panicked.add(1);
                (Decision::Policy, kept(&text))
            }
            Outcome::Failed { decision, error } => (decision, error),
        };
        let policy = &claimed.queue.retry;
        let end = if decision == Decision::Dead {
            let reason = DeadReason::Fatal;
            End::Dead { reason, error }
        } else if key.read_count >= policy.max_attempts() {
            let reason = DeadReason::Attempts;
            End::Dead { reason, error }
        } else {
            let delay = match decision {
                Decision::After(delay) => delay,
                _ => policy.delay(key.read_count, fastrand::f64()),
            };
            tracing::warn!(
                queue = claimed.queue.name.as_str(),
                msg_id = key.msg_id,
                attempt = key.read_count,
                delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                cause = error,
                "a handler failed"
            );
            End::Retry { delay, error }
        };
        let leaves = matches!(end, End::Dead { .. });
        self.settle(Arc::clone(claimed), end) && leaves
    }

    /// False when the lease was lost: then it is not this process's to settle.
    pub(super) fn settle(&self, claimed: Arc<Claimed>, end: End) -> bool {
        if !self.engine.held.holds(claimed.key) {
            return false;
        }
        // There is room for all that may be held.
        if let Err(error) = self.settling.try_send(Settlement::new(claimed, end)) {
            let cause = error.to_string();
            let claimed = error.into_inner().claimed;
            tracing::error!(
                queue = claimed.queue.name.as_str(),
                msg_id = claimed.key.msg_id,
                attempt = claimed.key.read_count,
                cause,
                "a message could not be settled"
            );
            self.engine.counted(|it| &it.unsettled);
        }
        true
    }

    pub(super) fn next_of_group(&mut self, id: QueueId, group: i64) {
        let next = self
            .groups
            .get_mut(&(id, group))
            .and_then(VecDeque::pop_front);
        let Some(next) = next else {
            self.groups.remove(&(id, group));
            return;
        };
        if !self.engine.held.holds(next.claimed.key) {
            self.give_back_group(id, group);
            return;
        }
        let is_spent = next.claimed.key.read_count > next.claimed.queue.retry.max_attempts();
        self.start(group, next);
        if is_spent {
            self.next_of_group(id, group);
        }
    }

    pub(super) fn give_back_group(&mut self, id: QueueId, group: i64) {
        for waiting in self.groups.remove(&(id, group)).into_iter().flatten() {
            self.settle(waiting.claimed, End::GiveBack);
        }
    }
}
