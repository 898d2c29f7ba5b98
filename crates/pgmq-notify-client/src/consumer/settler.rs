//! Carries out what became of messages: acknowledges, gives back, moves dead letters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::changes::{Change, Piece, run};
use super::connection::OwnConnection;
use super::dead_letter;
use super::engine::Engine;
use super::queue::QueueId;
use super::settlement::{End, Settled, Settlement};
use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, ErrorKind};

/// So many in one statement at most.
const MOST: usize = 1_000;
/// For so long the first one waits for others. While a statement runs they gather anyway.
const LINGER: Duration = Duration::from_millis(2);
/// A statement that takes longer is given up, and tried again: the connection may be dead.
const WITHIN: Duration = Duration::from_secs(10);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Those of a queue that could not be settled, until the time to try again.
struct Postponed {
    until: Instant,
    pause: Duration,
    settlements: Vec<Settlement>,
}

pub(crate) struct Settler {
    engine: Arc<Engine>,
    connection: OwnConnection,
    inbox: mpsc::Receiver<Settlement>,
    told: mpsc::Sender<Settled>,
    postponed: HashMap<QueueId, Postponed>,
}

impl Settler {
    pub(crate) fn new(
        engine: Arc<Engine>,
        connection: OwnConnection,
        inbox: mpsc::Receiver<Settlement>,
        told: mpsc::Sender<Settled>,
    ) -> Self {
        Self {
            engine,
            connection,
            inbox,
            told,
            postponed: HashMap::new(),
        }
    }

