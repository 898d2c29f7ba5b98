use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pgmq_notify_core::QueueName;
use sqlx::PgConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::changes::{Change, Item, run_one};
use super::held::{Held, Key};
use super::queue::Queue;
use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, ErrorKind, PgmqNotifyClient, seconds};

/// A message that this process has claimed, as the consumer's parts share it.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) queue: Arc<Queue>,
    pub(crate) key: Key,
    pub(crate) lost: CancellationToken,
    state: AtomicU8,
    /// When it is visible again, after its handler gave it back.
    released_until: OnceLock<Instant>,
    runs: AtomicBool,
}

const OPEN: u8 = 0;
/// Settled by the handler, if its transaction commits.
const FINISHED: u8 = 1;
/// Given back by the handler.
const RELEASED: u8 = 2;
/// The handler has ended, and the message is to go.
const LEAVING: u8 = 3;
/// The handler has ended or never begun, and the message is to stay.
const STAYING: u8 = 4;

impl Claimed {
    pub(crate) fn new(queue: Arc<Queue>, key: Key) -> Self {
        Self {
            queue,
            key,
            lost: CancellationToken::new(),
            state: AtomicU8::new(OPEN),
            released_until: OnceLock::new(),
            runs: AtomicBool::new(false),
        }
    }

    /// A handler has it until this is dropped.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        self.runs.store(true, Ordering::Release);
        Running(Arc::clone(self))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.runs.load(Ordering::Acquire)
    }

    /// Whether nobody has begun to settle it.
    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    pub(crate) fn is_released(&self) -> bool {
        self.state.load(Ordering::Acquire) == RELEASED
    }

    pub(crate) fn released_until(&self) -> Option<Instant> {
        self.released_until.get().copied()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.load(Ordering::Acquire) == FINISHED
    }

    /// What is on its way out must not become visible before; what stays must not be hidden again.
    pub(crate) fn wants_extension(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), OPEN | LEAVING)
    }

    pub(crate) fn leaves(&self) {
        self.state.store(LEAVING, Ordering::Release);
    }

    pub(crate) fn stays(&self) {
        self.state.store(STAYING, Ordering::Release);
    }
}

/// Dropped with the handler, however that ends.
#[derive(Debug)]
pub(crate) struct Running(Arc<Claimed>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.runs.store(false, Ordering::Release);
    }
}

/// A handler's hold on its message.
///
/// The visibility timeout is extended while the handler runs, and when it returns the message is
/// settled by its result; so most handlers do not look at it. It is there for those that settle the
/// message [in a transaction of their own](Self::finish), give it [back](Self::release), or want to
/// know that it was [lost](Self::lost). Clones are the same claim.
#[derive(Clone)]
pub struct Claim(Arc<Inner>);

struct Inner {
    claimed: Arc<Claimed>,
    /// None for a message made by hand.
    engine: Option<(PgmqNotifyClient, Arc<Held>)>,
}

impl Claim {
    pub(crate) fn new(claimed: Arc<Claimed>, client: PgmqNotifyClient, held: Arc<Held>) -> Self {
        Self(Arc::new(Inner {
            claimed,
            engine: Some((client, held)),
        }))
    }

    /// A claim of nothing, to call a handler with in a test that has no database. Its methods succeed
    /// and do nothing but remember: see [`is_finished`](Self::is_finished) and
    /// [`is_released`](Self::is_released).
    ///
    /// # Errors
    ///
    /// When PGMQ would refuse the queue's name.
    pub fn by_hand(queue: impl AsRef<str>, msg_id: i64) -> Result<Self, ClientError> {
        let queue = Arc::new(Queue::by_hand(queue.as_ref())?);
        let key = Key {
            queue: queue.id,
            msg_id,
            read_count: 1,
            serial: 0,
        };
        Ok(Self(Arc::new(Inner {
            claimed: Arc::new(Claimed::new(queue, key)),
            engine: None,
        })))
    }

    /// The queue that the message came from.
    pub fn queue(&self) -> &QueueName {
        &self.0.claimed.queue.name
    }

    /// The message's id, unique in its queue.
    pub fn msg_id(&self) -> i64 {
        self.0.claimed.key.msg_id
    }

    /// How often the message was tried, this time included: from 1. The same as
    /// [`read_count`](crate::Message::read_count).
    pub fn attempt(&self) -> u32 {
        self.0.claimed.key.read_count
    }

    /// Is cancelled when the message may be somebody else's: its lease could not be extended in time,
    /// or another process has claimed it, or it was deleted. Work that goes on may be done twice; the
    /// result is not acknowledged if another process has the message. A handler that ends early returns an
    /// error.
    pub fn lost(&self) -> &CancellationToken {
        &self.0.claimed.lost
    }

