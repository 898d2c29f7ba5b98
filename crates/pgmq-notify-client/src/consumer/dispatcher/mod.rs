//! The task that decides: which queue is looked at, which message is started, what becomes of it.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use pgmq_notify_core::{PgmqNotifyEvent, QueueName, RawJson};
use pgmq_notify_listener::PgmqNotifyListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Order;
use super::claim::Claimed;
use super::claiming::Batch;
use super::connection::OwnConnection;
use super::engine::Engine;
use super::handler::Outcome;
use super::outage::Outage;
use super::parking::Parking;
use super::queue::{Found, Queue, QueueId};
use super::reason::Reason;
use super::schedule::Schedule;
use super::settlement::{Settled, Settlement};
use crate::call::Call;
use crate::failure::{Failure, explain};
use crate::{ClientError, Message};

mod handling;
mod hearing;
mod looking;
mod membership;
mod pace;
mod parking;
mod route;
mod stopping;

use pace::Patience;
use parking::Said;
pub(crate) use route::Route;

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
    reason: Reason,
    /// For how many that events told of; none when it was a look at the whole queue.
    told: Option<usize>,
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

enum Happening {
    Command(Option<Command>),
    Looked(Looked),
    Ended(Ended),
    Event(Option<PgmqNotifyEvent>),
    Settled(Settled),
    Refreshed(Result<Vec<Found>, Failure>),
    Said(Said),
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
    /// When the queues are looked at for no other reason.
    next_refresh: Option<Instant>,
    safety_poll: Duration,
    parking: Parking,
    /// For what parking says; none while it says something.
    speaking: Option<OwnConnection>,
    saying: Option<BoxFuture<'static, Said>>,
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
    pub(crate) speaking: OwnConnection,
    pub(crate) settling: mpsc::Sender<Settlement>,
    pub(crate) settled: mpsc::Receiver<Settled>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        // Of all consumers of a database hardly two draw the same; JSON knows it as an integer.
        let consumer = fastrand::i64(1..1 << 53);
        Self {
            engine: parts.engine,
            routes: parts.routes,
            concurrency: parts.concurrency,
            until: parts.until,
            queues: HashMap::new(),
            by_name: HashMap::new(),
            schedule: Schedule::new(parts.safety_poll),
            next_refresh: parts.listener.is_some().then(|| now + parts.safety_poll),
            listener: parts.listener,
            idle: parts.connections,
            looking: FuturesUnordered::new(),
            refreshing: None,
            wants_refresh: false,
            safety_poll: parts.safety_poll,
            parking: Parking::new(consumer, parts.safety_poll, now),
            speaking: Some(parts.speaking),
            saying: None,
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

    /// Works until the shutdown is asked for, or all is drained. Returns the deadline of the shutdown.
    pub(crate) async fn run(&mut self) -> Option<Deadline> {
        loop {
            self.look();
            self.say();
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
                Happening::Said(said) => self.said(said),
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
                    let wanted = self.parking.expire(now);
                    self.want(wanted);
                    self.forgo_late(now);
                    if self.next_refresh.is_some_and(|it| it <= now) {
                        self.next_refresh = Some(now + self.safety_poll);
                        self.wants_refresh = true;
                    }
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
            self.parking.next_timer(),
            self.next_refresh,
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
        let said = async {
            match &mut self.saying {
                Some(saying) => saying.await,
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
            said = said => {
                self.saying = None;
                Happening::Said(said)
            }
            () = timer => Happening::Timer,
        }
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
}

fn explained(call: &Call, failure: Failure) -> ClientError {
    match failure {
        Failure::Client(error) => error,
        Failure::Sqlx(error) => explain(call, error),
    }
}
