//! Looks into queues: when, for how much, and what comes of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::Instrument as _;

use super::route::Route;
use super::{Dispatcher, Looked, Waiting, explained};
use crate::ErrorKind;
use crate::call::Call;
use crate::consumer::Order;
use crate::consumer::claim::Claimed;
use crate::consumer::claiming::{Ask, Batch, Visible, claim, read};
use crate::consumer::held::Key;
use crate::consumer::parking::Sight;
use crate::consumer::queue::{Queue, QueueId};
use crate::consumer::reason::Reason;
use crate::consumer::schedule::{Holds, Seen, Turn};
use crate::consumer::settlement::End;
use crate::failure::Failure;

/// With groups: so many of the oldest messages are looked at, and more where that brings nothing.
pub(super) const WINDOW: i64 = 1_000;
const WIDEST_WINDOW: i64 = 1_000_000;
/// So many messages may wait for their settlement beside those that are handled.
const UNSETTLED: usize = 2_000;
/// A claim whose answer comes later is worth little.
const CLAIMED_WITHIN: Duration = Duration::from_secs(10);

impl Dispatcher {
    /// Begins as many claims as there are connections and free handlers for.
    pub(super) fn look(&mut self) {
        if self.outage.until().is_some() {
            return;
        }
        if self.wants_refresh && self.refreshing.is_none() {
            self.wants_refresh = false;
            self.refresh();
        }
        // Settlements that do not get on hold up the claims.
        while !self.idle.is_empty() && self.engine.held.len() < self.concurrency + UNSETTLED {
            let most = |route: &Route| route.most(self.concurrency) + route.ahead(self.concurrency);
            let room = |id: QueueId, reason: Reason| {
                let route = &self.routes[self.queues.get(&id)?.queue.route];
                // One message more may be started by another consumer while this one is busy.
                let ahead = match reason {
                    Reason::FullBatch => route.ahead(self.concurrency),
                    _ => 0,
                };
                let own = (route.most(self.concurrency) + ahead).saturating_sub(route.outstanding);
                let all = self.concurrency + ahead;
                Some(own.min(all.saturating_sub(self.outstanding)))
            };
            let is_worth_it = |id: QueueId, reason: Reason, room: usize| {
                let worth = self.queues.get(&id).map_or(1, |it| {
                    let worth = most(&self.routes[it.queue.route]) / 2;
                    worth.clamp(1, it.queue.batch_size)
                });
                reason != Reason::FullBatch || room >= worth || self.patience.is_over()
            };
            let may = |id, reason| {
                let room = room(id, reason).unwrap_or(0);
                room > 0 && is_worth_it(id, reason, room)
            };
            let ready = self.schedule.ready().max(1);
            let Some(turn) = self.schedule.next(may) else {
                if self.schedule.ready() > 0 {
                    let starving = self.schedule.waiting();
                    let starving: Vec<QueueId> = starving
                        .filter(|(id, reason)| room(*id, *reason) == Some(0))
                        .map(|(id, _)| id)
                        .collect();
                    self.starve(&starving);
                    self.patience.begin();
                }
                return;
            };
            // Those that wait for their turn get the same number of handlers each.
            let share = room(turn.id, turn.reason).unwrap_or(0).div_ceil(ready);
            let asked = share.min(self.queues[&turn.id].queue.batch_size);
            self.patience.end();
            self.begin(turn, asked);
        }
    }

