//! The task that decides: which queue is looked at, which message is started, what becomes of it.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use pgmq_notify_core::{Namespace, PgmqNotifyEvent, QueueName, RawJson};
use pgmq_notify_listener::PgmqNotifyListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::Instrument as _;

use super::Order;
use super::claim::{Claim, Claimed};
use super::claiming::{Ask, Batch, Visible, claim};
use super::connection::{OwnConnection, late};
use super::engine::Engine;
use super::handler::{Decision, Handle, Outcome, kept};
use super::held::Key;
use super::outage::Outage;
use super::queue::{Found, Queue, QueueId, find};
use super::schedule::{Holds, Reason, Schedule, Seen, Turn};
use super::settler::{DeadReason, End, Settled, Settlement};
use super::source::{Queues, Source};
use crate::call::Call;
use crate::failure::{Failure, explain};
use crate::{ClientError, ErrorKind, Message};

/// With groups: so many of the oldest messages are looked at, and more where that brings nothing.
const WINDOW: i64 = 1_000;
const WIDEST_WINDOW: i64 = 1_000_000;
/// So many messages may wait for their settlement beside those that are handled.
const UNSETTLED: usize = 2_000;
/// Of more messages than this a look at the whole queue is cheaper than one by their ids.
const TOLD: usize = 16;
/// A claim whose answer comes later is worth little.
const CLAIMED_WITHIN: Duration = Duration::from_secs(10);
/// A look at the queues, for which a connection of the application's pool has to be had.
const REFRESHED_WITHIN: Duration = Duration::from_mins(1);
/// A handler that was told to end, and does not block its thread.
const ENDED_WITHIN: Duration = Duration::from_millis(100);

/// A source with its handler.
pub(crate) struct Route {
    pub(crate) source: Source,
    pub(crate) handler: Arc<dyn Handle>,
    /// Messages that are handled, one of each group.
    running: usize,
    /// With those that are being claimed, or are claimed and wait for a handler.
    outstanding: usize,
    pace: Pace,
}

impl Route {
    pub(crate) fn new(source: Source, handler: Arc<dyn Handle>) -> Self {
        Self {
            source,
            handler,
            running: 0,
            outstanding: 0,
            pace: Pace::default(),
        }
    }

    /// Of all handlers, those that it may use.
    fn most(&self, concurrency: usize) -> usize {
        self.source
            .concurrency
            .unwrap_or(usize::MAX)
            .min(concurrency)
    }

    /// How many messages more than there are free handlers may be claimed: by the time of the answer so
    /// many handlers will have ended. None where they take much longer than a claim.
    fn ahead(&self, concurrency: usize) -> usize {
        match self.source.order {
            Order::Unordered => self
                .pace
                .ahead(self.most(concurrency), self.source.batch_size),
            Order::FifoGroups => 0,
        }
    }
}

/// What the consumer's handle asks for.
pub(crate) enum Command {
    Pause(QueueName, oneshot::Sender<bool>),
    Resume(QueueName, oneshot::Sender<bool>),
    Shutdown(Deadline),
}

/// The bounds of a shutdown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// When handlers that still run are ended.
    pub(crate) handlers: Instant,
    /// When the process goes, whatever is not settled.
    pub(crate) all: Instant,
}

/// When the task ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Shutdown,
    /// There is nothing left that is visible, or becomes so before then.
    Drained(Instant),
}

struct Consumed {
    queue: Arc<Queue>,
    window: i64,
    /// All that was visible has been claimed, so that what is visible now is what is told of.
    is_known: bool,
    /// Messages that events have told of since the last look, and when they became visible; none where
    /// there are more than can be named.
    told: Option<Vec<(i64, SystemTime)>>,
    /// Claimed, and waiting for a handler that is about to be free.
    ahead: VecDeque<Waiting>,
}

struct Looked {
    id: QueueId,
    route: usize,
    connection: OwnConnection,
    asked: usize,
    /// Whether it was a look at the whole queue.
    is_whole: bool,
    before: Instant,
    result: Result<Batch, Failure>,
}

struct Ended {
    claimed: Arc<Claimed>,
    group: i64,
    took: Duration,
    outcome: Outcome,
}

