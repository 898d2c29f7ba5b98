use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use pgmq_notify_core::PgmqNotifyEvent;

/// What a listener has seen since it was made, from [`PgmqNotifyListener::stats`].
///
/// Events count when the application takes them, or when they are taken for a handler.
///
/// [`PgmqNotifyListener::stats`]: crate::PgmqNotifyListener::stats
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Events of created queues.
    pub queue_created: u64,
    /// Events of dropped queues.
    pub queue_dropped: u64,
    /// Events of messages without their body.
    pub message_ready: u64,
    /// Events of messages with their body.
    pub message_with_payload: u64,
    /// Events of batches.
    pub batch_ready: u64,
    /// `Resumed` events.
    pub resumed: u64,
    /// Times that events may have been missed: lost sessions and overflows.
    pub gaps: u64,
    /// Sessions made after a lost one.
    pub reconnects: u64,
    /// Times that the buffer was full.
    pub overflows: u64,
    /// Notifications that a full buffer did not take.
    pub overflowed_events: u64,
    /// Notifications whose `event_type` this version does not know.
    pub unknown_event_types: u64,
    /// Notifications on a channel of ours that are no event.
    pub invalid_payloads: u64,
    /// Catch-ups that came to their end.
    pub catch_ups: u64,
    /// Events that a catch-up found; they are among those above.
    pub caught_up_events: u64,
    /// Events that were under way when their subscription was removed.
    pub unsubscribed: u64,
    /// How long the last answer to a heartbeat took.
    pub round_trip: Option<Duration>,
    /// When the application last took events out of the buffer.
    pub last_event_at: Option<SystemTime>,
}

impl ListenerStats {
    /// All events of queues, of whatever kind; `Resumed` is none.
    pub fn events(&self) -> u64 {
        self.queue_created
            + self.queue_dropped
            + self.message_ready
            + self.message_with_payload
            + self.batch_ready
    }

    /// All notifications that were no event of a known kind.
    pub fn unreadable(&self) -> u64 {
        self.unknown_event_types + self.invalid_payloads
    }

    pub(crate) fn count(&mut self, event: &PgmqNotifyEvent) {
        match event {
            PgmqNotifyEvent::QueueCreated(_) => self.queue_created += 1,
            PgmqNotifyEvent::QueueDropped(_) => self.queue_dropped += 1,
            PgmqNotifyEvent::MessageReady(_) => self.message_ready += 1,
            PgmqNotifyEvent::MessageWithPayload(_) => self.message_with_payload += 1,
            PgmqNotifyEvent::BatchReady(_) => self.batch_ready += 1,
            PgmqNotifyEvent::Resumed(_) => self.resumed += 1,
            // An event of a newer core, which this version of the decoder does not make.
            _ => {}
        }
    }
}

/// What the reading task counts.
#[derive(Debug, Default)]
pub(crate) struct ReaderCounters {
    lost_sessions: AtomicU64,
    reconnects: AtomicU64,
    /// In microseconds and at least one; 0 before the first.
    round_trip: AtomicU64,
}

impl ReaderCounters {
    pub(crate) fn session_lost(&self) {
        self.lost_sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        self.round_trip.store(micros.max(1), Ordering::Relaxed);
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    pub(crate) fn lost_sessions(&self) -> u64 {
        self.lost_sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }
}