    pub(super) fn begin(&mut self, turn: Turn, asked: usize) {
        let Turn { id, reason, .. } = turn;
        let (Some(consumed), Some(mut connection)) = (self.queues.get_mut(&id), self.idle.pop())
        else {
            return;
        };
        self.routes[consumed.queue.route].outstanding += asked;
        self.outstanding += asked;
        self.parking.looks(id);
        self.engine.counters.woken(reason);
        self.engine.counted(|it| &it.claims);
        let queue = Arc::clone(&consumed.queue);
        let is_enough = consumed.is_known && reason == Reason::Event;
        let ask = match consumed.told.replace(Vec::new()) {
            Some(told) if is_enough && (1..=asked).contains(&told.len()) => Ask::Told(told),
            _ => Ask::Oldest {
                handlers: asked,
                window: consumed.window,
                looks_first: turn.has_yielded,
            },
        };
        let told = match &ask {
            Ask::Oldest { .. } => None,
            Ask::Told(told) => Some(told.len()),
        };
        let span = tracing::debug_span!(
            "pgmq_notify_consumer.claim",
            queue = queue.name.as_str(),
            reason = reason.as_str(),
            asked,
            claimed = tracing::field::Empty,
        );
        let route = queue.route;
        let own = span.clone();
        let looking = async move {
            let before = Instant::now();
            let within = queue.visibility_timeout.min(CLAIMED_WITHIN);
            let rows = connection
                .run(within, async |it| claim(it, &queue, &ask).await)
                .await;
            let result = rows
                .map_err(Failure::Sqlx)
                .and_then(|rows| read(&queue, &ask, &rows));
            if let Ok(batch) = &result {
                own.record("claimed", batch.messages.len());
            }
            Looked {
                id,
                route,
                connection,
                asked,
                reason,
                told,
                before,
                result,
            }
        };
        self.looking.push(Box::pin(looking.instrument(span)));
    }

    pub(super) fn looked(&mut self, looked: Looked) {
        let Looked {
            id,
            route,
            connection,
            asked,
            reason,
            told,
            before,
            result,
        } = looked;
        self.idle.push(connection);
        self.routes[route].outstanding -= asked;
        self.outstanding -= asked;
        let now = Instant::now();
        self.routes[route].pace.claimed(now - before);
        match result {
            Ok(batch) => {
                self.outage.over();
                let brought = batch.messages.len();
                let is_short = match told {
                    Some(told) => brought < told,
                    None => brought == 0 && reason == Reason::Event,
                };
                let asked = told.is_none().then_some(asked);
                self.claimed(id, batch, asked, is_short, before, now);
            }
            Err(failure) => self.not_claimed(id, failure, now),
        }
    }