    /// Whether [`finish`](Self::finish) has succeeded.
    pub fn is_finished(&self) -> bool {
        self.0.claimed.is_finished()
    }

    /// Whether [`release`](Self::release) has succeeded.
    pub fn is_released(&self) -> bool {
        self.0.claimed.is_released()
    }

    /// Acknowledges the message on `connection`, inside the transaction that is open there: work and
    /// acknowledgement commit together or not at all. So the effect of the work is there exactly once,
    /// as long as it is in that database.
    ///
    /// Return `Ok` from the handler once the transaction has committed. Where it is rolled back,
    /// return an error and the message is tried again; a handler that returns `Ok` all the same leaves
    /// the message until its visibility timeout ends, because it is no longer extended from here on.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped in the middle it may have run or not. Roll the transaction back.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](ErrorKind::LeaseLost) when another process has the message, or it is gone: roll
    /// back, because this work is done elsewhere. And when the database refuses.
    pub async fn finish(&self, connection: &mut PgConnection) -> Result<(), ClientError> {
        let Inner { claimed, engine } = &*self.0;
        // First, so that no extension waits for the row that is locked from here on.
        claimed.state.store(FINISHED, Ordering::Release);
        if engine.is_none() {
            return Ok(());
        }
        let change = Change::of(claimed.queue.acknowledgement);
        let call = self.call("finish");
        let result = run_one(connection, &claimed.queue, change, self.item()).await;
        let refused = match result {
            Ok(true) => return Ok(()),
            Ok(false) => self.taken(&call),
            Err(error) => explain(&call, error),
        };
        claimed.state.store(OPEN, Ordering::Release);
        Err(refused)
    }

    /// Gives the message back: it is visible again after `delay`, at most 68 years, and this claim does not
    /// count as an attempt. Whatever the handler returns then changes nothing. It takes a connection of the
    /// client's pool for one statement.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped in the middle it may have run or not. Whatever the handler returns changes
    /// nothing then, so at the worst the message comes back when its visibility timeout ends.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) when `delay` is too long,
    /// [`LeaseLost`](ErrorKind::LeaseLost) when another process has the message, or it is gone. And
    /// when the database refuses. After an error the handler's result decides.
    pub async fn release(&self, delay: Duration) -> Result<(), ClientError> {
        let Inner { claimed, engine } = &*self.0;
        seconds::exact("a delay", delay)?;
        claimed.state.store(RELEASED, Ordering::Release);
        let Some((client, _)) = engine else {
            return Ok(());
        };
        let call = self.call("release");
        let item = Item {
            delay,
            ..self.item()
        };
        let result = self.on_pool(client, &call, Change::Release, item).await;
        if result.is_ok() {
            let _ = claimed.released_until.set(Instant::now() + delay);
        } else {
            claimed.state.store(OPEN, Ordering::Release);
        }
        result
    }

    /// Sets the end of the visibility timeout to `by` from now, at most 68 years, if that is later than it
    /// would be. It takes a connection of the client's pool for one statement.
    ///
    /// The consumer extends it by itself; this is for a handler that is about to keep the process from
    /// doing so.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may have run or not; either way the claim goes on.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) when `by` is too long,
    /// [`LeaseLost`](ErrorKind::LeaseLost) when another process has the message, or it is gone. And
    /// when the database refuses.
    pub async fn extend(&self, by: Duration) -> Result<(), ClientError> {
        let Inner { claimed, engine } = &*self.0;
        let Some((client, held)) = engine else {
            return Ok(());
        };
        seconds::exact("an extension", by)?;
        let call = self.call("extend");
        let ends = Instant::now() + by;
        let item = Item {
            delay: by,
            ..self.item()
        };
        self.on_pool(client, &call, Change::Extend, item).await?;
        held.extended([claimed.key], ends);
        Ok(())
    }

    async fn on_pool(
        &self,
        client: &PgmqNotifyClient,
        call: &Call,
        change: Change,
        item: Item,
    ) -> Result<(), ClientError> {
        let result = async {
            let mut connection = client.pool().acquire().await?;
            run_one(&mut connection, &self.0.claimed.queue, change, item).await
        };
        match result.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.taken(call)),
            Err(error) => Err(explain(call, error)),
        }
    }

    fn item(&self) -> Item {
        Item::new(self.0.claimed.key)
    }

    fn call(&self, operation: &'static str) -> Call {
        Call::new(operation, &[]).on(&Ok(self.queue().clone()))
    }

    fn taken(&self, call: &Call) -> ClientError {
        let Key {
            msg_id, read_count, ..
        } = self.0.claimed.key;
        call.error(
            ErrorKind::LeaseLost,
            &format!(
                "message {msg_id} was claimed again since its read {read_count}, or is gone: roll back and leave it to whoever has it"
            ),
        )
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("queue", &self.queue().as_str())
            .field("msg_id", &self.msg_id())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