/// A message that is claimed and not started.
struct Waiting {
    message: Message<RawJson>,
    claimed: Arc<Claimed>,
    /// From its visibility, and since when that was known.
    waited: Duration,
    since: Instant,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one turn of the loop, on the stack"
)]
enum Happening {
    Command(Option<Command>),
    Looked(Looked),
    Ended(Ended),
    Event(Option<PgmqNotifyEvent>),
    Settled(Settled),
    Refreshed(Result<Vec<Found>, Failure>),
    Timer,
}

pub(crate) struct Dispatcher {
    engine: Arc<Engine>,
    routes: Vec<Route>,
    concurrency: usize,
    until: Until,
    queues: HashMap<QueueId, Consumed>,
    by_name: HashMap<String, Vec<QueueId>>,
    schedule: Schedule,
    listener: Option<PgmqNotifyListener>,
    idle: Vec<OwnConnection>,
    looking: FuturesUnordered<BoxFuture<'static, Looked>>,
    refreshing: Option<BoxFuture<'static, Result<Vec<Found>, Failure>>>,
    wants_refresh: bool,
    handlers: JoinSet<Ended>,
    /// As for a route.
    running: usize,
    outstanding: usize,
    /// The queues with messages ahead, in the order of their turns.
    turns: VecDeque<QueueId>,
    /// The messages of a group behind the one that is handled.
    groups: HashMap<(QueueId, i64), VecDeque<Waiting>>,
    settling: mpsc::Sender<Settlement>,
    settled: mpsc::Receiver<Settled>,
    commands: mpsc::Receiver<Command>,
    outage: Outage,
    patience: Patience,
    next_id: QueueId,
    serial: u64,
    /// Something was handled since all queues were last found empty.
    is_stale: bool,
}