    /// `asked` is for how many of the whole queue; none for those that events told of. `is_short` when
    /// somebody else was there before.
    pub(super) fn claimed(
        &mut self,
        id: QueueId,
        batch: Batch,
        asked: Option<usize>,
        is_short: bool,
        before: Instant,
        now: Instant,
    ) {
        let counters = &self.engine.counters;
        let Some(consumed) = self.queues.get_mut(&id) else {
            // It was dropped or renamed meanwhile; its messages come back by themselves.
            return;
        };
        let queue = Arc::clone(&consumed.queue);
        let messages = batch.messages.len();
        counters.claimed.add(messages as u64);
        if messages == 0 {
            counters.empty_claims.add(1);
        } else {
            self.is_stale = true;
        }
        let mut again = None;
        if let Some(asked) = asked {
            let is_full = match queue.order {
                Order::Unordered => messages >= asked,
                Order::FifoGroups => messages > 0,
            };
            again = is_full.then_some(Reason::FullBatch);
            if batch.is_cut && messages == 0 && consumed.window < WIDEST_WINDOW {
                consumed.window *= 4;
                again = Some(Reason::FullBatch);
            } else if messages > 0 {
                consumed.window = WINDOW.max(consumed.window / 2);
            }
            consumed.is_known = !is_full && queue.order == Order::Unordered;
        }
        let ids: Vec<i64> = batch.messages.iter().map(|it| it.message.msg_id).collect();
        let longest = batch.messages.iter().map(|it| it.waited).max();
        let seen = Seen {
            messages: &ids,
            is_whole: asked.is_some(),
            is_full: asked.is_some_and(|asked| messages >= asked),
            waited: longest.unwrap_or_default(),
            due: batch.due,
            taken: is_short.then_some(queue.visibility_timeout),
            again,
            holds: match queue.order {
                _ if self.engine.held.len() == 0 => Holds::Nothing,
                Order::Unordered => Holds::Messages,
                Order::FifoGroups => Holds::Groups,
            },
        };
        self.schedule.looked(id, now, &seen, fastrand::f64());
        let sight = Sight {
            messages,
            is_full: seen.is_full && messages > 0,
            claimed: claimed_at(&batch, &queue),
        };
        if self.parking.looked(id, sight, asked.is_some(), now) {
            self.schedule.wake(id, Reason::Attending);
        }
        let waiting: Vec<(i64, Waiting)> = batch
            .messages
            .into_iter()
            .map(|it| self.waiting(&queue, it, now))
            .collect();
        let ends = before + queue.visibility_timeout;
        let claims = waiting.iter().map(|(_, it)| Arc::clone(&it.claimed));
        self.engine.held.insert(claims, ends);
        if self.schedule.is_paused(id) {
            // It was paused while the claim was under way.
            for (_, waiting) in waiting {
                self.settle(waiting.claimed, End::GiveBack);
            }
            return;
        }
        match queue.order {
            Order::Unordered => {
                self.routes[queue.route].outstanding += waiting.len();
                self.outstanding += waiting.len();
                if let Some(consumed) = self.queues.get_mut(&id) {
                    consumed.ahead.extend(waiting.into_iter().map(|(_, it)| it));
                }
                self.turns.push_back(id);
                self.start_ahead();
            }
            Order::FifoGroups => {
                let mut heads = Vec::new();
                for (group, waiting) in waiting {
                    if !heads.contains(&group) {
                        heads.push(group);
                    }
                    self.groups
                        .entry((id, group))
                        .or_default()
                        .push_back(waiting);
                }
                for head in heads {
                    self.next_of_group(id, head);
                }
            }
        }
    }

    pub(super) fn waiting(
        &mut self,
        queue: &Arc<Queue>,
        visible: Visible,
        since: Instant,
    ) -> (i64, Waiting) {
        let Visible {
            message,
            waited,
            group,
        } = visible;
        self.serial += 1;
        let key = Key {
            queue: queue.id,
            msg_id: message.msg_id,
            read_count: message.read_count,
            serial: self.serial,
        };
        let claimed = Arc::new(Claimed::new(Arc::clone(queue), key));
        let waiting = Waiting {
            message,
            claimed,
            waited,
            since,
        };
        (group, waiting)
    }

    pub(super) fn not_claimed(&mut self, id: QueueId, failure: Failure, now: Instant) {
        let Some(consumed) = self.queues.get_mut(&id) else {
            return;
        };
        consumed.is_known = false;
        consumed.told = None;
        let call = Call::new("claim", &[]).on(&Ok(consumed.queue.name.clone()));
        let error = explained(&call, failure);
        let queue = consumed.queue.name.as_str();
        let cause = &error as &dyn std::error::Error;
        match error.kind() {
            ErrorKind::QueueNotFound => {
                tracing::warn!(queue, cause, "a queue is gone");
                self.leave(id);
                self.wants_refresh = true;
            }
            ErrorKind::Connection | ErrorKind::Overloaded => {
                tracing::warn!(queue, cause, "the consumer has no connection");
                let until = self.outage.failed(now, fastrand::f64());
                self.schedule.failed(id, until);
            }
            _ => {
                tracing::error!(queue, cause, "messages could not be claimed");
                self.schedule.failed(id, now + Duration::from_secs(1));
            }
        }
    }
}

/// When it was claimed, by the server's clock.
fn claimed_at(batch: &Batch, queue: &Queue) -> Option<SystemTime> {
    let timeout = Duration::from_secs(queue.vt_seconds.unsigned_abs().into());
    let last = batch.messages.last()?;
    last.message.visible_at.checked_sub(timeout)
}
