use std::time::{Duration, SystemTime};

use crate::{Namespace, QueueName, RawJson};

/// What a listener delivers.
///
/// Every event is a hint, not a claim: it may repeat, it may be forged by any role of the database
/// (`NOTIFY` has no access control), and by the time it arrives another consumer may hold the
/// message. Claim before you act.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PgmqNotifyEvent {
    /// A row appeared in `pgmq.meta`.
    QueueCreated(QueueCreatedEvent),
    /// A row left `pgmq.meta`.
    QueueDropped(QueueDroppedEvent),
    /// One message was inserted, or became visible earlier than it was going to be, and its body is to be
    /// fetched by its id.
    MessageReady(MessageReadyEvent),
    /// One message was inserted, and here it is.
    MessageWithPayload(MessageWithPayloadEvent),
    /// One statement inserted several messages.
    BatchReady(BatchReadyEvent),
    /// The listener's own event: others may have been missed before it.
    Resumed(ResumedEvent),
}

impl PgmqNotifyEvent {
    /// The value of `event_type` on the wire.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::QueueCreated(_) => "queue_created",
            Self::QueueDropped(_) => "queue_dropped",
            Self::MessageReady(_) => "message_ready",
            Self::MessageWithPayload(_) => "message_with_payload",
            Self::BatchReady(_) => "batch_ready",
            Self::Resumed(_) => "resumed",
        }
    }

    /// The queue that the event is about; `None` for [`Resumed`](Self::Resumed).
    pub fn queue_name(&self) -> Option<&QueueName> {
        match self {
            Self::QueueCreated(event) => Some(&event.queue_name),
            Self::QueueDropped(event) => Some(&event.queue_name),
            Self::MessageReady(event) => Some(&event.queue_name),
            Self::MessageWithPayload(event) => Some(&event.queue_name),
            Self::BatchReady(event) => Some(&event.queue_name),
            Self::Resumed(_) => None,
        }
    }

    /// The namespace of that queue; `None` for [`Resumed`](Self::Resumed).
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::QueueCreated(event) => Some(&event.namespace),
            Self::QueueDropped(event) => Some(&event.namespace),
            Self::MessageReady(event) => Some(&event.namespace),
            Self::MessageWithPayload(event) => Some(&event.namespace),
            Self::BatchReady(event) => Some(&event.namespace),
            Self::Resumed(_) => None,
        }
    }

    /// Who is to look for the messages; `None` where the event tells of none.
    #[cfg(feature = "serde")]
    pub(crate) fn wakes(&self) -> Option<&[i64]> {
        match self {
            Self::MessageReady(event) => Some(&event.wakes),
            Self::MessageWithPayload(event) => Some(&event.wakes),
            Self::BatchReady(event) => Some(&event.wakes),
            _ => None,
        }
    }
}

/// A queue was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueCreatedEvent {
    /// The queue, spelled as its creator did.
    pub queue_name: QueueName,
    /// Its namespace.
    pub namespace: Namespace,
    /// `created_at` of its row in `pgmq.meta`: when the creating transaction began.
    pub created_at: SystemTime,
    /// Whether `pg_partman` partitions it.
    pub is_partitioned: bool,
    /// Whether its table is unlogged: a crash of the server empties it.
    pub is_unlogged: bool,
}

/// A queue was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDroppedEvent {
    /// The queue, spelled as its creator did.
    pub queue_name: QueueName,
    /// The namespace that it had.
    pub namespace: Namespace,
    /// When its row was deleted.
    pub dropped_at: SystemTime,
}

/// One message is there, without its body: it did not fit, bodies are switched off, or it became
/// visible again early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageReadyEvent {
    /// The queue, spelled as its creator did.
    pub queue_name: QueueName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The message, as `pgmq.send` returned it.
    pub msg_id: i64,
    /// When the trigger ran, before the sender's commit.
    pub ready_at: SystemTime,
    /// When the message can be read: later than `ready_at` for a delayed message and for a retry with a
    /// delay, equal to it otherwise.
    pub visible_at: SystemTime,
    /// With [`Delivery::WakeUp`](crate::Delivery::WakeUp) the consumers that are to look for it, by their
    /// numbers in `pgmq_notify.parked`. Empty where nobody is singled out.
    pub wakes: Vec<i64>,
}

/// One message with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWithPayloadEvent {
    /// The queue, spelled as its creator did.
    pub queue_name: QueueName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The message, as `pgmq.send` returned it.
    pub msg_id: i64,
    /// The body; the text `null` when it is SQL `NULL`.
    pub message: RawJson,
    /// The headers, when there are any.
    pub headers: Option<RawJson>,
    /// When the trigger ran, before the sender's commit.
    pub ready_at: SystemTime,
    /// When the message can first be read: later than `ready_at` for a delayed message, equal to it
    /// otherwise.
    pub visible_at: SystemTime,
    /// Whole seconds from `ready_at` to `visible_at`, rounded up; 0 when it is visible at once.
    pub delay_seconds: u64,
    /// With [`Delivery::WakeUp`](crate::Delivery::WakeUp) the consumers that are to look for it, by their
    /// numbers in `pgmq_notify.parked`. Empty where nobody is singled out.
    pub wakes: Vec<i64>,
}

/// One statement inserted several messages.
///
/// A batch whose ids do not fit one notification arrives as several events that together name each
/// id once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReadyEvent {
    /// The queue, spelled as its creator did.
    pub queue_name: QueueName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The messages that this event names, in ascending order.
    pub msg_ids: Vec<i64>,
    /// How many messages this event names: the length of `msg_ids`.
    pub message_count: u64,
    /// When the trigger ran, before the sender's commit.
    pub ready_at: SystemTime,
    /// When the first of the statement's messages can be read.
    pub visible_at: SystemTime,
    /// With [`Delivery::WakeUp`](crate::Delivery::WakeUp) the consumers that are to look for them, by their
    /// numbers in `pgmq_notify.parked`. Empty where nobody is singled out.
    pub wakes: Vec<i64>,
}

/// Events may have been missed before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumedEvent {
    /// What interrupted the events.
    pub reason: ResumeReason,
    /// For how long events may have been missed.
    pub gap: Duration,
}

/// What interrupted the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResumeReason {
    /// The session was lost, and another one listens on all channels again.
    Reconnected,
    /// The application was slower than the events, and the bounded buffer was full.
    Overflow,
}

impl ResumeReason {
    /// The reason as one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reconnected => "reconnected",
            Self::Overflow => "overflow",
        }
    }
}