/// What the dispatcher needs to begin.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) routes: Vec<Route>,
    pub(crate) concurrency: usize,
    pub(crate) until: Until,
    pub(crate) safety_poll: Duration,
    pub(crate) listener: Option<PgmqNotifyListener>,
    pub(crate) connections: Vec<OwnConnection>,
    pub(crate) settling: mpsc::Sender<Settlement>,
    pub(crate) settled: mpsc::Receiver<Settled>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            engine: parts.engine,
            routes: parts.routes,
            concurrency: parts.concurrency,
            until: parts.until,
            queues: HashMap::new(),
            by_name: HashMap::new(),
            schedule: Schedule::new(parts.safety_poll),
            listener: parts.listener,
            idle: parts.connections,
            looking: FuturesUnordered::new(),
            refreshing: None,
            wants_refresh: false,
            handlers: JoinSet::new(),
            running: 0,
            outstanding: 0,
            turns: VecDeque::new(),
            groups: HashMap::new(),
            settling: parts.settling,
            settled: parts.settled,
            commands: parts.commands,
            outage: Outage::default(),
            patience: Patience::default(),
            next_id: 0,
            serial: 0,
            is_stale: false,
        }
    }

    /// Consumes the queues that were found, as far as a source names them, and no others.
    pub(crate) fn consume(&mut self, found: &[Found]) {
        let wanted = |it: &Found| {
            self.routes
                .iter()
                .position(|route| takes(&route.source, it))
        };
        let wanted: Vec<(usize, &Found)> = found
            .iter()
            .filter_map(|it| Some((wanted(it)?, it)))
            .collect();
        let gone: Vec<QueueId> = self
            .queues
            .values()
            .map(|it| &it.queue)
            .filter(|queue| !wanted.iter().any(|(_, it)| it.name == queue.name))
            .map(|queue| queue.id)
            .collect();
        for id in gone {
            self.leave(id);
        }
        for (route, found) in wanted {
            if !self.queues.values().any(|it| it.queue.name == found.name) {
                self.join(route, found);
            }
        }
    }

    fn join(&mut self, route: usize, found: &Found) {
        let id = self.next_id;
        let queue = match Queue::new(id, route, found, &self.routes[route].source) {
            Ok(queue) => Arc::new(queue),
            Err(error) => {
                let queue = found.name.as_str();
                let cause = &error as &dyn std::error::Error;
                tracing::error!(queue, cause, "a queue cannot be consumed");
                return;
            }
        };
        self.next_id += 1;
        tracing::debug!(queue = found.name.as_str(), "a queue is consumed");
        self.by_name
            .entry(found.name.as_str().to_lowercase())
            .or_default()
            .push(id);
        self.queues.insert(
            id,
            Consumed {
                queue,
                window: WINDOW,
                is_known: false,
                told: None,
                ahead: VecDeque::new(),
            },
        );
        self.schedule.add(id, Instant::now());
    }

    fn leave(&mut self, id: QueueId) {
        let Some(consumed) = self.queues.remove(&id) else {
            return;
        };
        let name = consumed.queue.name.as_str();
        tracing::debug!(queue = name, "a queue is not consumed any more");
        if let Some(ids) = self.by_name.get_mut(&name.to_lowercase()) {
            ids.retain(|it| *it != id);
        }
        self.schedule.remove(id);
        self.forgo(consumed.ahead);
    }

    /// Works until the shutdown is asked for, or all is drained. Returns the deadline of the shutdown.
    pub(crate) async fn run(&mut self) -> Option<Deadline> {
        loop {
            self.look();
            if let Until::Drained(until) = self.until
                && self.is_drained(until)
            {
                return None;
            }
            match self.next().await {
                Happening::Command(Some(Command::Shutdown(deadline))) => return Some(deadline),
                Happening::Command(Some(command)) => self.obey(command),
                // The handle is gone, and with it whoever could ask for anything.
                Happening::Command(None) => return None,
                Happening::Looked(looked) => self.looked(looked),
                Happening::Ended(ended) => {
                    self.ended(ended);
                    while let Some(Ok(ended)) = self.handlers.try_join_next() {
                        self.ended(ended);
                    }
                    self.start_ahead();
                }
                Happening::Event(event) => self.heard(event),
                Happening::Settled(Settled { queue, due }) => {
                    if let Some(due) = due {
                        self.schedule.due(queue, due);
                    }
                    let grouped = |it: &Consumed| it.queue.order == Order::FifoGroups;
                    if self.queues.get(&queue).is_some_and(grouped) {
                        self.schedule.wake(queue, Reason::Settled);
                    }
                }
                Happening::Refreshed(Ok(found)) => self.consume(&found),
                Happening::Refreshed(Err(failure)) => {
                    let error = explained(&Call::new("look at the queues", &[]), failure);
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(cause, "the queues could not be looked at");
                    self.wants_refresh = true;
                    self.outage.failed(Instant::now(), fastrand::f64());
                }
                Happening::Timer => {
                    let now = Instant::now();
                    self.outage.expire(now);
                    self.schedule.expire(now, fastrand::f64);
                    self.forgo_late(now);
                }
            }
        }
    }

    /// Cancel safe in each of its branches.
    async fn next(&mut self) -> Happening {
        let timers = [
            self.schedule.next_timer(),
            self.outage.until(),
            self.patience.until(),
            self.late(),
        ];
        let timer = timers.into_iter().flatten().min();
        let timer = async {
            match timer {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        let refreshed = async {
            match &mut self.refreshing {
                Some(refreshing) => refreshing.await,
                None => pending().await,
            }
        };
        let event = async {
            match &mut self.listener {
                Some(listener) => listener.next_event().await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(looked) = self.looking.next() => Happening::Looked(looked),
            Some(Ok(ended)) = self.handlers.join_next() => Happening::Ended(ended),
            event = event => match event {
                Ok(event) => Happening::Event(event),
                Err(error) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::error!(cause, "no more events");
                    Happening::Event(None)
                }
            },
            Some(settled) = self.settled.recv() => Happening::Settled(settled),
            command = self.commands.recv() => Happening::Command(command),
            found = refreshed => {
                self.refreshing = None;
                Happening::Refreshed(found)
            }
            () = timer => Happening::Timer,
        }
    }

    /// Begins as many claims as there are connections and free handlers for.
    fn look(&mut self) {
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

    fn begin(&mut self, turn: Turn, asked: usize) {
        let Turn { id, reason, .. } = turn;
        let (Some(consumed), Some(mut connection)) = (self.queues.get_mut(&id), self.idle.pop())
        else {
            return;
        };
        self.routes[consumed.queue.route].outstanding += asked;
        self.outstanding += asked;
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
        let is_whole = matches!(ask, Ask::Oldest { .. });
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
            let mut refused = None;
            let result = connection
                .run(within, async |it| match claim(it, &queue, &ask).await {
                    Ok(batch) => Ok(Some(batch)),
                    Err(Failure::Sqlx(error)) => Err(error),
                    Err(failure) => {
                        refused = Some(failure);
                        Ok(None)
                    }
                })
                .await;
            let result = match (result, refused) {
                (_, Some(failure)) => Err(failure),
                (Ok(Some(batch)), None) => {
                    own.record("claimed", batch.messages.len());
                    Ok(batch)
                }
                (Ok(None), None) => Err(Failure::unexpected("a claim without an answer")),
                (Err(error), None) => Err(Failure::Sqlx(error)),
            };
            Looked {
                id,
                route,
                connection,
                asked,
                is_whole,
                before,
                result,
            }
        };
        self.looking.push(Box::pin(looking.instrument(span)));
    }

    fn looked(&mut self, looked: Looked) {
        let Looked {
            id,
            route,
            connection,
            asked,
            is_whole,
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
                self.claimed(id, batch, is_whole.then_some(asked), before, now);
            }
            Err(failure) => self.not_claimed(id, failure, now),
        }
    }

    /// `asked` is for how many of the whole queue; none for those that events told of.
    fn claimed(
        &mut self,
        id: QueueId,
        batch: Batch,
        asked: Option<usize>,
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
            again,
            holds: match queue.order {
                _ if self.engine.held.len() == 0 => Holds::Nothing,
                Order::Unordered => Holds::Messages,
                Order::FifoGroups => Holds::Groups,
            },
        };
        self.schedule.looked(id, now, &seen, fastrand::f64());
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

    fn waiting(&mut self, queue: &Arc<Queue>, visible: Visible, since: Instant) -> (i64, Waiting) {
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

    fn not_claimed(&mut self, id: QueueId, failure: Failure, now: Instant) {
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

    /// Gives free handlers what waits for them, from each queue in turn.
    fn start_ahead(&mut self) {
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
    fn forgo_late(&mut self, now: Instant) {
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

    fn forgo(&mut self, ahead: VecDeque<Waiting>) {
        for waiting in ahead {
            self.outstanding -= 1;
            self.routes[waiting.claimed.queue.route].outstanding -= 1;
            self.settle(waiting.claimed, End::GiveBack);
        }
    }

    /// When what is claimed ahead is late.
    fn late(&self) -> Option<Instant> {
        let ahead = self.turns.iter().filter_map(|id| self.queues.get(id));
        ahead
            .filter_map(|it| it.ahead.front())
            .map(|it| it.since + LATE)
            .min()
    }

    /// Gives the message to its handler, or moves it where it was tried often enough.
    fn start(&mut self, group: i64, waiting: Waiting) {
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

    fn ended(&mut self, ended: Ended) {
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
    fn conclude(&mut self, claimed: &Arc<Claimed>, outcome: Outcome) -> bool {
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
    fn settle(&self, claimed: Arc<Claimed>, end: End) -> bool {
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

    fn next_of_group(&mut self, id: QueueId, group: i64) {
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

    fn give_back_group(&mut self, id: QueueId, group: i64) {
        for waiting in self.groups.remove(&(id, group)).into_iter().flatten() {
            self.settle(waiting.claimed, End::GiveBack);
        }
    }

    fn heard(&mut self, event: Option<PgmqNotifyEvent>) {
        let Some(event) = event else {
            // The listener's task is gone, with its runtime.
            self.listener = None;
            return;
        };
        match event {
            PgmqNotifyEvent::MessageReady(event) => {
                let told = [event.msg_id];
                self.told(&event.queue_name, &told, event.ready_at, event.visible_at);
            }
            PgmqNotifyEvent::MessageWithPayload(event) => {
                let told = [event.msg_id];
                self.told(&event.queue_name, &told, event.ready_at, event.visible_at);
            }
            PgmqNotifyEvent::BatchReady(event) => {
                let told = &event.msg_ids;
                self.told(&event.queue_name, told, event.ready_at, event.visible_at);
            }
            PgmqNotifyEvent::QueueCreated(event) => {
                self.wants_refresh |= self.may_take(&event.queue_name, &event.namespace);
            }
            PgmqNotifyEvent::QueueDropped(event) => {
                let is_ours = self.ids(&event.queue_name).next().is_some();
                self.wants_refresh |= is_ours;
            }
            PgmqNotifyEvent::Resumed(_) => {
                self.outage.over();
                self.wants_refresh = true;
                for consumed in self.queues.values_mut() {
                    consumed.told = None;
                }
                self.schedule.wake_all(Reason::Reconnected);
            }
            _ => {}
        }
    }

    /// An event of one message, or of several.
    fn told(
        &mut self,
        name: &QueueName,
        messages: &[i64],
        ready_at: SystemTime,
        visible_at: SystemTime,
    ) {
        // Both by the server's clock.
        let delay = visible_at.duration_since(ready_at).unwrap_or_default();
        let ids: Vec<QueueId> = self.ids(name).collect();
        let now = Instant::now();
        for id in ids {
            if !delay.is_zero() {
                if let Some(at) = now.checked_add(delay) {
                    self.schedule.due(id, at);
                }
                continue;
            }
            if let Some(consumed) = self.queues.get_mut(&id) {
                match (messages, &mut consumed.told) {
                    (&[msg_id], Some(told)) if told.len() < TOLD => {
                        told.push((msg_id, visible_at));
                    }
                    _ => consumed.told = None,
                }
            }
            let latest = messages.last().copied();
            self.schedule.told(id, latest, now, fastrand::f64());
        }
    }

    fn ids(&self, name: &QueueName) -> impl Iterator<Item = QueueId> {
        let ids = self.by_name.get(&name.as_str().to_lowercase());
        ids.into_iter().flatten().copied()
    }

    fn may_take(&self, name: &QueueName, namespace: &Namespace) -> bool {
        self.routes
            .iter()
            .any(|route| matches(&route.source, name, Some(namespace)))
    }

    fn refresh(&mut self) {
        let client = self.engine.client.clone();
        let with_namespaces = self.listener.is_some();
        let refreshing = async move {
            let mut connection = client.pool().acquire().await?;
            Ok(find(&mut connection, with_namespaces).await?)
        };
        // A connection may be dead without anybody having told the pool.
        self.refreshing = Some(Box::pin(async move {
            let refreshed = timeout(REFRESHED_WITHIN, refreshing).await;
            refreshed.unwrap_or_else(|_| Err(Failure::Sqlx(late("no answer in time"))))
        }));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Pause(name, answer) => {
                let ids: Vec<QueueId> = self.ids(&name).collect();
                let mut is_paused = false;
                for id in ids {
                    is_paused |= self.schedule.pause(id);
                    if let Some(consumed) = self.queues.get_mut(&id) {
                        let ahead = std::mem::take(&mut consumed.ahead);
                        self.forgo(ahead);
                    }
                }
                let _ = answer.send(is_paused);
            }
            Command::Resume(name, answer) => {
                let ids: Vec<QueueId> = self.ids(&name).collect();
                let resumed = ids.into_iter().filter(|id| self.schedule.resume(*id));
                let _ = answer.send(resumed.count() > 0);
            }
            Command::Shutdown(_) => {}
        }
    }

    /// All was looked at since the last message was handled, and nothing was found.
    fn is_drained(&mut self, until: Instant) -> bool {
        let is_idle = self.looking.is_empty()
            && self.handlers.is_empty()
            && self.engine.held.len() == 0
            && self.schedule.is_quiet(until);
        if is_idle && self.is_stale {
            self.is_stale = false;
            self.schedule.wake_all(Reason::Settled);
            self.look();
            return false;
        }
        is_idle
    }

    /// Claims nothing more, gives back what has not begun, lets the handlers finish until `deadline`,
    /// and ends the others.
    pub(crate) async fn stop(mut self, deadline: Instant) -> usize {
        self.settled.close();
        let ahead: Vec<VecDeque<Waiting>> = self
            .queues
            .values_mut()
            .map(|it| std::mem::take(&mut it.ahead))
            .collect();
        for ahead in ahead {
            self.forgo(ahead);
        }
        let groups: Vec<(QueueId, i64)> = self.groups.keys().copied().collect();
        for (id, group) in groups {
            self.give_back_group(id, group);
        }
        // What is in the middle of being claimed is claimed.
        while let Ok(Some(looked)) = timeout_at(deadline, self.looking.next()).await {
            if let Ok(batch) = looked.result
                && let Some(consumed) = self.queues.get(&looked.id)
            {
                let queue = Arc::clone(&consumed.queue);
                self.engine
                    .counters
                    .claimed
                    .add(batch.messages.len() as u64);
                let now = Instant::now();
                for visible in batch.messages {
                    let (_, waiting) = self.waiting(&queue, visible, now);
                    let ends = looked.before + queue.visibility_timeout;
                    self.engine
                        .held
                        .insert([Arc::clone(&waiting.claimed)], ends);
                    self.settle(waiting.claimed, End::GiveBack);
                }
            }
            self.idle.push(looked.connection);
        }
        self.take_leave_and_finish(deadline).await;
        let aborted = self.abort().await;
        for claimed in self.engine.held.snapshot() {
            if claimed.is_running() {
                // Nobody can end a handler that blocks its thread. It keeps its message until the
                // visibility timeout ends.
                claimed.lost.cancel();
            } else if claimed.is_released() {
                self.engine.counters.released.add(1);
                self.engine.held.remove(claimed.key);
            } else if claimed.is_open() || claimed.is_finished() {
                // One that had finished is rolled back: its transaction has ended with it.
                claimed.lost.cancel();
                self.settle(claimed, End::Return);
            }
        }
        aborted
    }

    /// A server that does not answer must cost the handlers no time.
    async fn take_leave_and_finish(&mut self, deadline: Instant) {
        let listener = self.listener.take();
        let connections = std::mem::take(&mut self.idle);
        let leave = async {
            let disconnect = async {
                if let Some(mut listener) = listener {
                    listener.disconnect().await;
                }
            };
            let close = join_all(connections.into_iter().map(OwnConnection::close));
            tokio::join!(disconnect, close);
        };
        let finish = async {
            while let Ok(Some(ended)) = timeout_at(deadline, self.handlers.join_next()).await {
                if let Ok(ended) = ended {
                    self.conclude(&ended.claimed, ended.outcome);
                }
            }
        };
        let _ = tokio::join!(timeout_at(deadline, leave), finish);
    }

    /// Ends the handlers that still run, and says how many they were.
    async fn abort(&mut self) -> usize {
        self.handlers.abort_all();
        let until = Instant::now() + ENDED_WITHIN;
        let mut aborted = 0;
        while let Ok(Some(ended)) = timeout_at(until, self.handlers.join_next()).await {
            match ended {
                // In the last moment.
                Ok(ended) => {
                    self.conclude(&ended.claimed, ended.outcome);
                }
                Err(_) => aborted += 1,
            }
        }
        aborted + self.handlers.len()
    }
}

/// How long the handlers and the claims of a source take, by the last few dozen of them.
#[derive(Debug, Default)]
struct Pace {
    /// Microseconds.
    handler: f64,
    claim: f64,
}

impl Pace {
    fn handled(&mut self, took: Duration) {
        self.handler += (took.as_secs_f64() * 1e6 - self.handler) / 32.0;
    }

    fn claimed(&mut self, took: Duration) {
        self.claim += (took.as_secs_f64() * 1e6 - self.claim) / 32.0;
    }

    /// That was not foreseen.
    fn is_slow(&mut self) {
        self.handler = LATE.as_secs_f64() * 1e6;
    }

    /// How often so many handlers end within a claim, and no more than are claimed at a time.
    fn ahead(&self, handlers: usize, most: usize) -> usize {
        if self.handler == 0.0 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "neither is negative, and the result is bounded"
        )]
        let ahead = (handlers as f64 * (self.claim / self.handler)).min(1e6) as usize;
        ahead.min(most.saturating_sub(handlers))
    }
}

/// What waits for a handler for so long is given back: others may have one that is free.
const LATE: Duration = Duration::from_secs(1);

/// Handlers that have not ended by then are not waited for.
const PATIENCE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
struct Patience(Option<Instant>);

impl Patience {
    fn begin(&mut self) {
        self.0.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    fn end(&mut self) {
        self.0 = None;
    }

    fn is_over(&self) -> bool {
        self.0.is_some_and(|until| until <= Instant::now())
    }

    /// While it lasts.
    fn until(&self) -> Option<Instant> {
        self.0.filter(|until| *until > Instant::now())
    }
}

fn takes(source: &Source, found: &Found) -> bool {
    matches(source, &found.name, found.namespace.as_ref())
}

fn matches(source: &Source, name: &QueueName, namespace: Option<&Namespace>) -> bool {
    match &source.queues {
        Queues::Named(names) => names.iter().any(|it| *name == it.as_str()),
        Queues::Namespace(wanted) => {
            namespace.is_some_and(|it| it.as_str() == wanted)
                && !source.dead_letters.is_one(name.as_str())
        }
    }
}

fn explained(call: &Call, failure: Failure) -> ClientError {
    match failure {
        Failure::Client(error) => error,
        Failure::Sqlx(error) => explain(call, error),
    }
}