    /// Until the inbox is closed and all is settled.
    pub(crate) async fn work(mut self) {
        let mut batch = Vec::new();
        loop {
            if !self.gather(&mut batch).await {
                break;
            }
            let now = Instant::now();
            let mut now_or_later: Vec<Settlement> = Vec::new();
            for settlement in batch.drain(..) {
                match self.postponed.get_mut(&settlement.claimed.key.queue) {
                    Some(postponed) => postponed.settlements.push(settlement),
                    None => now_or_later.push(settlement),
                }
            }
            self.settle(now_or_later, SHORTEST_PAUSE).await;
            let is_closed = self.inbox.is_closed() && self.inbox.is_empty();
            let due: Vec<QueueId> = self
                .postponed
                .iter()
                .filter(|(_, it)| it.until <= now)
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                if let Some(postponed) = self.postponed.remove(&id) {
                    let pause = (postponed.pause * 2).min(LONGEST_PAUSE);
                    self.settle(postponed.settlements, pause).await;
                }
            }
            if is_closed && self.postponed.is_empty() {
                break;
            }
        }
        self.connection.close().await;
    }

    /// False when there is nothing more to come and nothing left.
    async fn gather(&mut self, batch: &mut Vec<Settlement>) -> bool {
        let next = self.postponed.values().map(|it| it.until).min();
        let received = match next {
            None => self.inbox.recv_many(batch, MOST).await,
            Some(until) => {
                if self.inbox.is_closed() && self.inbox.is_empty() {
                    sleep_until(until).await;
                    return true;
                }
                match timeout_at(until, self.inbox.recv_many(batch, MOST)).await {
                    Ok(received) => received,
                    Err(_) => return true,
                }
            }
        };
        if received == 0 {
            return next.is_some();
        }
        // A group waits for it.
        let is_urgent = |it: &Settlement| it.claimed.queue.order == super::Order::FifoGroups;
        let until = Instant::now() + LINGER;
        while batch.len() < MOST && !self.inbox.is_closed() && !batch.iter().any(is_urgent) {
            let room = MOST - batch.len();
            match timeout_at(until, self.inbox.recv_many(batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        true
    }

    async fn settle(&mut self, settlements: Vec<Settlement>, pause: Duration) {
        let mut changed: BTreeMap<(QueueId, Change), Vec<Settlement>> = BTreeMap::new();
        let mut dead = Vec::new();
        for settlement in settlements {
            match settlement.change() {
                Some(change) => changed
                    .entry((settlement.claimed.key.queue, change))
                    .or_default()
                    .push(settlement),
                None => dead.push(settlement),
            }
        }
        let (pieces, parts): (Vec<Piece>, Vec<Vec<Settlement>>) = changed
            .into_iter()
            .map(|((_, change), settlements)| (piece(change, &settlements), settlements))
            .unzip();
        if !pieces.is_empty() {
            self.apply(&pieces, parts, pause).await;
        }
        for settlement in dead {
            self.bury(settlement, pause).await;
        }
    }

    /// All pieces in one statement; each in one of its own where the server refuses that.
    async fn apply(&mut self, pieces: &[Piece], parts: Vec<Vec<Settlement>>, pause: Duration) {
        // An extension that was under way before would hide again what is to be visible.
        if pieces.iter().any(|it| !it.change.removes()) {
            drop(self.engine.extending.lock().await);
        }
        match self.run(pieces).await {
            Ok(found) => {
                for ((piece, settlements), found) in pieces.iter().zip(parts).zip(found) {
                    self.settled(piece.change, settlements, &found).await;
                }
            }
            // One of the queues is locked or dropped: the others must not suffer for it.
            Err(error) if pieces.len() > 1 && error.as_database_error().is_some() => {
                for (piece, settlements) in pieces.iter().zip(parts) {
                    match self.run(std::slice::from_ref(piece)).await {
                        Ok(found) => {
                            let found = found.into_iter().next().unwrap_or_default();
                            self.settled(piece.change, settlements, &found).await;
                        }
                        Err(error) => self.failed(settlements, error, pause),
                    }
                }
            }
            Err(error) => self.failed(parts.into_iter().flatten().collect(), error, pause),
        }
    }

    async fn run(&mut self, pieces: &[Piece]) -> Result<Vec<HashSet<i64>>, sqlx::Error> {
        self.connection
            .run(WITHIN, async |it| run(it, pieces).await)
            .await
    }

    async fn settled(
        &mut self,
        change: Change,
        settlements: Vec<Settlement>,
        found: &HashSet<i64>,
    ) {
        let counters = &self.engine.counters;
        let mut settled = 0;
        let mut lost = 0;
        let queue = settlements.first().map(|it| it.claimed.key.queue);
        for settlement in &settlements {
            let key = settlement.claimed.key;
            if found.contains(&key.msg_id) || settlement.is_uncertain {
                settled += 1;
            } else {
                lost += 1;
                rejected(settlement);
            }
            self.engine.held.remove(key);
        }
        counters.lost.add(lost);
        match change {
            Change::Delete | Change::Archive => counters.done.add(settled),
            Change::Retry => counters.retried.add(settled),
            Change::Release | Change::Return => counters.released.add(settled),
            Change::Extend => {}
        }
        if let Some(queue) = queue {
            // Later than the server's time by the way of the answer, and never earlier.
            let now = Instant::now();
            let again = settlements.iter().filter_map(|it| match it.end {
                End::Retry { delay, .. } => now.checked_add(delay),
                _ => None,
            });
            let due = again.min();
            let _ = self.told.send(Settled { queue, due }).await;
        }
    }

    /// Tries again later where that may help, and otherwise leaves the messages to their visibility
    /// timeout.
    fn failed(&mut self, settlements: Vec<Settlement>, error: sqlx::Error, pause: Duration) {
        let Some(first) = settlements.first() else {
            return;
        };
        let queue = &first.claimed.queue;
        let error = explain(&Call::new("settle", &[]).on(&Ok(queue.name.clone())), error);
        let cause = &error as &dyn std::error::Error;
        if !error.is_transient() {
            for (queue, messages) in per_queue(&settlements) {
                tracing::error!(
                    queue,
                    messages,
                    cause,
                    "messages were not settled, and will come back"
                );
            }
            self.abandon(&settlements);
            return;
        }
        for (queue, messages) in per_queue(&settlements) {
            tracing::warn!(queue, messages, cause, "messages are not settled yet");
        }
        let is_uncertain = error.kind() == ErrorKind::Connection;
        for mut settlement in settlements {
            // Given back twice, it would take a read from somebody else's count.
            if is_uncertain && matches!(settlement.end, End::GiveBack) {
                self.abandon(&[settlement]);
                continue;
            }
            settlement.is_uncertain |= is_uncertain;
            self.postpone(settlement, pause);
        }
    }

    /// Until `pause` from now, with whatever else of its queue is.
    fn postpone(&mut self, settlement: Settlement, pause: Duration) {
        let postponed = self.postponed.entry(settlement.claimed.key.queue);
        postponed
            .or_insert_with(|| Postponed {
                until: Instant::now() + pause,
                pause,
                settlements: Vec::new(),
            })
            .settlements
            .push(settlement);
    }

    fn abandon(&self, settlements: &[Settlement]) {
        for settlement in settlements {
            self.engine.held.remove(settlement.claimed.key);
        }
        self.engine.counters.unsettled.add(settlements.len() as u64);
    }

    async fn bury(&mut self, settlement: Settlement, pause: Duration) {
        let End::Dead { reason, error } = &settlement.end else {
            return;
        };
        let claimed = Arc::clone(&settlement.claimed);
        let letter = dead_letter::Letter {
            queue: &claimed.queue,
            key: claimed.key,
            reason: *reason,
            error,
            sender: self.engine.client.sender(),
        };
        let buried = self
            .connection
            .run(WITHIN, async |it| dead_letter::bury(it, &letter).await)
            .await;
        let buried = match buried {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {
                match self.create_queue(&claimed.queue.dead_letters).await {
                    Ok(()) => {
                        self.connection
                            .run(WITHIN, async |it| dead_letter::bury(it, &letter).await)
                            .await
                    }
                    Err(error) => return self.not_buried(settlement, &error, pause),
                }
            }
            other => other,
        };
        match buried {
            Ok(found) => {
                let queue = claimed.queue.name.as_str();
                let dead_letters = claimed.queue.dead_letters.as_str();
                let msg_id = claimed.key.msg_id;
                let attempt = claimed.key.read_count;
                self.engine.held.remove(claimed.key);
                if found || settlement.is_uncertain {
                    self.engine.counted(|it| &it.dead);
                    let reason = reason.as_str();
                    tracing::error!(
                        queue,
                        msg_id,
                        attempt,
                        dead_letters,
                        reason,
                        cause = error,
                        "a dead letter"
                    );
                } else {
                    self.engine.counted(|it| &it.lost);
                    rejected(&settlement);
                }
                let queue = claimed.key.queue;
                let _ = self.told.send(Settled { queue, due: None }).await;
            }
            Err(error) => {
                let call = Call::new("move a dead letter", &[]).on(&Ok(claimed.queue.name.clone()));
                let error = explain(&call, error);
                self.not_buried(settlement, &error, pause);
            }
        }
    }

    /// The message stays in its queue: it is tried again, whatever that takes.
    fn not_buried(&mut self, mut settlement: Settlement, error: &ClientError, pause: Duration) {
        let queue = &settlement.claimed.queue;
        tracing::error!(
            queue = queue.name.as_str(),
            msg_id = settlement.claimed.key.msg_id,
            attempt = settlement.claimed.key.read_count,
            dead_letters = queue.dead_letters.as_str(),
            cause = error as &dyn std::error::Error,
            "a dead letter could not be moved, its message stays"
        );
        settlement.is_uncertain |= error.kind() == ErrorKind::Connection;
        if !error.is_transient() {
            let delay = queue
                .retry
                .delay(settlement.claimed.key.read_count, fastrand::f64());
            let text = match &settlement.end {
                End::Dead { error, .. } => error.clone(),
                _ => String::new(),
            };
            let claimed = Arc::clone(&settlement.claimed);
            let is_uncertain = settlement.is_uncertain;
            settlement = Settlement::new(claimed, End::Retry { delay, error: text });
            settlement.is_uncertain = is_uncertain;
        }
        self.postpone(settlement, pause);
    }

    /// Where that is what was missing.
    async fn create_queue(&mut self, name: &str) -> Result<(), ClientError> {
        let client = self.engine.client.clone();
        client.create_queue(name).await
    }
}

fn piece(change: Change, settlements: &[Settlement]) -> Piece {
    let queue = Arc::clone(&settlements[0].claimed.queue);
    let items = settlements.iter().map(Settlement::item).collect();
    Piece::new(queue, change, items)
}

/// How many there are of each queue.
fn per_queue(settlements: &[Settlement]) -> BTreeMap<&str, usize> {
    let mut messages = BTreeMap::new();
    for settlement in settlements {
        *messages
            .entry(settlement.claimed.queue.name.as_str())
            .or_default() += 1;
    }
    messages
}

fn rejected(settlement: &Settlement) {
    tracing::warn!(
        queue = settlement.claimed.queue.name.as_str(),
        msg_id = settlement.claimed.key.msg_id,
        attempt = settlement.claimed.key.read_count,
        noticed = "settlement",
        "a lease was lost"
    );
}
